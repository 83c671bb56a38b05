"""Commands on drafts: trees that were not submitted yet."""

from collections import Counter
from collections.abc import Iterator, Sequence

from .. import events as e
from ..errors import InvalidInput, InvalidTransition, NotADraft
from ..specs import Request, TaskSpec, TreeOptions
from ..tree import Tree
from ..wording import quoted
from .stamp import Stamp, known

CHUNK_BYTES = 1 << 20
"""Specifications of one command are stored in events of at most about this size."""

DEFAULT_OPTIONS = TreeOptions()

INLINE_BYTES = 64 * 1024
"""Results above this size are stored as blobs, named by hash."""


def create(
    specs: Sequence[TaskSpec],
    stamp: Stamp,
    *,
    uid: str,
    name: str,
    owner: str | None = None,
    options: TreeOptions = DEFAULT_OPTIONS,
    request: Request | None = None,
    origin: str | None = None,
) -> list[e.AnyEvent]:
    """A new draft with these tasks. The graph is checked when it is submitted.

    ``request`` is what made it, ``origin`` the tree that it copies, if any.
    """
    _require_unique(specs)
    chunks = list(_chunks(specs))
    created = e.TreeCreated(
        at=stamp.at, by=stamp.by, cause=stamp.cause,
        uid=uid, name=name, owner=owner, options=options, request=request, origin=origin,
        specs=chunks[0],
    )  # fmt: skip
    return [created, *(_added(stamp, chunk) for chunk in chunks[1:])]


def add(
    tree: Tree, specs: Sequence[TaskSpec], stamp: Stamp, *, adopted_from: str | None = None
) -> list[e.AnyEvent]:
    """Tasks join a draft. Parents must be there; dependencies are checked at submission."""
    _require_draft(tree)
    _require_unique(specs)
    new = {spec.id for spec in specs}
    for spec in specs:
        if spec.id in tree.index or tree.by_key(spec.label) is not None:
            raise _taken(tree.id, spec.label)
        if spec.parent is None or (spec.parent not in tree.index and spec.parent not in new):
            raise _orphan(tree.id, spec.label)
    return [_added(stamp, chunk, adopted_from) for chunk in _chunks(specs)]


def change(tree: Tree, spec: TaskSpec, stamp: Stamp) -> list[e.AnyEvent]:
    """A draft's task gets a new specification; nothing where it has it already.

    The root stays the root, since the tree bears its id. The graph is checked at submission.
    """
    _require_draft(tree)
    task = known(tree, spec.id)
    if task.spec == spec:
        return []
    if tree.by_key(spec.label) not in (None, task):
        raise _taken(tree.id, spec.label)
    if task.spec.parent is None and spec.parent is not None:
        raise InvalidInput(
            f"task {quoted(spec.label)} is the root of tree {tree.id} and has no parent"
        )
    if task.spec.parent is not None and spec.parent not in tree.index:
        raise _orphan(tree.id, spec.label)
    return [e.TaskChanged(at=stamp.at, by=stamp.by, cause=stamp.cause, spec=spec)]


def remove(tree: Tree, id: str, stamp: Stamp) -> list[e.AnyEvent]:
    """A draft loses a task and all below it; refused where others depend on them."""
    _require_draft(tree)
    known(tree, id)
    gone = _subtree(tree, id)
    for task in tree.live():
        needed = [d.on for d in task.spec.dependencies if d.on in gone]
        if needed and task.spec.id not in gone:
            label = known(tree, needed[0]).spec.label
            raise InvalidTransition(
                f"task {label} cannot be deleted: task {task.spec.label} depends on it. "
                "Delete or change that one first."
            )
    return [
        e.TaskRemoved(at=stamp.at, by=stamp.by, cause=stamp.cause, task=task.spec.id)
        for task in reversed(list(tree.live()))
        if task.spec.id in gone
    ]


def adopted(tree: Tree, into: Tree, stamp: Stamp) -> list[e.AnyEvent]:
    """This draft is over: its tasks live in ``into`` now. Same owner, or none."""
    _require_draft(tree)
    if tree.id == into.id:
        raise InvalidTransition(f"tree {tree.id} cannot join itself")
    if tree.owner is not None and tree.owner != into.owner:
        raise InvalidTransition(
            f"tree {tree.id} belongs to another user than tree {into.id} and cannot join it"
        )
    return [e.TreeAdopted(at=stamp.at, by=stamp.by, cause=stamp.cause, into=into.id)]


def _subtree(tree: Tree, id: str) -> set[str]:
    children: dict[str | None, list[str]] = {}
    for task in tree.live():
        children.setdefault(task.spec.parent, []).append(task.spec.id)
    below, todo = {id}, [id]
    for above in todo:  # grows; in a draft parents may still form a circle
        new = [child for child in children.get(above, ()) if child not in below]
        below.update(new)
        todo.extend(new)
    return below


def _require_draft(tree: Tree) -> None:
    if not tree.is_draft:
        raise NotADraft(tree.id)


def _require_unique(specs: Sequence[TaskSpec]) -> None:
    """Ids and keys, among themselves."""
    labels = Counter(spec.key or spec.id for spec in specs)
    ids = labels if not any(spec.key for spec in specs) else Counter(spec.id for spec in specs)
    if len(labels) < len(specs) or len(ids) < len(specs):
        double = next(s.label for s in specs if labels[s.label] > 1 or ids[s.id] > 1)
        raise InvalidInput(f"two tasks are called {quoted(double)}; choose another id")


def _orphan(tree: str, label: str) -> InvalidInput:
    return InvalidInput(f"task {quoted(label)}: its parent is not a task of tree {tree}")


def _taken(tree: str, label: str) -> InvalidInput:
    return InvalidInput(f"tree {tree} has a task {quoted(label)} already; choose another id")


def _added(stamp: Stamp, specs: tuple[TaskSpec, ...], source: str | None = None) -> e.TasksAdded:
    return e.TasksAdded(
        at=stamp.at, by=stamp.by, cause=stamp.cause, specs=specs, adopted_from=source
    )


def _chunks(specs: Sequence[TaskSpec]) -> Iterator[tuple[TaskSpec, ...]]:
    chunk: list[TaskSpec] = []
    size = 0
    for spec in specs:
        bytes_of = (
            200 + len(bytes(spec.inputs)) + len(bytes(spec.params)) + len(bytes(spec.schemas))
        )
        bytes_of += 160 * len(spec.dependencies) + len(spec.name)
        if chunk and size + bytes_of > CHUNK_BYTES:
            yield tuple(chunk)
            chunk, size = [], 0
        chunk.append(spec)
        size += bytes_of
    yield tuple(chunk)
