"""Status rows in memory: the same changes that the databases take, on objects."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from ....domain.errors import CommandAnswered, KeyTaken, SlotTaken
from ....domain.specs import TaskSpec
from ....projections.status import Changes, TaskEnd, TaskState
from ....projections.views import TreeView
from ..journal import Batch


class TaskEntry(Struct):
    """A task: its specification, and its state once it has started or ended."""

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
        self.slots: dict[tuple[str, int], str] = {}
        """The concurrency keys by tree and number of the task that holds a place under one."""
        self.requests: dict[str, str] = {}
        """Trees by the key of the request that made them."""
        self.inbox: dict[str, list[Any]] = {}
        """By the command's id: the command, and its outcome once there is one, as bytes."""

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

    def check(self, batches: Sequence[Batch]) -> None:
        """Raises `KeyTaken`, `SlotTaken` or `CommandAnswered` for what `apply` must not do."""
        made: set[str] = set()
        for batch in batches:
            new = batch.changes.new_tree
            if new is not None and new.request is not None:
                if new.request in self.requests or new.request in made:
                    raise KeyTaken(new.request)
                made.add(new.request)
        if any(batch.changes.taken for batch in batches):
            self._check_slots(batches)
        answered: set[str] = set()
        for batch in batches:
            for answer in batch.answers:
                letter = self.inbox.get(answer.id)
                if letter is None or letter[1] is not None or answer.id in answered:
                    raise CommandAnswered(answer.id)
                answered.add(answer.id)

    def _check_slots(self, batches: Sequence[Batch]) -> None:
        slots = dict(self.slots)
        for batch in batches:
            for n in batch.changes.freed:
                slots.pop((batch.tree, n), None)
        for batch in batches:
            for n, slot in batch.changes.taken.items():
                slots.pop((batch.tree, n), None)
                held = sum(key == slot.key for key in slots.values())
                if slot.limit is not None and held >= slot.limit:
                    raise SlotTaken(batch.tree, slot.key)
                slots[batch.tree, n] = slot.key

    def apply(self, batches: Sequence[Batch]) -> None:
        """All changes, removals first."""
        for batch in batches:
            for id in self._removed(batch):
                entry = self.tasks.pop(id)
                del self.of[batch.tree][entry.n]
            for n in batch.changes.freed:
                self.slots.pop((batch.tree, n), None)
        for batch in batches:
            self._apply(batch.tree, batch.changes)
            for n, slot in batch.changes.taken.items():
                self.slots[batch.tree, n] = slot.key
            for answer in batch.answers:
                self.inbox[answer.id][1] = answer.outcome

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
        for n in made.returned:
            state = _state(entries, n)
            state.status, state.started_at, state.progress, state.message = "pending", None, 0.0, ""
        for n, (fraction, message) in made.progressed.items():
            state = _state(entries, n)
            state.progress, state.message = fraction, message
        for n, state in made.put.items():
            entries[n].state = state
        for n, end in made.cancelled.items():
            if entries[n].state is None:
                entries[n].state = TaskState("cancelled", 0, 1, 0.0, "", None, None, 0)
            _end(_state(entries, n), end)
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
                paused=False, request=new.request, origin=new.origin,
            )  # fmt: skip
            if new.request is not None:
                self.requests[new.request] = id
        tree = self.trees[id]
        tree.version, tree.updated_at = change.version, change.updated_at
        tree.status = change.status or tree.status
        if not change.is_touch:
            tree.phase = change.phase or tree.phase
            tree.engine = change.engine or tree.engine
            tree.epoch = change.epoch or tree.epoch
            tree.released = tree.released if change.released is None else change.released
            if change.completed_at is not None:
                tree.completed_at = change.completed_at or None
            tree.paused = tree.paused if change.paused is None else change.paused
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
