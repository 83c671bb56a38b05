"""Rules for drafts, and for their submission."""

from collections.abc import Iterable
from contextlib import suppress
from random import Random

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from msgspec import structs

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.errors import Fault, InvalidGraph, InvalidInput, InvalidTransition
from aipartnerupflow.domain.evolve import fold
from aipartnerupflow.domain.specs import EMPTY_OBJECT, NO_POLICY
from aipartnerupflow.testing.trees import UID
from tests.domain.course import Course, chances, numbers
from tests.domain.naive import Shape
from tests.domain.random_trees import IDS, ROOT, random_task, random_tasks


def no_names(id: str) -> str | None:
    return None


def is_draft(course: Course) -> bool:
    return course.tree.is_draft


class Drafts(Course):
    """A tree before it runs."""

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
        """Drop what is at fault: a policy, or the dependencies of the first that has any."""
        for fault in faults:
            path = fault.message.rpartition(": ")[2].split(" -> ")
            labels = path if fault.code == "cycle" else [fault.where]
            on_path = [task for label in labels if (task := self.tree.by_key(label))]
            if fault.code == "group_policy":
                self.decide(decide.change, structs.replace(on_path[0].spec, policy=NO_POLICY))
                continue
            task = next((task for task in on_path if task.spec.dependencies), None)
            if task is not None:
                self.decide(decide.change, structs.replace(task.spec, dependencies=()))

    @precondition(is_draft)
    @rule(chance=chances)
    def add(self, chance: Random) -> None:
        there = [task.spec for task in self.tree.live()]
        free = [id for id in IDS if self.tree.task(id) is None]
        if there and free:
            self.decide(decide.add, [random_task(chance, free[0], there)])

    @precondition(is_draft)
    @rule(chance=chances)
    def change(self, chance: Random) -> None:
        tasks = [task.spec for task in self.tree.live()]
        if tasks:
            id = chance.choice(tasks).id
            others = tasks if chance.random() < 0.1 else [t for t in tasks if t.id < id]
            with suppress(InvalidInput):  # neither may the root get a parent nor others lose theirs
                self.decide(decide.change, random_task(chance, id, others))

    @precondition(is_draft)
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
