"""Server-sent events (HTML, section 9.2), read from the bytes of a body."""

from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct

from .http import Unanswered

MAX_EVENT: Final = 4 << 20
"""Bytes of one event that are read; who sends more is not listened to any longer."""


class ServerEvent(Struct, frozen=True):
    """``id`` and ``event`` are empty where they were not said."""

    id: str
    event: str
    data: str


async def read_events(
    parts: AsyncIterator[bytes], limit: int = MAX_EVENT
) -> AsyncIterator[ServerEvent]:
    """The events of a stream, as long as it lasts; what is cut off in the middle of one is none.

    Raises `Unanswered` for an event of more than ``limit`` bytes.
    """
    reading = _Reading()
    async for line in _lines(parts, limit):
        event = reading.line(line)
        if event is not None:
            yield event
        elif reading.size > limit:
            raise _too_long()


class _Reading:
    """Lines as they come, up to the empty one that ends an event."""

    def __init__(self) -> None:
        self.size = 0
        self._fields: dict[bytes, bytes] = {}
        self._data: list[bytes] = []

    def line(self, line: bytes) -> ServerEvent | None:
        if not line:
            return self._event()
        self.size += len(line) + 1
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name in (b"id", b"event"):
            self._fields[name] = value
        return None

    def _event(self) -> ServerEvent | None:
        fields, data = self._fields, self._data
        self._fields, self._data, self.size = {}, [], 0
        if not data:
            return None
        text = b"\n".join(data).decode("utf-8", "replace")
        id, event = (fields.get(name, b"").decode("utf-8", "replace") for name in (b"id", b"event"))
        return ServerEvent(id, event, text)


async def _lines(parts: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """Ended by CR LF, LF or CR, which is not part of them."""
    rest = bytearray()
    first = True
    async for part in parts:
        held = rest.endswith(b"\r")
        rest += part
        if part and (held or b"\n" in part or b"\r" in part):
            *whole, last = rest.splitlines(keepends=True)
            rest = bytearray(last)
            if last.endswith(b"\n"):  # behind CR the rest of a CR LF may follow
                whole, rest = [*whole, last], bytearray()
            for line in whole:
                yield bytes(line.rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf" if first else b""))
                first = False
        if len(rest) > limit:
            raise _too_long()


def _too_long() -> Unanswered:
    return Unanswered("the target sends an event that is longer than is read")
