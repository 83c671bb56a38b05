"""Rules for what users ask of a tree that runs, or has run."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.errors import InvalidTransition
from tests.domain.course import Course, chances, is_open, numbers
from tests.domain.naive_rerun import NaivePlan


class Steering(Course):
    """Cancel, pause, unpause, re-run."""

    @precondition(is_open)
    @rule(n=numbers)
    def cancel(self, n: int) -> None:
        naive, ids = self.naive, list(self.naive.shape.specs)
        id = ids[n % len(ids)]
        if naive.ended(id):
            with pytest.raises(InvalidTransition, match="nothing to cancel"):
                self.decide(decide.cancel_task, id)
            return
        below = [one for one in ids if id in naive.shape.above(one)]
        idle, running = self._open(below if id in naive.shape.groups else [id])
        asked = [one for one in running if not naive.to_end(one)]
        assert self.decide(decide.cancel_task, id, reason="no use") == len(idle) + len(asked)
        self._ends(idle, running)

    @precondition(is_open)
    @rule()
    def cancel_everything(self) -> None:
        idle, running = self._open(list(self.naive.shape.specs))
        expected = 0 if self.naive.cancelling else 1 + len(idle)
        assert self.decide(decide.cancel_tree, reason="enough") == expected
        self._ends(idle, running)

    def _open(self, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Of these tasks, groups apart, those that can end at once and those that run."""
        naive = self.naive
        tasks = [id for id in ids if id not in naive.shape.groups and not naive.ended(id)]
        running = [id for id in tasks if naive.runs(id)]
        return [id for id in tasks if id not in running], running

    def _ends(self, idle: Sequence[str], running: Sequence[str]) -> None:
        assert all(self.naive.status(id) == "cancelled" for id in idle)
        assert all(self.naive.to_end(id) for id in running)

    @precondition(lambda self: bool(self.tree.cancels))
    @rule(n=numbers, ended=st.booleans())
    def stop(self, n: int, ended: bool) -> None:
        """What was asked to end has ended, or was given up."""
        asked = self.ids(self.tree.cancels)
        id = asked[n % len(asked)]
        assert self.decide(decide.stopped, id, self.naive.attempts(id), ended=ended) == 1
        assert self.naive.status(id) == "cancelled"

    @precondition(is_open)
    @rule(on=st.booleans())
    def pause_or_unpause(self, on: bool) -> None:
        command, was = (decide.pause if on else decide.unpause), self.naive.paused
        assert self.decide(command) == (0 if was == on else 1)
        assert self.tree.paused == on

    @precondition(lambda self: self.tree.submitted)
    @rule(way=st.sampled_from(["failed", "from", "all"]), chance=chances)
    def run_again(self, way: str, chance: Random) -> None:
        self.rerun(way, chance)

    def rerun(self, way: str, chance: Random) -> bool:
        """Planned and done is what the model says, or both are refused: then False."""
        ids = list(self.naive.shape.specs)
        named = chance.sample(ids, chance.randint(1, 2)) if way == "from" else []
        expected = NaivePlan(self.naive, way, named)
        if expected.refused:
            with pytest.raises(InvalidTransition):
                decide.plan(self.tree, way, named)
            with pytest.raises(InvalidTransition):
                self.decide(decide.rerun, way, ids=named)
            return False
        plan = decide.plan(self.tree, way, named)
        assert list(plan.reopened) == expected.reopened
        assert list(plan.runs) == expected.runs
        assert list(plan.kept) == expected.kept
        named = [self.naive.shape.specs[id].label for id in named]
        assert self.decide(decide.rerun, way, ids=named) == 1 + len(expected.reopened)
        assert not self.tree.settled
        return True
