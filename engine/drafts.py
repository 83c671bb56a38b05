"""Commands on drafts. They need no engine: nothing of a draft runs.

Blocking and thread-safe; each returns after its commit. The states of the drafts in use are kept,
so that adding to a tree costs the same however large it has become.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress

from ..domain import decide
from ..domain.decide import Stamp
from ..domain.errors import ApflowError, IdTaken, InvalidGraph, NotADraft, StaleVersion
from ..domain.events import AnyEvent
from ..domain.evolve import evolve
from ..domain.graph import check
from ..domain.intake import NewId
from ..domain.specs import NO_OPTIONS, Request, TaskSpec, TreeOptions
from ..domain.time import to_text
from ..domain.tree import Tree
from .commit import Committer
from .loading import load
from .ports import Append, Clock, Journal

KEPT = 64
"""So many drafts are kept in memory."""

Decision = Callable[[Tree, Stamp], list[AnyEvent]]


class Drafts:
    """All drafts of one store, as seen from this process."""

    def __init__(self, journal: Journal, committer: Committer, clock: Clock, new_id: NewId) -> None:
        self._journal = journal
        self._committer = committer
        self._clock = clock
        self._new_id = new_id
        self._lock = threading.RLock()
        self._kept: OrderedDict[str, Tree] = OrderedDict()

    def create(
        self,
        specs: Sequence[TaskSpec],
        *,
        name: str,
        owner: str | None = None,
        options: TreeOptions = NO_OPTIONS,
        request: Request | None = None,
        origin: str | None = None,
        then: Sequence[Decision] = (),
    ) -> Tree:
        """A new draft, and what is decided ``then`` in the same commit.

        Raises `IdTaken` where one of its ids is in use, `KeyTaken` where the request was made
        before, `InvalidGraph` where no task can be the root.
        """
        root = next((spec.id for spec in specs if spec.parent is None), None)
        uid = self._new_id()

        def decision(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
            return decide.create(
                specs, stamp, uid=uid, name=name, owner=owner, options=options,
                request=request, origin=origin,
            )  # fmt: skip

        with self._lock:
            tree = Tree(root or "")
            last = [] if root is not None else [_rootless(specs)]
            self._commit([(tree, one) for one in (decision, *then, *last)])
            if tree.is_draft:
                self._keep(tree)
            return tree

    def change(self, id: str, *decisions: Decision) -> Tree:
        """Apply decisions to a draft; decided again when another process wrote first."""
        with self._lock:
            while True:
                tree = self.get(id)
                try:
                    self._commit([(tree, decision) for decision in decisions])
                except StaleVersion:
                    continue
                if not tree.is_draft:
                    del self._kept[id]
                return tree

    def adopt(
        self, into: str, sources: Sequence[str], respecify: Callable[[TaskSpec], TaskSpec]
    ) -> Tree:
        """The tasks of ``sources`` join ``into``, each as ``respecify`` gives it, in one commit.

        Decided again when another process wrote first.
        """
        with self._lock:
            while True:
                with suppress(StaleVersion):
                    return self._adopt(into, sources, respecify)

    def _adopt(
        self, into: str, sources: Sequence[str], respecify: Callable[[TaskSpec], TaskSpec]
    ) -> Tree:
        target = self.get(into)
        steps: list[tuple[Tree, Decision]] = []
        for id in sources:
            source = self.get(id)
            specs = [respecify(task.spec) for task in source.live()]
            steps.append((target, _joined(specs, source.id)))
            steps.append((source, _left(target)))
        steps.append((target, _respecified(respecify)))
        self._commit(steps)
        for id in sources:
            self._kept.pop(id, None)
        return target

    def get(self, id: str) -> Tree:
        """The draft's state. Raises `NotFound`; `NotADraft` where it was submitted or adopted."""
        with self._lock:
            tree = self._kept.get(id)
            if tree is None:
                tree = load(self._journal, id)
                if not tree.is_draft:
                    raise NotADraft(id)
                self._keep(tree)
            else:
                self._kept.move_to_end(id)
            return tree

    def hand_over(self, id: str) -> Tree:
        """The draft's state, for an engine: it is not kept here any longer."""
        with self._lock:
            tree = self.get(id)
            del self._kept[id]
            return tree

    def _keep(self, tree: Tree) -> None:
        self._kept[tree.id] = tree
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _commit(self, steps: Sequence[tuple[Tree, Decision]]) -> None:
        """Decide step by step, then store all in one transaction; on failure forget the states."""
        before = {id(tree): (tree, tree.version) for tree, _ in steps}
        facts: dict[int, list[AnyEvent]] = {key: [] for key in before}
        stamp = Stamp(to_text(self._clock.now()), "user")
        try:
            for tree, decision in steps:
                made = decision(tree, stamp.after(tree))
                for fact in made:
                    evolve(tree, fact)
                facts[id(tree)].extend(made)
            unit = [
                Append(tree.id, version, facts[key], tree.index)
                for key, (tree, version) in before.items()
                if facts[key]
            ]
            if unit:
                error = self._committer.commit([unit])[0]
                if error is not None:
                    raise error
        except ApflowError as error:
            for tree, _ in before.values():
                self._kept.pop(tree.id, None)
            if isinstance(error, StaleVersion) and error.expected == 0:
                raise IdTaken([error.tree]) from error
            raise


def _rootless(specs: Sequence[TaskSpec]) -> Decision:
    """Refuses what nothing before it has refused, and told more of."""

    def decision(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
        raise InvalidGraph(check(specs, None))

    return decision


def _joined(specs: Sequence[TaskSpec], source: str) -> Decision:
    return lambda tree, stamp: decide.add(tree, specs, stamp, adopted_from=source)


def _left(target: Tree) -> Decision:
    return lambda tree, stamp: decide.adopted(tree, target, stamp)


def _respecified(respecify: Callable[[TaskSpec], TaskSpec]) -> Decision:
    def decision(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
        wanted = [respecify(task.spec) for task in tree.live()]
        return [fact for spec in wanted for fact in decide.change(tree, spec, stamp)]

    return decision
