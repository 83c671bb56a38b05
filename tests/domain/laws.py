"""What holds of a tree and its log at any moment, as a model works it out from the log."""

from collections.abc import Iterable

from hypothesis.stateful import RuleBasedStateMachine, invariant

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import AnyEvent, Recorded
from aipartnerupflow.domain.evolve import fold
from aipartnerupflow.domain.tree import BY_CANCEL, BY_FAILURE, Task, Tree
from aipartnerupflow.testing.grammar import check_log
from aipartnerupflow.testing.state import differences
from tests.domain.naive import MOVES, TERMINAL, Naive
from tests.domain.random_trees import ROOT

FINE_FOR_GROUPS = "starts after a cancel was requested"


class Laws(RuleBasedStateMachine):
    """A live tree and all its facts, checked after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = Tree(ROOT)
        self.log: list[AnyEvent] = []
        self._naive = Naive([])
        self._seen = 0
        self._ready_since: dict[tuple[str, int], str] = {}

    @property
    def naive(self) -> Naive:
        if len(self._naive.log) != len(self.log):
            known = self._naive.shape if self._naive.submitted else None
            self._naive = Naive(self.log, known)
        return self._naive

    def ids(self, numbers: Iterable[int]) -> list[str]:
        return [self.tree.at_n(n).spec.id for n in numbers]

    def running(self) -> list[str]:
        """Those whose executor was called."""
        return [id for id in self.naive.shape.specs if self.naive.runs(id)]

    @invariant()
    def everything_holds(self) -> None:
        """But for the first: what has not changed since it was looked at still holds."""
        if self._seen == len(self.log):
            return
        self.a_replay_gives_the_same_state()
        self.each_task_is_as_the_log_says()
        self.the_tree_is_as_the_log_says()
        self.deadlines_run_from_ready_to_the_end()
        self.open_groups_are_where_their_children_put_them()
        for n in range(self._seen, len(self.log)):
            self.groups_end_as_their_children_did(n)
        self.it_settles_when_nothing_can_happen_any_more()
        self._seen = len(self.log)

    def a_replay_gives_the_same_state(self) -> None:
        assert differences(fold(ROOT, self.log), self.tree, ignore=()) == []

    def each_task_is_as_the_log_says(self) -> None:
        naive = self.naive
        tasks = {task.spec.id: task for task in self.tree.live()}
        assert {id: t.status for id, t in tasks.items()} == naive.statuses
        assert [t.spec for t in tasks.values()] == naive.specs
        for id, task in tasks.items():
            assert task.generation == naive.generation(id)
            assert task.attempt == naive.attempts(id)
            assert task.failures == len(naive.about(id, e.AttemptFailed))
            assert task.interruptions == len(naive.about(id, e.TaskInterrupted))
            assert task.checkpoint == self._checkpoint(id)
            if self.tree.submitted:
                assert self.ids(task.children or ()) == naive.shape.children(id)
                self._is_blocked_as_it_should_be(task)

    def _checkpoint(self, id: str) -> object:
        saved = self.naive.last_of(id, e.TaskSaved)
        over = self.naive.status(id) in TERMINAL
        return saved.checkpoint if isinstance(saved, e.TaskSaved) and not over else None

    def _is_blocked_as_it_should_be(self, task: Task) -> None:
        naive, id = self.naive, task.spec.id
        assert task.blocked == naive.blocked(id)
        if task.blocked:
            assert task.harm == (BY_FAILURE if naive.doomed(id) else BY_CANCEL)
            blocker = self.tree.at_n(task.blocker).spec.id
            requires = [on for on, required in naive.shape.needs(id) if required]
            assert blocker in [*requires, *naive.shape.above(id)]
            assert naive.status(blocker) in ("failed", "cancelled") or naive.blocked(blocker)

    def the_tree_is_as_the_log_says(self) -> None:
        naive, tree = self.naive, self.tree
        ids = list(naive.shape.specs)
        assert tree.version == len(self.log)
        assert tree.keys == {t.spec.key: t.n for t in tree.live() if t.spec.key}
        assert (tree.paused, tree.cancelling) == (naive.paused, naive.cancelling)
        if not tree.submitted:
            return
        assert set(self.ids(tree.ready)) == naive.ready()
        assert set(self.ids(tree.delayed)) == {id for id in ids if naive.delayed(id)}
        assert set(self.ids(tree.running)) == {id for id in ids if naive.runs(id)}
        assert set(self.ids(tree.waiting)) == {id for id in ids if naive.waits(id)}
        assert set(self.ids(tree.cancels)) == {id for id in ids if naive.to_end(id)}
        assert set(self.ids(tree.orphans)) == {id for id in ids if naive.orphaned(id)}
        assert not tree.due
        assert tree.failed == list(naive.statuses.values()).count("failed")
        assert tree.cancelled == list(naive.statuses.values()).count("cancelled")
        assert tree.open == sum(not naive.ended(id) for id in ids)
        said = {name: [(id, bytes(raw)) for id, raw in all] for name, all in tree.signals.items()}
        assert said == naive.signals()
        received = {event.id for event in self.log if isinstance(event, e.SignalReceived)}
        assert set(tree.signal_ids) == received

    def deadlines_run_from_ready_to_the_end(self) -> None:
        naive = self.naive
        ticking = [
            id
            for id, spec in naive.shape.specs.items()
            if naive.submitted
            and spec.policy.deadline is not None
            and (naive.status(id) == "in_progress" or naive.could_start(id))
        ]
        assert set(self.ids(self.tree.deadlines)) == set(ticking)
        since = {(id, naive.generation(id)): self.tree.at for id in ticking}
        since |= {key: at for key, at in self._ready_since.items() if key in since}
        self._ready_since = since
        for (id, _), at in since.items():
            task = self.tree.task(id)
            assert task is not None
            assert task.ready_at == at

    def open_groups_are_where_their_children_put_them(self) -> None:
        naive = self.naive
        for id in naive.shape.groups:
            if naive.status(id) not in TERMINAL:
                assert naive.status(id) == naive.group_status(id)

    def groups_end_as_their_children_did(self, n: int) -> None:
        """What fact ``n`` says of a group that it ends."""
        fact = self.log[n]
        if not isinstance(fact, e.TaskCompleted | e.TaskFailed | e.TaskCancelled):
            return
        if fact.task not in self.naive.shape.groups:
            return
        then = Naive(self.log[:n], self.naive.shape)
        assert then.status(fact.task) == "in_progress"
        assert all(then.ended(child) for child in then.shape.children(fact.task))
        verdict = then.verdict(fact.task)
        assert MOVES[type(fact)] == verdict
        if isinstance(fact, e.TaskCompleted):
            return
        words = fact.error.message if isinstance(fact, e.TaskFailed) else fact.reason
        specs, children = then.shape.specs, then.shape.children(fact.task)
        named = {child for child in children if f"child {specs[child].label} " in words}
        assert named
        assert named <= then.first_bad_children(fact.task, verdict)

    def it_settles_when_nothing_can_happen_any_more(self) -> None:
        assert self.tree.settled == self.naive.tree_status()
        settled = ""
        for fact in self.log:
            if isinstance(fact, e.TreeSettled):
                assert not settled
                settled = fact.status
            elif isinstance(fact, e.TreeReopened):
                settled = ""
        assert settled == self.tree.settled

    def _is_no_fault(self, fault: str) -> bool:
        """A group begins with its children: with those that a user has cancelled, too."""
        _, _, words = fault.partition(": ")
        id, _, words = words.partition(" ")
        return words == FINE_FOR_GROUPS and id in self.naive.shape.groups

    def the_log_is_well_formed(self) -> None:
        """To be asked in the end: what is wrong at one time stays wrong."""
        records = [Recorded(ROOT, n, fact, n) for n, fact in enumerate(self.log, start=1)]
        faults = [fault for fault in check_log(records) if not self._is_no_fault(fault)]
        assert not faults, faults
        for id in self.naive.shape.specs:
            ends = self.naive.about(id, e.TaskCompleted, e.TaskFailed, e.TaskCancelled)
            assert len(ends) == (self.naive.status(id) in TERMINAL)
