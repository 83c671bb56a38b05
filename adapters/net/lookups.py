"""Look-ups of names, in threads of their own.

The loop's threads carry what an engine lives by as well, such as its lease and reads of the
journal: names whose servers do not answer must not take those.
"""

import asyncio
import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

SECONDS: Final = 8.0
"""For which a caller waits. The look-up itself ends when this machine's resolver ends it."""
THREADS: Final = 32
ALIKE: Final = 8
"""Of these for names with the same last two labels: more than one kind has to hang to stop all."""
WAITING: Final = 256
"""Names for which no thread is free yet."""

Waiter = asyncio.Future[Sequence[str]]


class TooMany(OSError):
    """So many names are being looked up that a further one is not begun."""


class _LookUp:
    """One name, whoever waits for it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind = ".".join(name.split(".")[-2:])
        self.waiters: set[Waiter] = set()

    def tell(self, settle: Callable[[Waiter], None]) -> None:
        """Each that waits, in its own loop."""
        for waiter in self.waiters:
            try:
                waiter.get_loop().call_soon_threadsafe(_unless_done, waiter, settle)
            except RuntimeError:
                pass  # its loop has ended: nobody waits there


class LookUps:
    """`socket.getaddrinfo` for many loops: one at a time for each name, however many ask."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self.forget()

    def forget(self) -> None:
        """Begin anew: after a fork the threads are gone, and the lock may be held for ever."""
        self._lock = threading.Lock()
        self._known: dict[str, _LookUp] = {}
        self._queue: dict[str, _LookUp] = {}
        self._alike: Counter[str] = Counter()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name. Raises OSError: `TooMany`, TimeoutError, what the resolver says.

        ``port`` is not looked at: addresses are the same for all of them.
        """
        waiter: Waiter = asyncio.get_running_loop().create_future()
        look = self._join(host, waiter)
        try:
            async with asyncio.timeout(self._seconds):
                return await waiter
        finally:
            self._leave(look, waiter)

    def _join(self, name: str, waiter: Waiter) -> _LookUp:
        with self._lock:
            look = self._known.get(name)
            if look is None:
                if len(self._queue) >= WAITING:
                    raise TooMany("too many names are being looked up")
                look = self._known[name] = self._queue[name] = _LookUp(name)
            look.waiters.add(waiter)
            first = self._next()
        if first is not None:
            self._start(first)
        return look

    def _start(self, look: _LookUp) -> None:
        try:
            threading.Thread(target=self._work, args=(look,), daemon=True).start()
        except RuntimeError as error:  # this machine gives no further thread
            failed = TooMany(str(error))
            with self._lock:
                self._over(look, lambda waiter: waiter.set_exception(failed))

    def _leave(self, look: _LookUp, waiter: Waiter) -> None:
        with self._lock:
            look.waiters.discard(waiter)
            if not look.waiters and look.name in self._queue:
                del self._queue[look.name], self._known[look.name]

    def _next(self) -> _LookUp | None:
        """Of those that wait, the first that may begin."""
        if self._alike.total() >= THREADS:
            return None
        for look in self._queue.values():
            if self._alike[look.kind] < ALIKE:
                del self._queue[look.name]
                self._alike[look.kind] += 1
                return look
        return None

    def _work(self, look: _LookUp | None) -> None:
        while look is not None:
            settle = _asked(look.name)
            with self._lock:
                self._over(look, settle)
                look = self._next()

    def _over(self, look: _LookUp, settle: Callable[[Waiter], None]) -> None:
        del self._known[look.name]
        self._alike -= Counter((look.kind,))
        look.tell(settle)


def _asked(name: str) -> Callable[[Waiter], None]:
    """Asks the resolver; gives what to do with everyone who waits."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except Exception as error:  # noqa: BLE001 - whatever it is, who waits is told
        failed = error
        return lambda waiter: waiter.set_exception(failed)
    addresses = [str(address[0]) for *_, address in found]
    return lambda waiter: waiter.set_result(addresses)


def _unless_done(waiter: Waiter, settle: Callable[[Waiter], None]) -> None:
    if not waiter.done():
        settle(waiter)


system_resolve: Final = LookUps()
"""This machine's resolver: one for the process, as its threads are."""
os.register_at_fork(after_in_child=system_resolve.forget)
