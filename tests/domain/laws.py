"""What holds of a tree and its log at any moment, as a model works it out from the log."""

from hypothesis.stateful import RuleBasedStateMachine, invariant

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import AnyEvent, Recorded
from aipartnerupflow.domain.evolve import fold
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.testing.grammar import check_log
from aipartnerupflow.testing.state import differences
from tests.domain.naive import TERMINAL, Naive
from tests.domain.random_trees import ROOT


class Laws(RuleBasedStateMachine):
    """A live tree and all its facts, checked after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = Tree(ROOT)
        self.log: list[AnyEvent] = []

    @property
    def naive(self) -> Naive:
        return Naive(self.log)

    def running(self) -> list[str]:
        naive = self.naive
        return [
            id
            for id in naive.shape.specs
            if naive.status(id) == "in_progress" and id not in naive.shape.groups
        ]

    @invariant()
    def a_replay_gives_the_same_state(self) -> None:
        assert differences(fold(ROOT, self.log), self.tree, ignore=()) == []

    @invariant()
    def each_task_is_as_the_log_says(self) -> None:
        naive = self.naive
        tasks = {task.spec.id: task for task in self.tree.live()}
        assert {id: t.status for id, t in tasks.items()} == {id: naive.status(id) for id in tasks}
        assert [t.spec for t in tasks.values()] == naive.specs
        assert self.tree.version == len(self.log)
        assert self.tree.keys == {t.spec.key: t.n for t in tasks.values() if t.spec.key}
        if not self.tree.submitted:
            return
        blocked = {id for id in tasks if naive.blocked(id)}
        assert {id for id, task in tasks.items() if task.blocked} == blocked
        ready = [self.tree.at_n(n).spec.id for n in self.tree.ready]
        assert set(ready) == naive.ready()
        for id, task in tasks.items():
            children = [self.tree.at_n(n).spec.id for n in task.children or ()]
            assert children == naive.shape.children(id)
        assert not self.tree.due
        assert self.tree.failed == sum(naive.status(id) == "failed" for id in tasks)
        assert self.tree.open == sum(not naive.ended(id) for id in tasks)
        assert {self.tree.at_n(n).spec.id for n in self.tree.running} == set(self.running())

    @invariant()
    def groups_are_where_their_children_put_them(self) -> None:
        naive = self.naive
        for id in naive.shape.groups:
            assert naive.status(id) == naive.group_status(id)
            children = naive.shape.children(id)
            errors = [fact.error for fact in naive.about(id) if isinstance(fact, e.TaskFailed)]
            for error in errors:
                labels = {child: f"child {naive.shape.specs[child].label} " for child in children}
                named = {child for child in children if labels[child] in error.message}
                assert named
                assert named <= naive.first_bad_children(id)

    @invariant()
    def it_settles_when_nothing_can_happen_any_more(self) -> None:
        assert self.tree.settled == self.naive.tree_status()
        settled = [fact.status for fact in self.log if isinstance(fact, e.TreeSettled)]
        assert settled == ([self.tree.settled] if self.tree.settled else [])

    @invariant()
    def the_log_is_well_formed(self) -> None:
        records = [Recorded(ROOT, n, fact, n) for n, fact in enumerate(self.log, start=1)]
        assert check_log(records) == []
        for id in (spec.id for spec in self.naive.specs):
            about = self.naive.about(id)
            ends = [fact for fact in about if isinstance(fact, e.TaskCompleted | e.TaskFailed)]
            assert len(ends) == (self.naive.status(id) in TERMINAL)
            assert sum(isinstance(fact, e.ReportRefused) for fact in about) <= 10

    def everything_holds(self) -> None:
        self.a_replay_gives_the_same_state()
        self.each_task_is_as_the_log_says()
        self.groups_are_where_their_children_put_them()
        self.it_settles_when_nothing_can_happen_any_more()
        self.the_log_is_well_formed()
