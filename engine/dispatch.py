"""Which ready task gets the next free slot: by priority, then by age, over all trees.

A task needs a slot in its backend's pool, and one of its executor's and its tree's where these have
limits. What finds a limit exhausted is parked there and comes back when that limit has room.
"""

from collections.abc import Iterator, Mapping
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .actor import Actor

Key = tuple[str, str]
"""A limit: ("pool" | "executor" | "tree" | "key", name)."""

Entry = tuple[int, int, "Actor", int]
"""A ready task in the queue: priority, age over all trees (unique), whose it is, its number."""


class Dispatch:
    """The ready queue and the slots of one engine."""

    def __init__(self, pools: Mapping[str, int]) -> None:
        self._queue: list[Entry] = []
        self._parked: dict[Key, list[Entry]] = {}
        self._limits: dict[Key, int] = {("pool", name): size for name, size in pools.items()}
        self._used: dict[Key, int] = {}
        self._freed: set[Key] = set()
        self._seq = 0

    def offer(self, owner: "Actor", n: int, priority: int) -> None:
        """A task became ready."""
        heappush(self._queue, self.entry(owner, n, priority))

    def entry(self, owner: "Actor", n: int, priority: int) -> Entry:
        """A place in the queue, behind all others of this priority."""
        self._seq += 1
        return priority, self._seq, owner, n

    def limit(self, key: Key, size: int) -> None:
        """Cap a key at ``size`` slots."""
        self._limits[key] = size

    def take(self, entry: Entry, keys: tuple[Key, ...]) -> bool:
        """Take one slot of each key, or park the entry at the first that has none."""
        used = self._used
        for key in keys:
            if self._room(key) <= 0:
                heappush(self._parked.setdefault(key, []), entry)
                return False
        for key in keys:
            used[key] = used.get(key, 0) + 1
        return True

    def occupy(self, keys: tuple[Key, ...]) -> None:
        """Take one slot of each key, whether there is one or not: for what runs already."""
        for key in keys:
            self._used[key] = self._used.get(key, 0) + 1

    def free(self, keys: tuple[Key, ...]) -> None:
        """Give back what `take` took."""
        for key in keys:
            left = self._used[key] - 1
            if left:
                self._used[key] = left
            else:
                del self._used[key]
            if key in self._parked:
                self._freed.add(key)

    def unlimit(self, key: Key) -> None:
        """Nobody needs this limit any more, unless somebody still holds or waits for a slot."""
        if key not in self._used and not self._parked.get(key):
            self._limits.pop(key, None)
            self._parked.pop(key, None)

    def forget(self, owner: "Actor") -> None:
        """Drop all that a tree has queued or parked."""
        self._queue = [entry for entry in self._queue if entry[2] is not owner]
        heapify(self._queue)
        for key, parked in self._parked.items():
            self._parked[key] = [entry for entry in parked if entry[2] is not owner]
            heapify(self._parked[key])

    def ready(self) -> Iterator[Entry]:
        """Entries in their order; the caller takes slots for each, or drops it."""
        while self._unpark() or self._queue:
            while self._queue:
                yield heappop(self._queue)

    def _unpark(self) -> bool:
        """Bring back as many parked entries as the freed limits have room for."""
        moved = False
        for key in list(self._freed):
            parked = self._parked.get(key)
            room = self._room(key)
            if not parked or room <= 0:
                self._freed.discard(key)
            if not parked:
                self._parked.pop(key, None)
            while parked and room > 0:
                heappush(self._queue, heappop(parked))
                room -= 1
                moved = True
        return moved

    def _room(self, key: Key) -> int:
        limit = self._limits.get(key)
        return 1 << 30 if limit is None else limit - self._used.get(key, 0)
