"""One tree on its course: what the rules of the state machine have in common."""

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import strategies as st

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.decide import Stamp
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.evolve import evolve
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.domain.time import later
from aipartnerupflow.domain.tree import Waiting
from aipartnerupflow.testing.clock import VirtualClock
from aipartnerupflow.testing.trees import raw
from tests.domain.laws import Laws

BROKEN = ErrorInfo("Broken", "it broke")
TRANSIENT = ErrorInfo("Refused", "not now", ("TransientError",))

numbers = st.integers(0, 10_000)
chances = st.integers(0, 2**32 - 1).map(Random)
"""Even chances, where a strategy would prefer the simple."""


def is_open(course: "Course") -> bool:
    return course.tree.submitted and not course.tree.settled


def is_driven(course: "Course") -> bool:
    return is_open(course) and not course.tree.released


def is_startable(course: "Course") -> bool:
    return is_driven(course) and bool(course.startable())


def is_heard(course: "Course") -> bool:
    return bool(course.heard())


class Course(Laws):
    """One tree from its creation until it has settled, and some way beyond."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.commands = 0

    def stamp(self) -> Stamp:
        self.commands += 1
        return Stamp(self.clock.text(), "user", f"c{self.commands}").after(self.tree)

    @property
    def now(self) -> str:
        """When a fact would be decided."""
        return max(self.clock.text(), self.tree.at)

    def decide(
        self, command: Callable[..., list[AnyEvent]], *arguments: Any, **options: Any
    ) -> int:
        """Ask, apply, and draw all that follows; returns how many facts there were.

        Were the state changed by asking, a replay would not come to the same.
        """
        facts = command(self.tree, *arguments, self.stamp(), **options)
        drawn = len(facts)
        while facts:
            for fact in facts:
                evolve(self.tree, fact)
            self.log.extend(facts)
            facts = decide.follow(self.tree, self.stamp())
        return drawn

    def startable(self) -> list[int]:
        """The numbers of the tasks that may start now, by the model."""
        naive = self.naive
        if naive.paused or naive.cancelling:
            return []
        found = []
        for task in self.tree.live():
            due = task.backoff is None or task.backoff.due <= self.now
            if due and naive.could_start(task.spec.id):
                found.append(task.n)
        return found

    def heard(self) -> list[str]:
        """Those that run and can report: all but those that nobody has found again."""
        return [id for id in self.running() if not self.naive.orphaned(id)]

    def pick(self, n: int) -> tuple[str, int]:
        """One that can report, and its attempt."""
        heard = self.heard()
        id = heard[n % len(heard)]
        return id, self.naive.attempts(id)

    def signals(self) -> set[int]:
        """The one executor that there is waits for signals, too."""
        return set(range(len(self.tree.executors)))

    def timers(self) -> None:
        """All that is due by now."""
        for n in dict.fromkeys([*self.tree.waiting, *self.tree.deadlines]):
            self.decide(decide.time_is_up, n)

    def step(self, chance: Random) -> None:
        """One engine's next step, whichever may come next."""
        orphans, startable, heard = list(self.tree.orphans), self.startable(), self.heard()
        if orphans:
            self._look_for(chance.choice(orphans), found=chance.random() < 0.5)
        elif startable and (not heard or chance.random() < 0.5):
            self._start(chance, chance.choice(startable))
        elif heard:
            self._end(chance, chance.choice(heard))
        elif self.tree.waiting and chance.random() < 0.5:
            self._say_what_is_waited_for(next(iter(self.tree.waiting)))
        else:
            self.clock.jump(4_000)
            self.timers()

    def _look_for(self, n: int, *, found: bool) -> None:
        task = self.tree.at_n(n)
        command = decide.take_over if found else decide.lost
        assert self.decide(command, task.spec.id, task.attempt) == 1

    def _start(self, chance: Random, n: int) -> None:
        draw = chance.random()
        if draw < 0.1:
            self.decide(decide.start, n, fault=BROKEN)
        elif draw < 0.2:
            self.decide(decide.wait, n, until=later(self.now, 30))
        elif draw < 0.3 and self.tree.at_n(n).kind >= 0:
            self.decide(decide.wait_for_signal, n)
        else:
            self.decide(decide.start, n)

    def _end(self, chance: Random, id: str) -> None:
        attempt, draw = self.naive.attempts(id), chance.random()
        if draw < 0.1:
            self.decide(decide.claim, "engine-2")
        elif draw < 0.2 and self.naive.to_end(id):
            self.decide(decide.stopped, id, attempt, ended=True)
        elif draw < 0.4:
            error = chance.choice([BROKEN, TRANSIENT])
            self.decide(decide.fail, id, attempt, error, safe=True, chance=chance.random())
        else:
            self.decide(decide.complete, id, attempt, result=raw(None))

    def _say_what_is_waited_for(self, n: int) -> None:
        phase = self.tree.at_n(n).phase
        if isinstance(phase, Waiting) and phase.signal is not None:
            said = f"s{self.commands}"
            self.decide(decide.signal, said, phase.signal, None, signals=self.signals())
