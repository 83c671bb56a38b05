"""Status rows in memory: the same changes that the databases take, on objects."""

from collections.abc import Sequence

from msgspec import Struct

from ...domain.specs import TaskSpec
from ...projections.status import Changes, TaskEnd, TaskState
from ...projections.views import TreeView
from .journal import Batch


class TaskEntry(Struct):
    """A task: its specification, and its state once it has started."""

    n: int
    tree: TreeView
    spec: TaskSpec
    created_at: str
    state: TaskState | None = None


class Tables:
    """Trees and tasks by id, both in creation order. Not thread-safe."""

    def __init__(self) -> None:
        self.trees: dict[str, TreeView] = {}
        self.tasks: dict[str, TaskEntry] = {}
        self.of: dict[str, dict[int, TaskEntry]] = {}
        """The tasks of each tree by number."""

    def taken(self, batches: Sequence[Batch]) -> list[str]:
        """The ids that `apply` could not add."""
        gone: set[str] = set()
        for batch in batches:
            gone.update(self._removed(batch))
        found: dict[str, None] = {}
        seen: set[str] = set()
        for batch in batches:
            if batch.expected == 0 and batch.tree in self.trees:
                found[batch.tree] = None
            for _, spec, _ in batch.changes.added:
                if spec.id in seen or (spec.id in self.tasks and spec.id not in gone):
                    found[spec.id] = None
                seen.add(spec.id)
        return list(found)

    def apply(self, batches: Sequence[Batch]) -> None:
        """All changes, removals first."""
        for batch in batches:
            for id in self._removed(batch):
                entry = self.tasks.pop(id)
                del self.of[batch.tree][entry.n]
        for batch in batches:
            self._apply(batch.tree, batch.changes)

    def _removed(self, batch: Batch) -> list[str]:
        made = batch.changes
        if made.moved_away:
            return [entry.spec.id for entry in self.of.get(batch.tree, {}).values()]
        found = []
        for id in made.removed:
            entry = self.tasks.get(id)
            if entry is not None and entry.tree.id == batch.tree:
                found.append(id)
        return found

    def _apply(self, id: str, made: Changes) -> None:
        tree = self._tree(id, made)
        entries = self.of[id]
        for n, spec, at in made.added:
            self.tasks[spec.id] = entries[n] = TaskEntry(n, tree, spec, at)
        for n, spec in made.respecified:
            entries[n].spec = spec
        for n in made.interrupted:
            state = _state(entries, n)
            state.status, state.started_at, state.progress, state.message = "pending", None, 0.0, ""
        for n, (fraction, message) in made.progressed.items():
            state = _state(entries, n)
            state.progress, state.message = fraction, message
        for n, state in made.started.items():
            entries[n].state = state
        for n, end in made.ended.items():
            _end(_state(entries, n), end)

    def _tree(self, id: str, made: Changes) -> TreeView:
        change, new = made.tree, made.new_tree
        if new is not None:
            self.of[id] = {}
            self.trees[id] = TreeView(
                num=len(self.trees) + 1, id=id, uid=new.uid, name=new.name, user_id=new.owner,
                phase="draft", status="pending", version=0, engine="", epoch=0, released=True,
                created_at=new.created_at, updated_at=new.created_at, completed_at=None,
            )  # fmt: skip
        tree = self.trees[id]
        tree.version, tree.updated_at = change.version, change.updated_at
        tree.status = change.status or tree.status
        if not change.is_touch:
            tree.phase = change.phase or tree.phase
            tree.engine = change.engine or tree.engine
            tree.epoch = change.epoch or tree.epoch
            tree.released = tree.released if change.released is None else change.released
            tree.completed_at = change.completed_at
        return tree


def _state(entries: dict[int, TaskEntry], n: int) -> TaskState:
    state = entries[n].state
    assert state is not None, "the task has started"
    return state


def _end(state: TaskState, end: TaskEnd) -> None:
    state.status, state.attempt = end.status, end.attempt
    state.completed_at, state.ended = end.completed_at, end.ended
    if end.status == "completed":
        state.progress = 1.0
