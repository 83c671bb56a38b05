"""An event loop on virtual time: an hour of sleep takes no time, and a seed always gives one run.

When nothing is ready, time jumps to the next timer. There are no threads, sockets or processes:
what would run in a thread runs in the loop, in one go. What a seed decides is what asyncio leaves
open, and nothing more:

- callbacks of `call_soon` run in the order of their calls, which asyncio promises;
- timers run in the order of their times, which it promises too; those of one instant in any order;
- with ``lateness`` the loop wakes up to that many seconds late, as on a busy machine: a timer is
  never early, and those that fell due meanwhile come in one round;
- what was given to threads ends in any order, within ``lateness``.
"""

import asyncio
from asyncio import TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from heapq import heappop, heappush
from random import Random
from typing import Any, TypeVar, TypeVarTuple

from ..domain.time import to_text
from .clock import NEW_YEAR_2026

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MAX_ROUNDS = 100_000
"""So many rounds may pass at one instant; a loop that goes on longer is taken to spin for ever."""


class Stuck(RuntimeError):
    """A real loop would wait, or spin, for ever."""


class _Timer(TimerHandle):
    """Orders timers of one instant by chance instead of by the whim of a heap."""

    __slots__ = ("tie",)
    tie: float

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, _Timer)
        one, two = self.when(), other.when()
        return one < two or (one == two and self.tie < other.tie)


class VirtualLoop(asyncio.BaseEventLoop):
    """See above. Raises `Stuck` where a real loop would never do anything again."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[_Timer]
    _stopping: bool

    def __init__(self, seed: int = 0, *, lateness: float = 0.0) -> None:
        super().__init__()
        # What a seed decides is no secret.
        self._chance = Random(seed)  # nosec B311
        self._lateness = lateness
        self._now = 0.0
        self._rounds = 0

    def time(self) -> float:
        """Seconds since the loop was made; only the loop's waiting, and `block`, let them pass."""
        return self._now

    def block(self, seconds: float) -> None:
        """Let time pass within a callback, as a call that blocks does: nothing else runs."""
        self._now += seconds
        self._rounds = 0

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:  # fmt: skip
        """See `asyncio.AbstractEventLoop.call_at`."""
        timer = _Timer(when, callback, args, self, context)
        timer.tie = self._chance.random()
        heappush(self._scheduled, timer)
        return timer

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """Call ``func`` later, here; nothing else runs meanwhile."""
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.done():
                return
            try:
                result = func(*args)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - belongs to whoever awaits the result
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(self._late(), run)
        return future

    def run_handle(self, handle: asyncio.Handle) -> None:
        """Run one callback; a subclass may keep it back."""
        handle._run()

    def _run_once(self) -> None:
        """One round, as in `asyncio.BaseEventLoop`: what is ready now, not what becomes so."""
        if not self._ready and not self._stopping:
            self._jump()
        while self._scheduled and self._scheduled[0].when() <= self._now:
            self._ready.append(heappop(self._scheduled))
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            raise Stuck(f"{MAX_ROUNDS} rounds at {self._now} s, and still no time passes")
        for _ in range(len(self._ready)):
            handle = self._ready.popleft()
            if not handle.cancelled():
                self.run_handle(handle)

    def _jump(self) -> None:
        while self._scheduled and self._scheduled[0].cancelled():
            heappop(self._scheduled)
        if not self._scheduled:
            raise Stuck(f"at {self._now} s all wait for something that nobody will do")
        if self._scheduled[0].when() > self._now:
            self._now = self._scheduled[0].when() + self._late()
            self._rounds = 0

    def _late(self) -> float:
        return self._chance.random() * self._lateness if self._lateness else 0.0

    def _write_to_self(self) -> None:
        """Nobody sleeps who had to be woken."""

    def _process_events(self, event_list: Any) -> None:
        """There are no files."""


class LoopClock:
    """An `engine.ports.Clock` whose hands move with the loop's time, until somebody sets them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: float = NEW_YEAR_2026) -> None:
        self._loop = loop
        self._zero = start - loop.time()

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return self._zero + self._loop.time()

    def text(self) -> str:
        """The present as it stands in the ``at`` of an event."""
        return to_text(self.now())

    def jump(self, seconds: float) -> None:
        """Set the clock, forward or back, as an administrator or a time server may do."""
        self._zero += seconds


def run(main: Coroutine[Any, Any, T], *, seed: int = 0, lateness: float = 0.0) -> T:
    """`asyncio.run` on virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed, lateness=lateness)) as runner:
        return runner.run(main)
