"""Following a tree: a stream that is taken up again where it was cut, without gap or duplicate."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import httpx
import msgspec

from ..problems import Unreachable
from ..told import Event, event_of
from . import calls, flows
from .errors import error_of, problem_of
from .types import Answer, Call

MEDIA: Final = "text/event-stream"
STRANGE: Final = "the stream holds something else than events: is it the right address?"
MAX_FRAME: Final = 64 << 20
"""Bytes of one event at most: a stream without ends of lines is none of ours."""


class Lines:
    """The frames of a stream of server-sent events (HTML, section 9.2), as its bytes come."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._kind = b""
        self._size = 0

    def take(self, part: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Kind and data of each frame that has come to its end."""
        self._rest += part
        if len(self._rest) + self._size > MAX_FRAME:
            raise Unreachable("the stream has no end of a line: is it the right address?")
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in lines:
            yield from self._line(line.removesuffix(b"\r"))

    def _line(self, line: bytes) -> Iterator[tuple[bytes, bytes]]:
        if not line:
            if self._data:
                yield self._kind, b"\n".join(self._data)
            self._data, self._kind, self._size = [], b"", 0
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"event":
            self._kind = value


class Follow:
    """Where a follower of one tree stands. ``over``: nothing more is wanted."""

    def __init__(
        self,
        id: str,
        after: int,
        types: Sequence[str] | None,
        until_settled: bool,
        patience: float,
    ) -> None:
        self.id = id
        self.after = after
        self.over = False
        self._types = None if types is None else [name.strip() for name in types]
        self._until_settled = until_settled
        self._patience = patience
        self._backoff = flows.Backoff(patience)
        self._lines = Lines()
        self._why = ""

    def begun(self) -> flows.Flow[None]:
        """Nothing may be left to come from the beginning."""
        if self._until_settled and self.after:
            self.over = yield from flows.at_its_end(self._patience, self.id, self.after)

    def call(self) -> Call[None]:
        """The request that goes on where the last one was cut."""
        self._lines = Lines()
        types = self._types
        if types is not None and self._until_settled:
            types = [*types, flows.SETTLED]
        return calls.stream(self.id, after=self.after, types=types)

    def refused(self, answer: Answer) -> None:
        """It was not opened. Raises where that will not change."""
        problem = problem_of(answer.status, answer.media, answer.body)
        self._why = f": {problem.detail}"
        if answer.status not in flows.AGAIN:
            raise error_of(problem)

    def opened(self, media: str) -> None:
        """The server sends. Raises `Unreachable` where that is something else than events."""
        if not media.startswith(MEDIA):
            raise Unreachable(STRANGE)
        self._backoff.reached()

    def cut(self, error: httpx.RequestError) -> None:
        """The connection is lost."""
        self._why = flows.reason(error)

    def pause(self) -> float:
        """Seconds until the next attempt. Raises `Unreachable` when patience is at its end."""
        pause = self._backoff.next()
        if pause is None:
            raise Unreachable(
                f"the server cannot be reached{self._why}. The last event seen of tree {self.id} "
                f"has the version {self.after}: go on behind it."
            )
        return pause

    def take(self, part: bytes) -> Iterator[Event]:
        """New events out of what came; nothing is given twice."""
        for kind, data in self._lines.take(part):
            if kind == b"dropped":  # too slow: the server ends it, and what is missing comes again
                continue
            event = _event(data)
            if event.version > self.after:
                self.after = event.version
                self._backoff.well()
                yield event

    def is_wanted(self, event: Event) -> bool:
        """Whether it was asked for, not only needed."""
        return self._types is None or any(
            event.type == name or (name.endswith("*") and event.type.startswith(name[:-1]))
            for name in self._types
        )

    def seen(self, event: Event) -> flows.Flow[None]:
        """To be gone through once an event was told: is it the last one?"""
        if self._until_settled and event.type == flows.SETTLED:
            self.over = yield from flows.at_its_end(self._patience, self.id, event.version)


def _event(data: bytes) -> Event:
    try:
        return event_of(data)
    except msgspec.MsgspecError as error:
        raise Unreachable(STRANGE) from error


def answer_of(response: Any, body: bytes) -> Answer:
    """What httpx received."""
    headers = response.headers
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    after = headers.get("retry-after", "")
    return Answer(response.status_code, media, body, float(after) if after.isdecimal() else None)
