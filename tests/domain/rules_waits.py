"""Rules for waits, signals and time."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from aipartnerupflow.domain.events import SignalReceived
from aipartnerupflow.domain.time import later, to_seconds
from aipartnerupflow.testing.trees import raw
from tests.domain.course import Course, is_driven, is_startable, numbers
from tests.domain.naive import TERMINAL
from tests.domain.random_trees import IDS, SIGNAL


class Waits(Course):
    """Tasks that wait without a slot."""

    @precondition(is_startable)
    @rule(n=numbers, seconds=st.sampled_from([-5.0, 0.0, 30.0, 1e6]), absolute=st.booleans())
    def wait_for_a_time(self, n: int, seconds: float, absolute: bool) -> None:
        startable = self.startable()
        task, until = startable[n % len(startable)], later(self.now, seconds)
        assert self.decide(decide.wait, task, until=until, absolute=absolute) == 2

    @precondition(is_startable)
    @rule(n=numbers)
    def wait_for_a_signal(self, n: int) -> None:
        can_wait = [n for n in self.startable() if self.tree.at_n(n).kind >= 0]
        if can_wait:
            task = self.tree.at_n(can_wait[n % len(can_wait)])
            said = self.naive.signals().get(decide.signal_inputs(task.spec).name or task.spec.label)
            assert self.decide(decide.wait_for_signal, task.n) == (3 if said else 2)
            assert (self.naive.status(task.spec.id) == "completed") == bool(said)

    @precondition(lambda self: self.tree.submitted)
    @rule(
        name=st.sampled_from([SIGNAL, *IDS]),
        id=st.integers(0, 30).map(lambda n: f"s{n}"),
        payload=st.sampled_from([None, raw(None), raw([1])]),
    )
    def say(self, name: str, id: str, payload: object) -> None:
        naive = self.naive
        known = id in self.tree.signal_ids
        meant = [
            task.spec.id
            for task in self.tree.live()
            if task.kind >= 0 and (decide.signal_inputs(task.spec).name or task.spec.label) == name
        ]
        left = [id for id in meant if naive.status(id) not in TERMINAL]
        waiting = [
            i for i in self.ids(self.tree.waiting) if (w := naive.waits(i)) and w.signal == name
        ]
        arguments = (id, name, payload)
        before = [e for e in self.log if isinstance(e, SignalReceived) and e.id == id]
        if any((e.name, e.payload or raw(None)) != (name, payload or raw(None)) for e in before):
            with pytest.raises(InvalidInput, match="with another name or payload"):
                self.decide(decide.signal, *arguments, signals=self.signals())
        elif not known and not left:
            with pytest.raises((InvalidInput, InvalidTransition)):
                self.decide(decide.signal, *arguments, signals=self.signals())
        elif not known and self.tree.settled:
            with pytest.raises(InvalidTransition):
                self.decide(decide.signal, *arguments, signals=self.signals())
        else:
            drawn = self.decide(decide.signal, *arguments, signals=self.signals())
            assert drawn == (0 if known else 2 if waiting else 1)

    @precondition(is_driven)
    @rule()
    def ring(self) -> None:
        """All timers that are due; then nothing is."""
        self.timers()
        now = self.now
        for id, spec in self.naive.shape.specs.items():
            waits = self.naive.waits(id)
            assert waits is None or waits.until is None or waits.until > now
            task = self.tree.task(id)
            assert task is not None
            if task.n in self.tree.deadlines and not self.naive.runs(id):
                assert spec.policy.deadline is not None
                assert to_seconds(task.ready_at) + spec.policy.deadline > to_seconds(now)

    @rule(seconds=st.sampled_from([0.5, 30.0, 3600.0, -3600.0]))
    def time_passes_or_is_set(self, seconds: float) -> None:
        self.clock.jump(seconds)
