"""Rules for attempts: they start, report, are lost, found again, and report too late."""

from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.errors import InvalidTransition
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.testing.trees import raw
from tests.domain.course import (
    BROKEN,
    TRANSIENT,
    Course,
    chances,
    is_driven,
    is_heard,
    is_open,
    is_startable,
    numbers,
)


class Attempts(Course):
    """What engines and executors do."""

    @precondition(is_startable)
    @rule(n=numbers)
    def start(self, n: int) -> None:
        startable = self.startable()
        assert self.decide(decide.start, startable[n % len(startable)]) == 1

    @precondition(is_startable)
    @rule(n=numbers)
    def start_and_fail_before_the_call(self, n: int) -> None:
        startable = self.startable()
        assert self.decide(decide.start, startable[n % len(startable)], fault=BROKEN) == 2

    @precondition(is_open)
    @rule(n=numbers)
    def start_what_may_not_start(self, n: int) -> None:
        startable = self.startable()
        others = [task.n for task in self.tree.live() if task.n not in startable]
        if others:
            with pytest.raises(InvalidTransition, match="not ready"):
                self.decide(decide.start, others[n % len(others)])
            with pytest.raises(InvalidTransition, match="not ready"):
                self.decide(decide.wait, others[n % len(others)], until=self.now)

    @precondition(is_heard)
    @rule(n=numbers, result=st.sampled_from([None, raw(None), raw({"x": 1})]))
    def complete(self, n: int, result: Any) -> None:
        id, attempt = self.pick(n)
        assert self.decide(decide.complete, id, attempt, result=result) == 1
        assert self.naive.status(id) == "completed"

    @precondition(is_heard)
    @rule(
        n=numbers,
        error=st.sampled_from([BROKEN, TRANSIENT]),
        safe=st.sampled_from([None, True, False]),
        chance=chances,
        final=st.booleans(),
    )
    def fail(
        self, n: int, error: ErrorInfo, safe: bool | None, chance: Random, final: bool
    ) -> None:
        id, attempt = self.pick(n)
        ends = self.naive.to_end(id)
        options = {"safe": safe, "chance": chance.random(), "final": final}
        retry_after = chance.choice([None, None, 5.0])
        assert self.decide(decide.fail, id, attempt, error, retry_after=retry_after, **options) == 1
        expected = ("cancelled",) if ends else ("failed",) if final else ("failed", "pending")
        assert self.naive.status(id) in expected
        assert self.naive.delayed(id) == (self.naive.status(id) == "pending")

    @precondition(is_heard)
    @rule(n=numbers)
    def say_something(self, n: int) -> None:
        id, attempt = self.pick(n)
        assert self.decide(decide.progress, id, attempt, 0.5, "half") == 1
        assert self.decide(decide.save, id, attempt, raw({"at": n})) == 1

    # Reports that are none

    @precondition(lambda self: self.tree.submitted)
    @rule(n=numbers, times=st.sampled_from([1, 2, 11]), good=st.booleans())
    def report_late(self, n: int, times: int, good: bool) -> None:
        """A former attempt, or one that has ended, reports (again)."""
        naive = self.naive
        over = [
            (id, attempt)
            for id in naive.shape.specs
            if id not in naive.shape.groups
            for attempt in range(1, naive.attempts(id) + 1)
            if attempt < naive.attempts(id) or naive.status(id) != "in_progress"
        ]
        if over:
            id, attempt = over[n % len(over)]
            self._report_in_vain(id, attempt, times, good, naive.generation(id))

    @precondition(lambda self: any(task.generation > 1 for task in self.tree.live()))
    @rule(n=numbers, good=st.booleans(), attempt=st.integers(1, 3))
    def report_from_a_former_generation(self, n: int, good: bool, attempt: int) -> None:
        naive = self.naive
        again = [id for id in naive.shape.specs if naive.generation(id) > 1]
        id, facts = again[n % len(again)], len(self.log)
        self._report_in_vain(id, attempt, 1, good, naive.generation(id) - 1)
        assert len(self.log) == facts

    def _report_in_vain(
        self, id: str, attempt: int, times: int, good: bool, generation: int
    ) -> None:
        statuses = self.naive.statuses
        of = {"generation": generation}
        for _ in range(times):
            if good:
                self.decide(decide.complete, id, attempt, result=raw("late"), **of)
            else:
                self.decide(decide.fail, id, attempt, BROKEN, **of)
            assert self.decide(decide.progress, id, attempt, 0.5, "", **of) == 0
        assert self.decide(decide.stopped, id, attempt, ended=True, **of) == 0
        assert self.decide(decide.lost, id, attempt, **of) == 0
        assert self.naive.statuses == statuses

    @precondition(is_open)
    @rule(n=numbers)
    def report_what_never_ran(self, n: int) -> None:
        naive = self.naive
        ids = list(naive.shape.specs)
        id = ids[n % len(ids)]
        attempt = naive.attempts(id) + (naive.waits(id) is None)
        if id in naive.shape.groups:
            attempt = 1
        with pytest.raises(InvalidTransition, match="has had no attempt"):
            self.decide(decide.complete, id, attempt)

    # Engines that come and go

    @precondition(is_open)
    @rule(engine=st.sampled_from(["engine-1", "engine-2"]), chance=chances)
    def claim(self, engine: str, chance: Random) -> None:
        """The first claim, or a crash and another engine's claim; some work may be found again."""
        running = self.running()
        keep = {self.tree.index[id] for id in running if chance.random() < 0.3}
        kept = self.ids(keep)
        expected = {id: self._when_lost(id) for id in running if id not in kept}
        assert self.decide(decide.claim, engine, keep=keep) == 1 + len(expected)
        assert {id: self.naive.status(id) for id in expected} == expected
        assert set(self.running()) == set(kept)

    @precondition(is_open)
    @rule(chance=chances)
    def release(self, chance: Random) -> None:
        was_free = self.tree.released
        expected = {id: self._when_lost(id) for id in self.running()}
        ended = {self.tree.index[id] for id in expected if chance.random() < 0.5}
        drawn = self.decide(decide.release, ended=ended)
        assert drawn == (0 if was_free else 1 + len(expected))
        assert {id: self.naive.status(id) for id in expected} == expected
        assert self.tree.released

    def _when_lost(self, id: str) -> str:
        """What becomes of a task whose engine is gone."""
        policy = self.naive.shape.specs[id].policy
        task = self.tree.task(id)
        assert task is not None
        if self.naive.to_end(id):
            return "cancelled"
        often = task.interruptions >= policy.max_interruptions
        return "failed" if often or policy.on_interrupt == "fail" else "pending"

    @precondition(lambda self: bool(self.tree.orphans))
    @rule(n=numbers, found=st.booleans())
    def look_for_what_ran(self, n: int, found: bool) -> None:
        orphans = list(self.tree.orphans)
        (id,) = self.ids([orphans[n % len(orphans)]])
        expected = "in_progress" if found else self._when_lost(id)
        command = decide.take_over if found else decide.lost
        assert self.decide(command, id, self.naive.attempts(id)) == 1
        assert self.naive.status(id) == expected

    @precondition(is_driven)
    @rule(n=numbers)
    def take_over_what_is_not_lost(self, n: int) -> None:
        others = [task for task in self.tree.live() if task.n not in self.tree.orphans]
        if others:
            task = others[n % len(others)]
            with pytest.raises(InvalidTransition, match="is over"):
                self.decide(decide.take_over, task.spec.id, task.attempt)
