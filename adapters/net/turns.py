"""Turns: so many at once, and so many of each kind."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Turns(Generic[K]):
    """``most`` at once, ``each`` of them for one key, the last ``spare`` only for keys that have
    none: a few keys whose turns do not end cannot take all. Belongs to one loop.
    """

    def __init__(self, most: int, *, each: int = 0, spare: int = 0) -> None:
        self._most = most
        self._each = each or most
        self._shared = most - spare
        self._here: dict[K, int] = {}
        self._waiting: dict[K, deque[asyncio.Future[None]]] = {}
        self.total = 0
        """Turns that are had, of all keys."""

    def had(self, key: K) -> int:
        """Turns of this key that are had."""
        return self._here.get(key, 0)

    @asynccontextmanager
    async def of(self, key: K, patience: float | None = None) -> AsyncIterator[None]:
        """A turn of this key, once there is one. Raises TimeoutError after ``patience`` seconds."""
        await self._enter(key, patience)
        try:
            yield
        finally:
            self._leave(key)

    async def _enter(self, key: K, patience: float | None) -> None:
        if key not in self._waiting and self._may(key):
            self._take(key)
            return
        gate = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(gate)
        try:
            async with asyncio.timeout(patience):
                await gate
        except (asyncio.CancelledError, TimeoutError):
            self._give_up(key, gate)
            raise

    def _give_up(self, key: K, gate: asyncio.Future[None]) -> None:
        if not gate.cancelled():  # it was given a turn just now
            self._leave(key)
            return
        self._waiting[key].remove(gate)
        if not self._waiting[key]:
            del self._waiting[key]

    def _may(self, key: K) -> bool:
        room = self._shared if self.had(key) else self._most
        return self.had(key) < self._each and self.total < room

    def _take(self, key: K) -> None:
        self._here[key] = self.had(key) + 1
        self.total += 1

    def _leave(self, key: K) -> None:
        self.total -= 1
        self._here[key] -= 1
        if not self._here[key]:
            del self._here[key]
        for other in list(self._waiting):
            while other in self._waiting and self._may(other):
                self._admit(other)

    def _admit(self, key: K) -> None:
        """The first that waits for this key gets a turn; the key is behind the others then."""
        gates = self._waiting.pop(key)
        gate = gates.popleft()
        if gates:
            self._waiting[key] = gates
        if not gate.done():
            self._take(key)
            gate.set_result(None)

    def __len__(self) -> int:
        """Keys that somebody has or waits for a turn of."""
        return len(self._here.keys() | self._waiting.keys())
