"""Turns: so many at once of each kind."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Turns(Generic[K]):
    """``most`` at once for each key. Belongs to one loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._gates: dict[K, asyncio.Semaphore] = {}
        self._here: dict[K, int] = {}

    @asynccontextmanager
    async def of(self, key: K) -> AsyncIterator[None]:
        """A turn of this key, once there is one."""
        gate = self._gates.setdefault(key, asyncio.Semaphore(self._most))
        self._here[key] = self._here.get(key, 0) + 1
        try:
            async with gate:
                yield
        finally:
            self._here[key] -= 1
            if not self._here[key]:
                del self._here[key], self._gates[key]

    def __len__(self) -> int:
        """Keys that somebody has or waits for a turn of."""
        return len(self._here)
