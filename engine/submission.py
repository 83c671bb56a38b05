"""What it takes to submit a draft, with an engine at hand or without."""

from collections.abc import Sequence
from typing import Protocol

from ..domain import decide
from ..domain.decide import Stamp
from ..domain.errors import Fault, IdTaken, InvalidGraph, VersionMismatch
from ..domain.events import AnyEvent
from ..domain.intake import NewId, fresh
from ..domain.specs import EMPTY_OBJECT, Request, TaskSpec, TreeOptions
from ..domain.tree import Tree
from .drafts import Decision, Drafts
from .ports import Executors
from .waiting import waiting_faults


def submission(
    executors: Executors, tree: Tree, stamp: Stamp, *, strict: bool, demo: bool = False
) -> list[AnyEvent]:
    """The facts of a submission; nothing where it was submitted. Raises `InvalidGraph`."""
    if faults := schema_faults(executors, [task.spec for task in tree.live()]):
        raise InvalidGraph(faults)
    return decide.submit(
        tree,
        executors.module_of,
        stamp,
        strict=strict,
        demo=demo,
        reattaches=lambda id: executors.kind(id).reattaches,
    )


def require_waitable(executors: Executors, tree: Tree) -> None:
    """After the submission: can what waits be understood? Raises `InvalidGraph`."""
    if faults := waiting_faults(executors, tree):
        raise InvalidGraph(faults)


class Versioned(Protocol):
    """A tree's state, or its row."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def version(self) -> int:
        """How many events it has."""


def require_version(tree: Versioned, wanted: int | None) -> None:
    """Raises `VersionMismatch` where it is at another version than is ``wanted``, if any is."""
    if wanted is not None and wanted != tree.version:
        raise VersionMismatch(tree.id, wanted, tree.version)


def schema_faults(executors: Executors, specs: Sequence[TaskSpec]) -> list[Fault]:
    """What is wrong with schemas that came with tasks."""
    return [
        Fault("bad_schema", spec.label, fault)
        for spec in specs
        if spec.schemas is not EMPTY_OBJECT
        for fault in executors.schema_faults(spec.schemas)
    ]


class Unclaimed:
    """Submits trees that any engine of the store may take up. Blocking and thread-safe."""

    def __init__(self, drafts: Drafts, executors: Executors, new_id: NewId) -> None:
        self._drafts = drafts
        self._executors = executors
        self._new_id = new_id

    def create(
        self,
        specs: Sequence[TaskSpec],
        *,
        name: str,
        owner: str | None,
        options: TreeOptions,
        request: Request | None,
    ) -> Tree:
        """A new tree, submitted in the commit that makes it. Raises `InvalidGraph`, `KeyTaken`."""
        while True:
            try:
                return self._drafts.create(
                    specs, name=name, owner=owner, options=options, request=request,
                    then=self._submitting(),
                )  # fmt: skip
            except IdTaken:
                specs = fresh(specs, self._new_id)

    def submit(self, id: str, *, demo: bool = False, if_version: int | None = None) -> Tree:
        """A draft. Raises `NotFound`, `NotADraft`, `InvalidGraph`, `VersionMismatch`."""

        def as_meant(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
            require_version(tree, if_version)
            return []

        return self._drafts.change(id, as_meant, *self._submitting(demo))

    def _submitting(self, demo: bool = False) -> tuple[Decision, Decision]:
        executors = self._executors

        def submit(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
            return submission(executors, tree, stamp, strict=True, demo=demo)

        def check(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
            require_waitable(executors, tree)
            return []

        return submit, check
