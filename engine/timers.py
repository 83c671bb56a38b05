"""When a tree has to be looked at again: retries, deadlines and waits, armed from its state.

Due times stand in the log as wall time. In a running engine a span is measured by the loop's
monotonic clock, so that a clock that is set does not shorten or stretch it; a time that a user
named moves with the wall clock. After a restart there is only the wall clock, and no span is longer
than it was.
"""

import asyncio
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from msgspec import Struct

from ..domain.decide.attempts import deadline_of
from ..domain.time import to_seconds
from ..domain.tree import Tree, Waiting

if TYPE_CHECKING:
    from .actor import Actor
    from .ports import Clock

LOOK_AGAIN = 60.0
"""Seconds after which a named time is compared with the wall clock again."""


class Alarm(Struct, frozen=True, gc=False):
    """``due`` and ``since`` as in the log; ``absolute``: named, not measured from ``since``.

    ``version`` is that of the event that set it: where the clock was set back, another one may
    have the same times.
    """

    due: str
    since: str
    version: int
    absolute: bool = False


def alarms(tree: Tree, n: int) -> Iterator[Alarm]:
    """What task ``n`` waits for, as far as it is a time."""
    task = tree.at_n(n)
    if task.backoff is not None:
        yield Alarm(task.backoff.due, task.backoff.since, tree.delayed[n])
    phase = task.phase
    if isinstance(phase, Waiting) and phase.until is not None:
        yield Alarm(phase.until, phase.since, tree.waiting[n], phase.absolute)
    if (deadline := _deadline(tree, n)) is not None:
        yield deadline


def _deadline(tree: Tree, n: int) -> Alarm | None:
    task = tree.at_n(n)
    due = deadline_of(task) if n in tree.deadlines else None
    return None if due is None else Alarm(due, task.ready_at, tree.deadlines[n])


def is_ticking(actor: "Actor", n: int) -> bool:
    """Whether a deadline of task ``n`` is set, and has not rung."""
    deadline = _deadline(actor.tree, n)
    return deadline is not None and (n, deadline) in actor.alarms


Entry = tuple[float, int, "Actor", int, Alarm]
"""When, by the loop's clock; a unique number; whose; which task; why."""


class Timers:
    """The alarms of one engine. ``ring`` is called in its loop when the first is due."""

    def __init__(self, clock: "Clock", ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._heap: list[Entry] = []
        self._numbers = count()
        self._handle: asyncio.TimerHandle | None = None
        self._dead = 0

    def __len__(self) -> int:
        return len(self._heap)

    def arm(self, actor: "Actor") -> None:
        """Take up what was given a time since the last call.

        What is armed again, by an unpause or a re-run, keeps the time that it has: by the wall
        clock, which may have been set since, it could seem to be over.
        """
        tree = actor.tree
        armed, tree.armed = tree.armed, []
        for n in dict.fromkeys(armed):
            for alarm in alarms(tree, n):
                if (n, alarm) not in actor.alarms:
                    actor.alarms.add((n, alarm))
                    self._push(actor, n, alarm)
        self._wind()

    def arm_all(self, actor: "Actor") -> None:
        """Take up all that waits for a time, as after a restart."""
        tree = actor.tree
        tree.armed = [*tree.delayed, *tree.waiting, *tree.deadlines]
        self.arm(actor)

    def forget(self, actor: "Actor") -> None:
        """The tree is not run here any more; its alarms go when they are many, or due."""
        self._dead += len(actor.alarms)
        actor.alarms.clear()
        if self._dead > 64 and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].driven]
            heapify(self._heap)
            self._dead = 0
            self._wind()

    def rung(self) -> list[tuple["Actor", int, Alarm]]:
        """What is due now; each alarm is told once."""
        found = []
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            _, _, actor, n, alarm = heappop(self._heap)
            if not actor.driven:
                self._dead = max(0, self._dead - 1)
            elif alarm not in alarms(actor.tree, n):
                actor.alarms.discard((n, alarm))  # of an attempt or a generation that is over
            elif alarm.absolute and self._remaining(alarm) > 0:
                self._push(actor, n, alarm)
            else:
                actor.alarms.discard((n, alarm))
                found.append((actor, n, alarm))
        self._wind()
        return found

    def close(self) -> None:
        """Ring no more."""
        if self._handle is not None:
            self._handle.cancel()
        self._heap.clear()

    def _push(self, actor: "Actor", n: int, alarm: Alarm) -> None:
        at = self._loop.time() + min(self._remaining(alarm), LOOK_AGAIN if alarm.absolute else 1e9)
        heappush(self._heap, (at, next(self._numbers), actor, n, alarm))

    def _remaining(self, alarm: Alarm) -> float:
        due = to_seconds(alarm.due)
        left = max(0.0, due - self._clock.now())
        return left if alarm.absolute else min(left, due - to_seconds(alarm.since))

    def _wind(self) -> None:
        """Set the loop's timer for the first alarm."""
        if self._handle is not None:
            if self._heap and self._handle.when() == self._heap[0][0]:
                return
            self._handle.cancel()
            self._handle = None
        if self._heap:
            self._handle = self._loop.call_at(self._heap[0][0], self._due)

    def _due(self) -> None:
        self._handle = None
        self._ring()
