"""The read models on the status rows in memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from threading import RLock
from typing import Any, Protocol

from msgspec import Raw
from msgspec.structs import replace

from ....domain.decide.submission import named_executor
from ....domain.events import Recorded
from ....domain.specs import ErrorInfo
from ....projections import timeline
from ....projections.views import AttemptView, TaskView, TreeView
from ..journal import Row
from ..mapper import StructMapper
from ..rows import policy
from ..sql_reads import ending
from .rows import Tables, TaskEntry


def _status(entry: TaskEntry) -> str:
    return "pending" if entry.state is None else entry.state.status


def _age(entry: TaskEntry) -> str:
    return entry.created_at


_KEYS: dict[str, Callable[[TaskEntry], Any]] = {
    "created_at": _age,
    "priority": lambda entry: entry.spec.priority,
    "name": lambda entry: entry.spec.name,
    "status": _status,
}


class Source(Protocol):
    """What the queries ask of the recorder."""

    lock: RLock
    tables: Tables

    def check_open(self) -> None: ...

    def stream(self, tree: str, after: int, limit: int) -> Sequence[Row]: ...

    def blob(self, hash: str) -> bytes | None: ...


class MemoryReads:
    """`projections.views.ReadModel` in memory. What it gives away is a copy."""

    def __init__(self, recorder: Source, mapper: StructMapper) -> None:
        self._source = recorder
        self._tables = recorder.tables
        self._mapper = mapper

    def tree(self, id: str) -> TreeView | None:
        """See `ReadModel.tree`."""
        with self._source.lock:
            self._source.check_open()
            found = self._tables.trees.get(id)
            return None if found is None else replace(found)

    def task(self, id: str) -> TaskView | None:
        """See `ReadModel.task`."""
        return next(iter(self.tasks_by_id([id])), None)

    def tasks(
        self,
        tree: str,
        *,
        results: bool = True,
        after: int | None = None,
        limit: int | None = None,
        status: str | None = None,
    ) -> Sequence[TaskView]:
        """See `ReadModel.tasks`."""
        with self._source.lock:
            self._source.check_open()
            entries = self._tables.of.get(tree, {})
            late = (entries[n] for n in sorted(entries) if after is None or n > after)
            found = (entry for entry in late if status in (None, _status(entry)))
            return [self._view(entry, results=results) for entry in islice(found, limit)]

    def tasks_by_id(self, ids: Sequence[str]) -> Sequence[TaskView]:
        """See `ReadModel.tasks_by_id`."""
        with self._source.lock:
            return [self._view(entry) for entry in self._entries(ids)]

    def trees(
        self,
        *,
        status: str | None = None,
        owner: str | None = None,
        phase: str | None = None,
        name: str | None = None,
        executor: str | None = None,
        error: str | None = None,
        since: str | None = None,
        until: str | None = None,
        before: int | None = None,
        limit: int = 20,
    ) -> Sequence[TreeView]:
        """See `ReadModel.trees`."""
        with self._source.lock:
            self._source.check_open()
            found = [
                replace(tree)
                for tree in reversed(self._tables.trees.values())
                if tree.phase != "adopted"
                and status in (None, tree.status)
                and owner in (None, tree.user_id)
                and phase in (None, tree.phase)
                and (before is None or tree.num < before)
                and (name is None or name in tree.name)
                and (since is None or tree.created_at >= since)
                and (until is None or tree.created_at < until)
                and (executor is None or self._runs(tree.id, executor))
                and (error is None or self._failed_with(tree.id, error))
            ]
            return found[:limit]

    def _runs(self, tree: str, executor: str) -> bool:
        specs = (entry.spec for entry in self._tables.of[tree].values())
        return any((named_executor(spec) or spec.name) == executor for spec in specs)

    def _failed_with(self, tree: str, type: str) -> bool:
        for entry in self._tables.of[tree].values():
            if entry.state is not None and entry.state.status == "failed":
                found = self._ending(tree, entry.state.ended)[1]
                if found is not None and found.type == type:
                    return True
        return False

    def tree_of_request(self, key: str) -> TreeView | None:
        """See `ReadModel.tree_of_request`."""
        with self._source.lock:
            id = self._tables.requests.get(key)
            return None if id is None else self.tree(id)

    def history(
        self,
        tree: str,
        *,
        after: int = 0,
        before: int | None = None,
        topics: Sequence[str] | None = None,
        limit: int = 1000,
        descending: bool = False,
    ) -> Sequence[Recorded]:
        """See `ReadModel.history`."""
        with self._source.lock:
            self._source.check_open()
            view = self._tables.trees.get(tree)
            last = 0 if view is None else view.version
            rows = [
                row
                for row in self._source.stream(tree, after, last)
                if (before is None or row.version < before)
                and (topics is None or row.topic in topics)
            ]
        chosen = rows[::-1][:limit] if descending else rows[:limit]
        decode = self._mapper.decode
        return [Recorded(r.tree, r.version, decode(r.topic, r.state), r.position) for r in chosen]

    def find(
        self,
        *,
        owner: str | None = None,
        status: str | None = None,
        parent: str | None = None,
        roots: bool = False,
        limit: int = 100,
        offset: int = 0,
        order: str = "created_at",
        descending: bool = True,
    ) -> Sequence[TaskView]:
        """See `ReadModel.find`."""
        key = _KEYS.get(order, _age)
        with self._source.lock:
            self._source.check_open()
            found = [
                entry
                for entry in self._tables.tasks.values()
                if owner in (None, entry.tree.user_id)
                and status in (None, _status(entry))
                and parent in (None, entry.spec.parent)
                and not (roots and entry.spec.parent is not None)
            ]
            found.sort(key=lambda entry: (key(entry), entry.tree.num, entry.n), reverse=descending)
            return [self._view(entry) for entry in found[offset : offset + limit]]

    def counts(self, *, owner: str | None = None, roots: bool = False) -> dict[str, int]:
        """See `ReadModel.counts`."""
        with self._source.lock:
            self._source.check_open()
            return Counter(
                _status(entry)
                for entry in self._tables.tasks.values()
                if owner in (None, entry.tree.user_id)
                and not (roots and entry.spec.parent is not None)
            )

    def parents(self, ids: Sequence[str]) -> set[str]:
        """See `ReadModel.parents`."""
        trees = {entry.tree.id for entry in self._entries(ids)}
        with self._source.lock:
            below = (entry for tree in trees for entry in self._tables.of[tree].values())
            return set(ids) & {entry.spec.parent for entry in below if entry.spec.parent}

    def ids_by_key(self, tree: str, keys: Sequence[str]) -> dict[str, str]:
        """See `ReadModel.ids_by_key`."""
        wanted = set(keys)
        with self._source.lock:
            self._source.check_open()
            specs = (entry.spec for entry in self._tables.of.get(tree, {}).values())
            return {spec.label: spec.id for spec in specs if spec.label in wanted}

    def ids_like(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """See `ReadModel.ids_like`."""
        with self._source.lock:
            self._source.check_open()
            found = (
                tree.id
                for tree in self._tables.trees.values()
                if tree.phase != "adopted" and tree.id.startswith(prefix)
            )
            return sorted(found)[:limit]

    def taken(self, ids: Sequence[str]) -> Sequence[str]:
        """See `ReadModel.taken`."""
        return [entry.spec.id for entry in self._entries(ids)]

    def owner_and_tree(self, ids: Sequence[str]) -> dict[str, tuple[str | None, str]]:
        """See `ReadModel.owner_and_tree`."""
        return {e.spec.id: (e.tree.user_id, e.tree.id) for e in self._entries(ids)}

    def attempts(self, tree: str) -> Sequence[AttemptView]:
        """See `ReadModel.attempts`. Made from the whole stream each time, so never behind."""
        decode = self._mapper.decode
        with self._source.lock:
            view = self._tables.trees.get(tree)
            rows = self._source.stream(tree, 0, view.version) if view is not None else ()
        events = [
            Recorded(row.tree, row.version, decode(row.topic, row.state), row.position)
            for row in rows
        ]
        return attempts_of(events)

    def _entries(self, ids: Iterable[str]) -> list[TaskEntry]:
        with self._source.lock:
            self._source.check_open()
            tasks = self._tables.tasks
            return [tasks[id] for id in dict.fromkeys(ids) if id in tasks]

    def _view(self, entry: TaskEntry, *, results: bool = True) -> TaskView:
        state = entry.state
        if state is None or not state.ended or not results:
            return view_of(entry)
        return view_of(entry, *self._ending(entry.tree.id, state.ended))

    def _ending(self, tree: str, version: int) -> tuple[Raw | None, ErrorInfo | None]:
        row = self._source.stream(tree, version - 1, 1)[0]
        return ending(self._mapper.decode(row.topic, row.state), self._source.blob)


def view_of(
    entry: TaskEntry, result: Raw | None = None, error: ErrorInfo | None = None
) -> TaskView:
    """The view of a task's entry, with what it ended with."""
    spec, state, tree = entry.spec, entry.state, entry.tree
    view = TaskView(
        id=spec.id, tree_id=tree.id, n=entry.n, key=spec.label, name=spec.name,
        parent_id=spec.parent, user_id=tree.user_id, priority=spec.priority,
        dependencies=spec.dependencies, inputs=spec.inputs, params=spec.params,
        schemas=spec.schemas, policy=Raw(policy(spec).encode()), created_at=entry.created_at,
        status="pending", attempt=0, generation=1, progress=0.0, message="", started_at=None,
        completed_at=None, draft=tree.phase == "draft", result=result, error=error,
    )  # fmt: skip
    if state is not None:
        view.status, view.attempt, view.generation = state.status, state.attempt, state.generation
        view.progress, view.message = state.progress, state.message
        view.started_at, view.completed_at = state.started_at, state.completed_at
    return view


def attempts_of(events: Sequence[Recorded]) -> Sequence[AttemptView]:
    """The timeline of a tree, out of its whole history."""
    return [
        AttemptView(
            task=row.task, generation=row.generation, attempt=row.attempt,
            started_at=row.started_at, ended_at=row.ended_at, outcome=row.outcome,
        )
        for row in timeline.changes(events).begun
    ]  # fmt: skip
