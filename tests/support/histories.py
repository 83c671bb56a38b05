"""Random histories of a whole store, made by the deciders themselves: drafts that grow, shrink and
join each other, runs with failures, repeated attempts, waits, interruptions, takeovers, cancels,
pauses, late reports and re-runs, some of them under concurrency keys.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from random import Random
from uuid import UUID

from msgspec import Raw
from msgspec.structs import replace

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.decide import Stamp
from aipartnerupflow.domain.errors import InvalidGraph, InvalidTransition
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.evolve import evolve
from aipartnerupflow.domain.specs import (
    NO_POLICY,
    Concurrency,
    Dependency,
    ErrorInfo,
    Policy,
    RetryPolicy,
    TaskSpec,
)
from aipartnerupflow.domain.time import to_text
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.engine.ports import Append, Unit

START = 1_767_225_600
EXECUTOR = "work"
ERROR = ErrorInfo("Boom", "it broke")
POLICIES = (
    Policy(concurrency=Concurrency("one at a time")),
    Policy(concurrency=Concurrency("two at a time", 2), retry=RetryPolicy(backoff="none")),
    Policy(retry=RetryPolicy(backoff="none")),
    Policy(on_interrupt="fail"),
)


class History:
    """Makes one commit after the other. Every choice is the generator's."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._numbers = count(1)
        self._ticks = count()
        self._removed: list[str] = []
        self.trees: dict[str, Tree] = {}
        self._facts: list[tuple[Tree, list[AnyEvent]]] = []

    def commits(self, number: int) -> list[list[Unit]]:
        """So many commits of one to four commands each."""
        return [self._commit(self._random.randint(1, 4)) for _ in range(number)]

    def finish(self) -> list[Unit]:
        """Everything that can run runs to its end, in one commit."""
        units: list[Unit] = []
        while trees := self._some(_is_open):
            for tree in trees:
                self._apply(tree, decide.unpause(tree, self._stamp(tree)))
                self._forward(tree)
            units.extend(self._units())
        return units

    def _commit(self, commands: int) -> list[Unit]:
        units: list[Unit] = []
        for _ in range(commands):
            self._random.choice(self._moves())()
            if self._random.random() < 0.7:
                units.extend(self._units())
        units.extend(self._units())
        return units

    def _units(self) -> list[Unit]:
        """What was decided since the last call, as one command with one append for each tree."""
        merged: dict[str, list[AnyEvent]] = {}
        trees: dict[str, Tree] = {}
        for tree, facts in self._facts:
            merged.setdefault(tree.id, []).extend(facts)
            trees[tree.id] = tree
        self._facts = []
        appends = [
            Append(
                id, trees[id].version - len(facts), tuple(facts), dict(trees[id].index),
                keyed=trees[id].keyed,
            )
            for id, facts in merged.items()
            if facts
        ]  # fmt: skip
        return [tuple(appends)] if appends else []

    def _apply(self, tree: Tree, facts: Sequence[AnyEvent]) -> None:
        for fact in facts:
            evolve(tree, fact)
        self._facts.append((tree, list(facts)))

    def _stamp(self, tree: Tree) -> Stamp:
        return Stamp(to_text(START + next(self._ticks) / 1000), by="user").after(tree)

    def _some(self, wanted: Callable[[Tree], bool]) -> list[Tree]:
        return [tree for tree in self.trees.values() if wanted(tree)]

    def _moves(self) -> list[Callable[[], None]]:
        moves: list[Callable[[], None]] = [self._create]
        if self._some(_has_tasks):
            moves += [self._add, self._change, self._remove, self._adopt, self._submit]
        if self._some(_is_open):
            moves += [self._forward_some] * 8 + [self._release, self._claim]
            moves += [self._cancel, self._pause]
        if self._some(lambda tree: tree.submitted):
            moves += [self._late_report, self._rerun]
        return moves

    # -- drafts

    def _new_id(self) -> str:
        """Mostly a new one; sometimes that of a task that is gone."""
        if self._removed and self._random.random() < 0.5:
            return self._removed.pop(self._random.randrange(len(self._removed)))
        return f"t{next(self._numbers)}"

    def _spec(self, id: str, others: Sequence[str], *, root: bool = False) -> TaskSpec:
        rng = self._random
        name = EXECUTOR if rng.random() < 0.7 else "folder"
        return TaskSpec(
            id=id,
            name=name,
            key=f"key of {id} {rng.randrange(9)}" if rng.random() < 0.3 else "",
            parent=None if root else rng.choice(others),
            dependencies=tuple(
                Dependency(on, rng.random() < 0.7)
                for on in others[1:]
                if not root and rng.random() < 0.3
            ),
            inputs=Raw(b'{"n": %d}' % rng.randrange(9)),
            priority=rng.randrange(4),
            policy=rng.choice(POLICIES) if name == EXECUTOR and rng.random() < 0.5 else NO_POLICY,
        )

    def _create(self) -> None:
        id = f"tree{next(self._numbers)}"
        tree = Tree(id)
        specs = [self._spec(id, (), root=True)]
        for _ in range(self._random.randrange(4)):
            specs.append(self._spec(self._new_id(), [spec.id for spec in specs]))
        uid = str(UUID(int=self._random.getrandbits(128), version=4))
        self.trees[id] = tree
        owner = self._random.choice([None, "ann"])
        self._apply(
            tree, decide.create(specs, self._stamp(tree), uid=uid, name=f"Tree {id}", owner=owner)
        )

    def _draft(self) -> Tree:
        return self._random.choice(self._some(_has_tasks))

    def _add(self) -> None:
        tree = self._draft()
        specs: list[TaskSpec] = []
        for _ in range(self._random.randint(1, 3)):
            there = [*tree.index, *(spec.id for spec in specs)]
            specs.append(self._spec(self._new_id(), there))
        self._apply(tree, decide.add(tree, specs, self._stamp(tree)))

    def _change(self) -> None:
        tree = self._draft()
        task = self._random.choice(list(tree.live()))
        new = self._spec(task.spec.id, [task.spec.parent or ""], root=True)
        spec = replace(new, parent=task.spec.parent, dependencies=task.spec.dependencies)
        self._apply(tree, decide.change(tree, spec, self._stamp(tree)))

    def _remove(self) -> None:
        tree = self._draft()
        id = self._random.choice(list(tree.index))
        try:
            facts = decide.remove(tree, id, self._stamp(tree))
        except InvalidTransition:
            return  # others depend on it
        before = set(tree.index)
        self._apply(tree, facts)
        self._removed += sorted(id for id in before - set(tree.index) if id != tree.id)

    def _adopt(self) -> None:
        into, source = self._draft(), self._draft()
        if into is source or source.owner not in (None, into.owner):
            return
        root = self._random.choice(list(into.index))
        specs = [
            task.spec if task.spec.parent else replace(task.spec, parent=root)
            for task in source.live()
        ]
        added = decide.add(into, specs, self._stamp(into), adopted_from=source.id)
        gone = decide.adopted(source, into, self._stamp(source))
        moves = [(into, added), (source, gone)]
        for tree, facts in moves if self._random.random() < 0.5 else reversed(moves):
            self._apply(tree, facts)

    # -- runs

    def _submit(self) -> None:
        tree = self._draft()
        try:
            facts = decide.submit(tree, {EXECUTOR: ""}.get, self._stamp(tree))
        except InvalidGraph:
            return
        self._apply(tree, facts)
        if self._random.random() < 0.8:
            self._apply(tree, decide.claim(tree, "engine-a", self._stamp(tree)))
            if self._random.random() < 0.5:
                self._forward(tree)

    def _open(self) -> Tree:
        return self._random.choice(self._some(_is_open))

    def _claim(self) -> None:
        tree = self._open()
        engine = self._random.choice(["engine-a", "engine-b"])
        kept = [n for n in tree.running if self._random.random() < 0.3]
        self._apply(tree, decide.claim(tree, engine, self._stamp(tree), keep=kept))

    def _release(self) -> None:
        tree = self._open()
        self._apply(tree, decide.release(tree, self._stamp(tree)))

    def _cancel(self) -> None:
        tree = self._open()
        if self._random.random() < 0.2:
            self._apply(tree, decide.cancel_tree(tree, self._stamp(tree), reason="all"))
        else:
            id = self._random.choice(list(tree.index))
            try:
                self._apply(tree, decide.cancel_task(tree, id, self._stamp(tree), reason="one"))
            except InvalidTransition:
                return  # it has ended
        self._follow(tree)

    def _pause(self) -> None:
        tree = self._open()
        change = decide.unpause if tree.paused else decide.pause
        self._apply(tree, change(tree, self._stamp(tree)))

    def _rerun(self) -> None:
        tree = self._random.choice(self._some(lambda tree: tree.submitted))
        way = self._random.choice(["failed", "from", "all"])
        ids = [self._random.choice(list(tree.index))] if way == "from" else []
        try:
            self._apply(tree, decide.rerun(tree, way, self._stamp(tree), ids=ids))
        except InvalidTransition:
            return  # nothing has ended, or something would have to end first
        if self._random.random() < 0.5:
            self._apply(tree, decide.claim(tree, "engine-a", self._stamp(tree)))
        self._follow(tree)

    def _forward_some(self) -> None:
        tree = self._open()
        for _ in range(self._random.randint(1, 4)):
            if not tree.settled:
                self._forward(tree)

    def _forward(self, tree: Tree) -> None:
        """Start something, or let something that runs or waits say something or end."""
        if tree.released:
            self._apply(tree, decide.claim(tree, "engine-a", self._stamp(tree)))
        rng, stamp = self._random, self._stamp(tree)
        startable = self._startable(tree, stamp.at)
        if startable and (not tree.running or rng.random() < 0.5):
            self._apply(tree, self._start(tree, rng.choice(startable), stamp))
        elif tree.waiting and rng.random() < 0.5:
            self._apply(tree, decide.time_is_up(tree, rng.choice(list(tree.waiting)), stamp))
        elif tree.running:
            self._apply(tree, self._said(tree, rng.choice(list(tree.running)), stamp))
        self._follow(tree)

    def _follow(self, tree: Tree) -> None:
        while facts := decide.follow(tree, self._stamp(tree)):
            self._apply(tree, facts)

    def _startable(self, tree: Tree, at: str) -> list[int]:
        """What could start, as far as concurrency keys have places left in the whole store."""
        held = [
            task.spec.policy.concurrency
            for other in self.trees.values()
            for task in map(other.at_n, other.running)
        ]
        found = []
        for n in (*tree.ready, *tree.delayed):
            slot = tree.at_n(n).spec.policy.concurrency
            free = slot is None or held.count(slot) < slot.limit
            if free and decide.may_start(tree, n, at):
                found.append(n)
        return found

    def _start(self, tree: Tree, n: int, stamp: Stamp) -> list[AnyEvent]:
        if not tree.executor_of(tree.at_n(n)) or self._random.random() < 0.1:
            return decide.start(tree, n, stamp, fault=ERROR)
        if self._random.random() < 0.2:
            return decide.wait(tree, n, stamp, until=stamp.at)
        return decide.start(tree, n, stamp)

    def _said(self, tree: Tree, n: int, stamp: Stamp) -> list[AnyEvent]:
        task, what = tree.at_n(n), self._random.randrange(8)
        id, attempt = task.spec.id, task.attempt
        if n in tree.cancels and what < 4:
            return decide.stopped(tree, id, attempt, stamp, ended=what < 2)
        if n in tree.orphans:
            return (decide.take_over if what < 6 else decide.lost)(tree, id, attempt, stamp)
        if what == 0:
            return decide.progress(tree, id, attempt, self._random.random(), "at it", stamp)
        if what == 1:
            return decide.save(tree, id, attempt, Raw(b'{"at":1}'), stamp)
        if what in (2, 3):
            return decide.fail(tree, id, attempt, ERROR, stamp)
        return decide.complete(tree, id, attempt, stamp, result=Raw(b"1"))

    def _late_report(self) -> None:
        tree = self._random.choice(self._some(lambda tree: tree.submitted))
        for task in tree.live():
            busy = task.n in tree.running or task.n in tree.waiting
            if task.attempt and not task.is_group and not busy:
                facts = decide.complete(tree, task.spec.id, task.attempt, self._stamp(tree))
                self._apply(tree, facts)
                return


class Steps(History):
    """A history without adoptions, fact by fact in the order of the decisions, to be cut anew."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.units: list[Append] = []
        """One append for each fact."""

    def cut(self, random: Random, *, most: int) -> Iterator[list[Unit]]:
        """Commits of at most so many facts each, with one or more appends for each tree."""
        rest = list(self.units)
        while rest:
            size = random.randint(1, most)
            yield [[append] for append in rest[:size]]
            del rest[:size]

    def _apply(self, tree: Tree, facts: Sequence[AnyEvent]) -> None:
        for fact in facts:
            super()._apply(tree, [fact])
            version = tree.version - 1
            self.units.append(Append(tree.id, version, (fact,), dict(tree.index), keyed=tree.keyed))

    def _adopt(self) -> None:
        """Not here: its facts in two trees stand in one transaction."""


def _has_tasks(tree: Tree) -> bool:
    return tree.is_draft and bool(tree.index)


def _is_open(tree: Tree) -> bool:
    return tree.submitted and not tree.settled
