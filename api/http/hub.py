"""One reader of the log for all who follow it: events are read and encoded once.

Who keeps up gets them out of a short memory of the tree's channel; who begins in the past, or has
fallen behind, reads the log at their own pace until they have caught up. So what a follower costs
does not depend on how far behind it is, and nothing is ever left out or told twice.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from ...domain.errors import InvalidInput, StoreError
from ...domain.events import EVENT_TYPES, Recorded, TreeCreated
from ..documents import event_document
from ..encoding import one_line
from ..stores import Store

log = logging.getLogger("aipartnerupflow.api")

PAGE: Final = 200
BITE: Final = 64 * 1024
"""Bytes of JSON that a follower is given at a time, one event at least: what is not taken yet lies
in memory, once for each follower.
"""
FIRST: Final = 20
"""So many events are read at first, then more where they are small."""
REMEMBERED: Final = 2_000
REMEMBERED_BYTES: Final = 1 << 20
"""What a channel remembers at most, in events and in bytes of JSON."""
PACE: Final = 0.0002
MAX_PACE: Final = 0.02
"""After each round the reader rests so many seconds for each follower that it woke."""
AGAIN: Final = 0.5
"""Seconds until the log is read again that could not be read."""
OWNERS: Final = 20_000

T = TypeVar("T")
_encode = msgspec.json.Encoder(decimal_format="number").encode
TOPICS: Final = tuple(sorted(kind.topic for kind in EVENT_TYPES))


class Line(Struct, frozen=True, gc=False):
    """An event ready to be sent. ``mark`` is its version, or its position among all."""

    mark: int
    topic: str
    tree: str
    data: bytes


class Channel:
    """What came of late, for those who follow it. Covers marks in (base, last]."""

    def __init__(self) -> None:
        self.followers = 0
        self._lines: deque[Line] = deque()
        self._size = 0
        self._base = 0
        self._last: int | None = None
        self._news = asyncio.Event()

    def add(self, lines: Sequence[Line], before: int, last: int) -> None:
        """What stands behind ``before``, up to ``last``; wakes who waits."""
        if self._last is None:
            self._base = before
        for line in lines:
            self._lines.append(line)
            self._size += len(line.data)
        while len(self._lines) > REMEMBERED or self._size > REMEMBERED_BYTES:
            gone = self._lines.popleft()
            self._base, self._size = gone.mark, self._size - len(gone.data)
        self._last = last
        news, self._news = self._news, asyncio.Event()
        news.set()

    def since(self, after: int) -> tuple[Sequence[Line], int] | None:
        """What came after ``after``, not too much at a time, and where that ends; None where it is
        not remembered.
        """
        if self._last is None or after >= self._last:
            return (), after
        if after < self._base:
            return None
        at = len(self._lines)
        while at and self._lines[at - 1].mark > after:
            at -= 1
        some = _bite(self._lines[i] for i in range(at, len(self._lines)))
        whole = at + len(some) == len(self._lines)
        return some, self._last if whole else some[-1].mark

    async def changed(self, after: int) -> None:
        """Returns once something stands behind ``after``."""
        while self._last is None or self._last <= after:
            await self._news.wait()


class Hub:
    """Follows the log of one store for any number of followers of one loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._channels: dict[str, Channel] = {}
        self._all = Channel()
        self._owners: OrderedDict[str, str | None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self.followers = 0
        """How many follow now."""

    def close(self) -> None:
        """End the reader."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def tree(
        self, id: str, after: int, *, topics: Collection[str] | None = None
    ) -> AsyncGenerator[Sequence[Line], None]:
        """The events of a tree after version ``after``, then what comes, for ever."""
        with self._following(self._channels.setdefault(id, Channel()), id) as channel:
            read = self._page_of(id)
            async for lines in self._follow(channel, after, read):
                wanted = [line for line in lines if topics is None or line.topic in topics]
                if wanted:
                    yield wanted

    async def everything(
        self,
        after: int,
        *,
        visible: Callable[[str | None], bool],
        topics: Collection[str] | None = None,
    ) -> AsyncGenerator[Sequence[Line], None]:
        """The events of all trees whose owner is ``visible``, after position ``after``."""
        with self._following(self._all, "") as channel:
            async for lines in self._follow(channel, after, self._page):
                wanted = [
                    line
                    for line in lines
                    if (topics is None or line.topic in topics)
                    and visible(await self._owner(line.tree))
                ]
                if wanted:
                    yield wanted

    async def _follow(
        self, channel: Channel, after: int, read: Callable[[int, int], Sequence[Line]]
    ) -> AsyncGenerator[Sequence[Line], None]:
        """With ``read`` (after, limit) from the log as long as this follower is behind."""
        behind, wanted = True, min(FIRST, PAGE)
        while True:
            if behind:
                some = await asyncio.to_thread(read, after, wanted)  # the loop serves others
                lines: Sequence[Line] = _bite(some)
                behind = bool(lines)
                wanted = min(PAGE, 2 * max(1, len(lines)))
                last = lines[-1].mark if lines else after
            else:
                found = channel.since(after)
                if found is None:
                    behind = True
                    continue
                lines, last = found
            after = last
            if lines:
                yield lines
            elif not behind:
                await channel.changed(after)

    def _page_of(self, id: str) -> Callable[[int, int], Sequence[Line]]:
        def read(after: int, limit: int) -> Sequence[Line]:
            found = self._store.reads.history(id, after=after, limit=limit)
            return [_line(r, r.version) for r in found]

        return read

    def _page(self, after: int, limit: int) -> Sequence[Line]:
        found = self._store.journal.read_all(after=after, limit=limit)
        return [_line(r, r.position) for r in found]

    async def _owner(self, tree: str) -> str | None:
        if tree not in self._owners:
            view = await self._call(self._store.reads.tree, tree)
            self._remember(tree, None if view is None else view.user_id)
        return self._owners[tree]

    def _remember(self, tree: str, owner: str | None) -> None:
        self._owners[tree] = owner
        if len(self._owners) > OWNERS:
            self._owners.popitem(last=False)

    async def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        return await self._store.look(function, *arguments)

    @contextmanager
    def _following(self, channel: Channel, id: str) -> Iterator[Channel]:
        channel.followers += 1
        self.followers += 1
        if self._task is None or self._task.done():
            position = self._store.journal.position()
            self._task = asyncio.get_running_loop().create_task(self._read(position))
        try:
            yield channel
        finally:
            channel.followers -= 1
            self.followers -= 1
            if not channel.followers and id:
                self._channels.pop(id, None)
            if not self.followers:
                self.close()

    async def _read(self, position: int) -> None:
        """The reader, as long as anybody follows."""
        while True:
            try:
                await self._store.feed.changed(position)
                batch = await self._call(self._batch, position)
            except StoreError as error:
                log.info("the log cannot be followed for now: %s", error)
                await asyncio.sleep(AGAIN)
                continue
            if batch:
                woken = self._dispatch(batch, position)
                position = batch[-1].position
                await asyncio.sleep(min(MAX_PACE, woken * PACE))

    def _batch(self, position: int) -> list[Recorded]:
        return list(self._store.journal.read_all(after=position, limit=PAGE))

    def _dispatch(self, batch: Sequence[Recorded], before: int) -> int:
        """Give out what was read; returns how many were woken."""
        everybody = bool(self._all.followers)
        streams: dict[str, list[Line]] = {}
        every: list[Line] = []
        for recorded in batch:
            if isinstance(recorded.event, TreeCreated):
                self._remember(recorded.tree, recorded.event.owner)
            followed = recorded.tree in self._channels
            if not followed and not everybody:
                continue
            line = _line(recorded, recorded.version)
            if followed:
                streams.setdefault(recorded.tree, []).append(line)
            if everybody:
                every.append(msgspec.structs.replace(line, mark=recorded.position))
        for tree, lines in streams.items():
            self._channels[tree].add(lines, lines[0].mark - 1, lines[-1].mark)
        if everybody:
            self._all.add(every, before, batch[-1].position)
        return sum(self._channels[tree].followers for tree in streams) + self._all.followers


def _bite(lines: Iterable[Line]) -> list[Line]:
    """As many as are given at a time."""
    some: list[Line] = []
    left = BITE
    for line in lines:
        left -= len(line.data)
        if some and left < 0:
            break
        some.append(line)
    return some


def _line(recorded: Recorded, mark: int) -> Line:
    data = one_line(_encode(event_document(recorded)))
    return Line(mark, recorded.event.topic, recorded.tree, data)


def topics_of(types: str | None) -> frozenset[str] | None:
    """The topics that a filter means: names, and beginnings with ``*`` behind, comma between.

    Raises `InvalidInput`.
    """
    if types is None:
        return None
    found: set[str] = set()
    for pattern in types.split(","):
        name = pattern.strip()
        if name.endswith("*"):
            hits = {topic for topic in TOPICS if topic.startswith(name[:-1])}
        else:
            hits = {topic for topic in TOPICS if topic == name}
        if not hits:
            raise InvalidInput(f"`types` names no event; there are {', '.join(TOPICS)}")
        found |= hits
    return frozenset(found)
