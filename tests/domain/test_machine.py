"""Random trees on random courses, against a model that works everything out from the log."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import json, structs

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.decide import Stamp
from aipartnerupflow.domain.errors import Fault, InvalidGraph, InvalidInput, InvalidTransition
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.evolve import evolve, fold
from aipartnerupflow.domain.specs import EMPTY_OBJECT, ErrorInfo
from aipartnerupflow.testing.clock import VirtualClock
from aipartnerupflow.testing.state import differences
from aipartnerupflow.testing.trees import UID, raw
from tests.domain.laws import Laws
from tests.domain.naive import Shape
from tests.domain.random_trees import IDS, ROOT, random_task, random_tasks

BROKEN = ErrorInfo("Broken", "it broke")

numbers = st.integers(0, 10_000)
chances = st.integers(0, 2**32 - 1).map(Random)
"""Even chances, where a strategy would prefer the simple."""


def no_names(id: str) -> str | None:
    return None


class Course(Laws):
    """One tree from its creation until it has settled, and some way beyond."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.commands = 0

    # What holds the parts together

    def stamp(self) -> Stamp:
        self.commands += 1
        return Stamp(self.clock.text(), "user", f"c{self.commands}").after(self.tree)

    def decide(
        self, command: Callable[..., list[AnyEvent]], *arguments: Any, **options: Any
    ) -> int:
        """Ask, apply, and draw all that follows; returns how many facts there were."""
        before = fold(ROOT, self.log)
        try:
            facts = command(self.tree, *arguments, self.stamp(), **options)
        finally:
            assert differences(self.tree, before, ignore=()) == []
        drawn = len(facts)
        while facts:
            for fact in facts:
                evolve(self.tree, fact)
            self.log.extend(facts)
            facts = decide.follow(self.tree, self.stamp())
        return drawn

    def is_running(self) -> bool:
        return bool(self.tree.running)

    def is_ready(self) -> bool:
        return self.tree.submitted and not self.tree.released and bool(self.tree.ready)

    def is_open(self) -> bool:
        return self.tree.submitted and not self.tree.settled

    # Drafts

    @initialize(size=st.integers(2, len(IDS)), chance=chances, as_draft=st.integers(0, 9))
    def create(self, size: int, chance: Random, as_draft: int) -> None:
        tasks = random_tasks(chance, size)
        facts = decide.create(tasks, self.stamp(), uid=UID, name="machine")
        self.log.extend(facts)
        self.tree = fold(ROOT, facts)
        if as_draft != 1:
            while not self.tree.submitted:
                self.mend(self.faults_at_submission())
            self.decide(decide.claim, "engine-1")

    def mend(self, faults: Iterable[Fault]) -> None:
        """Drop the dependencies of a task in each fault, of the first on a cycle that has any."""
        for fault in faults:
            path = fault.message.rpartition(": ")[2].split(" -> ")
            labels = path if fault.code == "cycle" else [fault.where]
            on_path = [self.tree.by_key(label) for label in labels]
            task = next((task for task in on_path if task and task.spec.dependencies), None)
            if task is not None:
                self.decide(decide.change, structs.replace(task.spec, dependencies=()))

    @precondition(lambda self: self.tree.is_draft)
    @rule(chance=chances)
    def add(self, chance: Random) -> None:
        there = [task.spec for task in self.tree.live()]
        free = [id for id in IDS if self.tree.task(id) is None]
        if there and free:
            self.decide(decide.add, [random_task(chance, free[0], there)])

    @precondition(lambda self: self.tree.is_draft)
    @rule(chance=chances)
    def change(self, chance: Random) -> None:
        tasks = [task.spec for task in self.tree.live()]
        if tasks:
            id = chance.choice(tasks).id
            others = tasks if chance.random() < 0.1 else [t for t in tasks if t.id < id]
            with suppress(InvalidInput):  # neither may the root get a parent nor others lose theirs
                self.decide(decide.change, random_task(chance, id, others))

    @precondition(lambda self: self.tree.is_draft)
    @rule(n=numbers)
    def remove(self, n: int) -> None:
        others = [task.spec.id for task in self.tree.live() if task.spec.id != ROOT]
        if others:
            with suppress(InvalidTransition):
                self.decide(decide.remove, others[n % len(others)])

    @precondition(lambda self: not self.tree.settled)
    @rule()
    def submit(self) -> None:
        self.faults_at_submission()

    def faults_at_submission(self) -> tuple[Fault, ...]:
        """Submits, or is refused exactly for what the model finds wrong."""
        was_submitted = self.tree.submitted
        tasks = self.naive.specs
        parents = {spec.parent for spec in tasks}
        groups = {s.id for s in tasks if s.id in parents and s.params is EMPTY_OBJECT}
        expected = {code for code, _ in Shape(tasks, groups).faults()}
        found: tuple[Fault, ...] = ()
        try:
            drawn = self.decide(decide.submit, no_names)
        except InvalidGraph as error:
            found = error.faults
        else:
            assert drawn == (0 if was_submitted else 1)
        # Where parents form a circle, who waits for whom is not defined.
        open_question = {"cycle"} if "parent_cycle" in expected else set()
        assert {fault.code for fault in found} - open_question == expected - open_question
        return found

    # Owners

    @precondition(is_open)
    @rule(engine=st.sampled_from(["engine-1", "engine-2"]))
    def claim(self, engine: str) -> None:
        """The first claim, or a crash and another engine's claim."""
        running = self.running()
        assert self.decide(decide.claim, engine) == 1 + len(running)
        assert all(self.naive.status(id) == "pending" for id in running)

    @precondition(is_open)
    @rule()
    def release(self) -> None:
        running, was_free = self.running(), self.tree.released
        assert self.decide(decide.release) == (0 if was_free else 1 + len(running))
        assert self.tree.released
        assert not self.tree.running

    # Attempts

    @precondition(is_ready)
    @rule(n=numbers)
    def start(self, n: int) -> None:
        ready = list(self.tree.ready)
        assert self.decide(decide.start, ready[n % len(ready)]) == 1

    @precondition(is_ready)
    @rule(n=numbers)
    def start_and_fail_before_the_call(self, n: int) -> None:
        ready = list(self.tree.ready)
        assert self.decide(decide.start, ready[n % len(ready)], fault=BROKEN) == 2

    @precondition(is_open)
    @rule(n=numbers)
    def start_what_is_not_ready(self, n: int) -> None:
        others = [t for t in self.tree.live() if t.spec.id not in self.naive.ready()]
        if others:
            with pytest.raises(InvalidTransition, match="not ready"):
                self.decide(decide.start, others[n % len(others)].n)

    @precondition(is_running)
    @rule(n=numbers, result=st.sampled_from([None, raw(None), raw({"x": 1})]))
    def complete(self, n: int, result: Any) -> None:
        id, attempt = self._pick(n)
        assert self.decide(decide.complete, id, attempt, result=result) == 1
        assert self.naive.status(id) == "completed"

    @precondition(is_running)
    @rule(n=numbers)
    def fail(self, n: int) -> None:
        id, attempt = self._pick(n)
        assert self.decide(decide.fail, id, attempt, BROKEN) == 1
        assert self.naive.status(id) == "failed"

    @precondition(is_running)
    @rule(n=numbers)
    def say_something(self, n: int) -> None:
        id, attempt = self._pick(n)
        assert self.decide(decide.progress, id, attempt, 0.5, "half") == 1
        assert self.decide(decide.save, id, attempt, raw({"at": n})) == 1

    def _pick(self, n: int) -> tuple[str, int]:
        running = self.running()
        id = running[n % len(running)]
        return id, self.naive.attempts(id)

    @precondition(lambda self: self.tree.submitted)
    @rule(n=numbers, times=st.integers(1, 12), good=st.booleans())
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
        if not over:
            return
        id, attempt = over[n % len(over)]
        statuses = {id: naive.status(id) for id in naive.shape.specs}
        for _ in range(times):
            if good:
                self.decide(decide.complete, id, attempt, result=raw("late"))
            else:
                self.decide(decide.fail, id, attempt, BROKEN)
            assert self.decide(decide.progress, id, attempt, 0.5, "") == 0
        assert {id: self.naive.status(id) for id in statuses} == statuses

    @precondition(is_open)
    @rule(n=numbers)
    def report_what_never_ran(self, n: int) -> None:
        naive = self.naive
        ids = list(naive.shape.specs)
        id = ids[n % len(ids)]
        attempt = 1 if id in naive.shape.groups else naive.attempts(id) + 1
        with pytest.raises(InvalidTransition, match="has had no attempt"):
            self.decide(decide.complete, id, attempt)

    @precondition(is_open)
    @rule(chance=chances, steps=st.integers(1, 10))
    def work_for_a_while(self, chance: Random, steps: int) -> None:
        if self.tree.released:
            self.decide(decide.claim, "engine-2")
        for _ in range(steps):
            self.step(chance)
            self.everything_holds()

    def step(self, chance: Random) -> None:
        """One engine's next step, whichever may come next: a start, an end, or a loss."""
        running, ready = self.running(), list(self.tree.ready)
        if ready and (not running or chance.random() < 0.5):
            fault = BROKEN if chance.random() < 0.1 else None
            self.decide(decide.start, chance.choice(ready), fault=fault)
        elif running and chance.random() < 0.1:
            self.decide(decide.claim, "engine-2")
        elif running:
            id = chance.choice(running)
            if chance.random() < 0.7:
                self.decide(decide.complete, id, self.naive.attempts(id))
            else:
                self.decide(decide.fail, id, self.naive.attempts(id), BROKEN)

    # Time and restarts

    @rule(seconds=st.sampled_from([0.5, 3600.0, -3600.0]))
    def time_passes_or_is_set(self, seconds: float) -> None:
        self.clock.jump(seconds)

    @rule()
    def reload(self) -> None:
        """A restart: the state is what the stored form of the log folds to."""
        stored = [(type(fact), json.encode(fact)) for fact in self.log]
        self.log = [json.decode(body, type=kind) for kind, body in stored]
        reloaded = fold(ROOT, self.log)
        assert differences(reloaded, self.tree, ignore=()) == []
        self.tree = reloaded

    def teardown(self) -> None:
        """Whatever has happened, what is left can be run to its end."""
        if not self.is_open():
            return
        if self.tree.released:
            self.decide(decide.claim, "engine-3")
        chance = Random(self.commands)
        while self.tree.ready or self.tree.running:
            self.step(chance)
        self.everything_holds()
        assert self.tree.settled


def test_any_course_of_any_tree_is_as_the_model_says() -> None:
    course = settings(deadline=None, suppress_health_check=list(HealthCheck))
    if settings.get_current_profile_name() != "thorough":
        course = settings(course, max_examples=120, stateful_step_count=50)
    run_state_machine_as_test(Course, settings=course)
