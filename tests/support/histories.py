"""Random histories of a whole store, made by the deciders themselves: drafts that grow, shrink and
join each other, runs with failures, interruptions, takeovers and late reports.
"""

from collections.abc import Callable, Sequence
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
from aipartnerupflow.domain.specs import Dependency, ErrorInfo, TaskSpec
from aipartnerupflow.domain.time import to_text
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.engine.ports import Append, Unit

START = 1_767_225_600
EXECUTOR = "work"
ERROR = ErrorInfo("Boom", "it broke")


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
        for tree in self.trees.values():
            while _is_open(tree):
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
            Append(id, trees[id].version - len(facts), tuple(facts), dict(trees[id].index))
            for id, facts in merged.items()
            if facts
        ]
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
        if self._some(lambda tree: tree.submitted):
            moves.append(self._late_report)
        return moves

    # -- drafts

    def _new_id(self) -> str:
        """Mostly a new one; sometimes that of a task that is gone."""
        if self._removed and self._random.random() < 0.5:
            return self._removed.pop(self._random.randrange(len(self._removed)))
        return f"t{next(self._numbers)}"

    def _spec(self, id: str, others: Sequence[str], *, root: bool = False) -> TaskSpec:
        rng = self._random
        return TaskSpec(
            id=id,
            name=EXECUTOR if rng.random() < 0.7 else "folder",
            key=f"key of {id} {rng.randrange(9)}" if rng.random() < 0.3 else "",
            parent=None if root else rng.choice(others),
            dependencies=tuple(
                Dependency(on, rng.random() < 0.7)
                for on in others[1:]
                if not root and rng.random() < 0.3
            ),
            inputs=Raw(b'{"n": %d}' % rng.randrange(9)),
            priority=rng.randrange(4),
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
        self._apply(tree, decide.claim(tree, engine, self._stamp(tree)))

    def _release(self) -> None:
        tree = self._open()
        self._apply(tree, decide.release(tree, self._stamp(tree)))

    def _forward_some(self) -> None:
        tree = self._open()
        for _ in range(self._random.randint(1, 4)):
            if not tree.settled:
                self._forward(tree)

    def _forward(self, tree: Tree) -> None:
        """Start something, or let a running attempt say something or end."""
        rng, stamp = self._random, self._stamp(tree)
        if tree.ready and (not tree.running or rng.random() < 0.5):
            n = rng.choice(list(tree.ready))
            fault = None if tree.executor_of(tree.at_n(n)) and rng.random() < 0.9 else ERROR
            self._apply(tree, decide.start(tree, n, stamp, fault=fault))
        elif tree.running:
            self._apply(tree, self._said(tree, rng.choice(list(tree.running)), stamp))
        while facts := decide.follow(tree, stamp):
            self._apply(tree, facts)

    def _said(self, tree: Tree, n: int, stamp: Stamp) -> list[AnyEvent]:
        task, what = tree.at_n(n), self._random.randrange(8)
        id, attempt = task.spec.id, task.attempt
        if what == 0:
            return decide.progress(tree, id, attempt, self._random.random(), "at it", stamp)
        if what == 1:
            return decide.save(tree, id, attempt, Raw(b'{"at":1}'), stamp)
        if what == 2:
            return decide.fail(tree, id, attempt, ERROR, stamp)
        return decide.complete(tree, id, attempt, stamp, result=Raw(b"1"))

    def _late_report(self) -> None:
        tree = self._random.choice(self._some(lambda tree: tree.submitted))
        for task in tree.live():
            if task.attempt and not task.is_group and task.n not in tree.running:
                facts = decide.complete(tree, task.spec.id, task.attempt, self._stamp(tree))
                self._apply(tree, facts)
                return


def _has_tasks(tree: Tree) -> bool:
    return tree.is_draft and bool(tree.index)


def _is_open(tree: Tree) -> bool:
    return tree.submitted and not tree.settled
