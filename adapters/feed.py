"""Wakes those who follow the journal: at once within the process, by polling across processes."""

import asyncio
import threading
from contextlib import suppress

from ..engine.ports import Journal

POLL = 0.1
"""Seconds between two looks for what other processes have written."""


class Feed:
    """`engine.ports.Subscription` over a journal. Serves any number of loops.

    A ``remote`` journal is asked off the loop: its server may keep us waiting.
    """

    def __init__(self, journal: Journal, *, remote: bool = False) -> None:
        self._journal = journal
        self._remote = remote
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def wake(self) -> None:
        """See `Subscription.wake`. Costs next to nothing while nobody follows."""
        if not self._waiting:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            with suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(event.set)

    async def changed(self, since: int) -> None:
        """See `Subscription.changed`."""
        loop = asyncio.get_running_loop()
        while await self._position() <= since:
            event = asyncio.Event()
            entry = (loop, event)
            with self._lock:
                self._waiting.append(entry)
            if await self._position() > since:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), POLL)
            with self._lock:
                if entry in self._waiting:
                    self._waiting.remove(entry)

    async def _position(self) -> int:
        if self._remote:
            return await asyncio.to_thread(self._journal.position)
        return self._journal.position()
