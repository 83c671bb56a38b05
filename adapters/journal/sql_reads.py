"""Queries over status rows in SQL. Results and errors come from the event that ended a task.

The statements differ between the databases, their columns and named parameters do not.
"""

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Protocol

import msgspec
from msgspec import Raw, UnsetType

from ...domain.events import AnyEvent, Recorded, TaskCancelled, TaskCompleted, TaskFailed
from ...domain.specs import Dependency, ErrorInfo
from ...projections.views import AttemptView, TaskView, TreeView
from .mapper import StructMapper
from .rows import TASK_BITS

_dependencies = msgspec.json.Decoder(tuple[Dependency, ...])
_NULL = Raw(b"null")
MAX_VERSION = 2**62
_AFTER = "\x7f"
"""Sorts after every character that an id may have."""


class Source(Protocol):
    """What the queries ask of a recorder."""

    def query(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """All rows of a statement that changes nothing."""

    def blob(self, hash: str) -> bytes | None: ...


class SQLReads:
    """`projections.views.ReadModel` in the statements of one database."""

    def __init__(self, sql: SimpleNamespace, source: Source, mapper: StructMapper) -> None:
        self._sql = sql
        self._source = source
        self._mapper = mapper

    def tree(self, id: str) -> TreeView | None:
        """See `ReadModel.tree`."""
        rows = self._source.query(self._sql.tree, {"id": id})
        return _tree(rows[0]) if rows else None

    def task(self, id: str) -> TaskView | None:
        """See `ReadModel.task`."""
        rows = self._source.query(self._sql.task, {"id": id})
        return self._task(rows[0]) if rows else None

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
        wanted = {
            "tree": tree, "results": results, "after": -1 if after is None else after,
            "limit": limit, "status": status,
        }  # fmt: skip
        return [self._task(row) for row in self._source.query(self._sql.tasks, wanted)]

    def tasks_by_id(self, ids: Sequence[str]) -> Sequence[TaskView]:
        """See `ReadModel.tasks_by_id`."""
        rows = self._source.query(self._sql.tasks_by_id, self._ids(ids))
        return [self._task(row) for row in rows]

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
        wanted = {
            "status": status, "owner": owner, "phase": phase, "name": name, "executor": executor,
            "error": error, "since": since, "until": until, "before": before,
        }  # fmt: skip
        given = {key: value for key, value in wanted.items() if value is not None}
        parts = [getattr(self._sql, f"trees_{key}") for key in given]
        statement = "\n".join([self._sql.trees, *parts, self._sql.trees_end])
        return [_tree(row) for row in self._source.query(statement, {**given, "limit": limit})]

    def tree_of_request(self, key: str) -> TreeView | None:
        """See `ReadModel.tree_of_request`."""
        rows = self._source.query(self._sql.tree_of_request, {"key": key})
        return _tree(rows[0]) if rows else None

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
        wanted = {
            "tree": tree, "after": after, "before": MAX_VERSION if before is None else before,
            "topics": None if topics is None else self._ids(topics)["ids"], "limit": limit,
        }  # fmt: skip
        decode = self._mapper.decode
        statement = self._sql.history_back if descending else self._sql.history
        return [
            Recorded(tree, version, decode(topic, state), position)
            for version, topic, state, position in self._source.query(statement, wanted)
        ]

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
        wanted = {
            "owner": owner, "status": status, "parent": parent, "roots": roots, "limit": limit,
            "offset": offset, "order": order, "descending": descending,
        }  # fmt: skip
        return [self._task(row) for row in self._source.query(self._sql.find, wanted)]

    def counts(self, *, owner: str | None = None, roots: bool = False) -> dict[str, int]:
        """See `ReadModel.counts`."""
        rows = self._source.query(self._sql.counts, {"owner": owner, "roots": roots})
        return {status: count for status, count in rows}  # noqa: C416 - rows are no pairs

    def parents(self, ids: Sequence[str]) -> set[str]:
        """See `ReadModel.parents`."""
        return {id for (id,) in self._source.query(self._sql.parents, self._ids(ids))}

    def ids_by_key(self, tree: str, keys: Sequence[str]) -> dict[str, str]:
        """See `ReadModel.ids_by_key`."""
        given = {"tree": tree, "keys": self._ids(keys)["ids"]}
        return {key: id for key, id in self._source.query(self._sql.ids_by_key, given)}  # noqa: C416

    def ids_like(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """See `ReadModel.ids_like`."""
        wanted = {"prefix": prefix, "after": prefix + _AFTER, "limit": limit}
        return [id for (id,) in self._source.query(self._sql.ids_like, wanted)]

    def taken(self, ids: Sequence[str]) -> Sequence[str]:
        """See `ReadModel.taken`."""
        return [id for (id,) in self._source.query(self._sql.taken, self._ids(ids))]

    def owner_and_tree(self, ids: Sequence[str]) -> dict[str, tuple[str | None, str]]:
        """See `ReadModel.owner_and_tree`."""
        rows = self._source.query(self._sql.owner_and_tree, self._ids(ids))
        return {id: (owner, tree) for id, owner, tree in rows}

    def attempts(self, tree: str) -> Sequence[AttemptView]:
        """See `ReadModel.attempts`."""
        return [
            AttemptView(
                task=task, generation=generation, attempt=attempt,
                started_at=started_at, ended_at=ended_at, outcome=outcome,
            )
            for task, generation, attempt, started_at, ended_at, outcome
            in self._source.query(self._sql.attempts, {"tree": tree})
        ]  # fmt: skip

    def _ids(self, ids: Sequence[str]) -> dict[str, Any]:
        return {"ids": msgspec.json.encode(ids).decode()}

    def _task(self, row: Sequence[Any]) -> TaskView:
        topic, state = row[23], row[24]
        result, error = None, None
        if topic is not None:
            result, error = ending(self._mapper.decode(topic, state), self._source.blob)
        return task_view(row, row[0] & (1 << TASK_BITS) - 1, result, error)


def ending(
    event: AnyEvent, blob: Callable[[str], bytes | None]
) -> tuple[Raw | None, ErrorInfo | None]:
    """The result and the error in the event that ended a task; ``blob`` finds large results."""
    if isinstance(event, TaskFailed):
        return None, event.error
    if isinstance(event, TaskCancelled):
        return None, ErrorInfo("cancelled", event.reason or "cancelled")
    if not isinstance(event, TaskCompleted):
        return None, None
    if event.blob is not None:
        return Raw(blob(event.blob) or b"null"), None
    return _NULL if isinstance(event.result, UnsetType) else event.result, None


def task_view(row: Sequence[Any], n: int, result: Raw | None, error: ErrorInfo | None) -> TaskView:
    """The view of a row of the task queries (their columns stand in one order on all stores)."""
    (_, id, key, name, parent, priority, dependencies, inputs, params, schemas, policy, created_at,
     status, attempt, generation, progress, message, started_at, completed_at, _, tree, owner,
     phase) = row[:23]  # fmt: skip
    return TaskView(
        id=id, tree_id=tree, n=n, key=key, name=name, parent_id=parent, user_id=owner,
        priority=priority, dependencies=_dependencies.decode(dependencies),
        inputs=Raw(inputs.encode()), params=Raw(params.encode()), schemas=Raw(schemas.encode()),
        policy=Raw(policy.encode()), created_at=created_at, status=status or "pending",
        attempt=attempt or 0, generation=generation or 1, progress=progress or 0.0,
        message=message or "",
        started_at=started_at, completed_at=completed_at, draft=phase == "draft",
        result=result, error=error,
    )  # fmt: skip


def _tree(row: Sequence[Any]) -> TreeView:
    (num, id, uid, name, owner, phase, status, version, engine, epoch, released, created_at,
     updated_at, completed_at, paused, request, origin) = row  # fmt: skip
    return TreeView(
        num=num, id=id, uid=uid, name=name, user_id=owner, phase=phase, status=status,
        version=version, engine=engine, epoch=epoch, released=bool(released),
        created_at=created_at, updated_at=updated_at, completed_at=completed_at,
        paused=bool(paused), request=request, origin=origin,
    )  # fmt: skip
