"""Wakes those who follow the journal: at once within the process, soon across processes.

What other processes write is found by looking; where a server tells of it, by listening, and then
looking is only what saves a follower whose server has gone silent.
"""

import asyncio
import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from ..engine.ports import Journal

POLL = 0.1
"""Seconds between two looks for what other processes have written."""
FLOOR = 1.0
"""The same where they are heard of, and at most until somebody looks into the inbox again."""


class Bell:
    """Wakes all who wait, in whatever loop. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def ring(self) -> None:
        """Costs next to nothing while nobody waits."""
        if not self._waiting:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            with suppress(RuntimeError):  # that loop has ended
                loop.call_soon_threadsafe(event.set)

    @contextmanager
    def waiting(self) -> Iterator[asyncio.Event]:
        """What is set by the first ring from the beginning of the block on."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.append(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                if entry in self._waiting:
                    self._waiting.remove(entry)


class Feed:
    """`engine.ports.Subscription` over a journal. Serves any number of loops.

    A ``remote`` journal is asked off the loop: its server may keep us waiting.
    """

    def __init__(self, journal: Journal, *, remote: bool = False) -> None:
        self._journal = journal
        self._remote = remote
        self._news = Bell()

    def wake(self) -> None:
        """See `Subscription.wake`. Costs next to nothing while nobody follows."""
        self._news.ring()

    async def changed(self, since: int) -> None:
        """See `Subscription.changed`."""
        while True:
            with self._news.waiting() as event:
                if await self._position() > since:
                    return
                await _either(event, self._poll())

    async def mail(self) -> None:
        """See `Subscription.mail`. Nobody else can send any."""
        await asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """End what runs for those who wait. Idempotent."""

    def _poll(self) -> float:
        return POLL

    async def _position(self) -> int:
        if self._remote:
            return await asyncio.to_thread(self._journal.position)
        return self._journal.position()


class Seen:
    """What each loop has seen last. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, int]()

    def is_new(self, value: int) -> bool:
        """Whether the running loop has not seen this value yet; now it has."""
        loop = asyncio.get_running_loop()
        with self._lock:
            last = self._last.get(loop)
            self._last[loop] = value
            return last != value


class FileFeed(Feed):
    """For a store in a file, of which ``version`` tells cheaply whether it has changed."""

    def __init__(self, journal: Journal, version: Callable[[], int]) -> None:
        super().__init__(journal)
        self._version = version
        self._seen = Seen()

    async def mail(self) -> None:
        """See `Subscription.mail`. Looks ten times a second whether anybody has written.

        One's own commits count as well, so it never returns at once.
        """
        deadline = time.monotonic() + FLOOR
        while True:
            await asyncio.sleep(POLL)
            if self._seen.is_new(self._version()) or time.monotonic() > deadline:
                return


class Listener(Protocol):
    """Hears what a server tells, in a thread of its own that mends its connection."""

    up: bool
    """Whether the server can be heard now."""

    def start(self) -> None:
        """Idempotent; any thread may call."""

    def close(self) -> None:
        """End the thread. Idempotent."""


Hear = Callable[[bool, bool], None]
"""Called with whether there may be news, and whether there may be mail. From any thread."""


class ServerFeed(Feed):
    """For a store on a server, which tells of commits and of letters.

    The listener starts when it is first needed.
    """

    def __init__(self, journal: Journal, listener: Callable[[Hear], Listener]) -> None:
        super().__init__(journal, remote=True)
        self._listener = listener(self._hear)
        self._letters = Bell()
        self._told = itertools.count(1)
        self._rung = 0
        self._seen = Seen()

    def _hear(self, news: bool, mail: bool) -> None:
        if mail:
            self._rung = next(self._told)
            self._letters.ring()
        if news:
            self._news.ring()

    async def changed(self, since: int) -> None:
        """See `Subscription.changed`."""
        self._listener.start()
        await super().changed(since)

    async def mail(self) -> None:
        """See `Subscription.mail`."""
        self._listener.start()
        with self._letters.waiting() as event:
            if not self._seen.is_new(self._rung):
                await _either(event, FLOOR)
                self._seen.is_new(self._rung)

    def close(self) -> None:
        """See `Feed.close`."""
        self._listener.close()

    def _poll(self) -> float:
        return FLOOR if self._listener.up else POLL


async def _either(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
