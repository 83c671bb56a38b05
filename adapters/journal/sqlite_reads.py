"""Queries over the status rows on SQLite. Results and errors come from the event that ended a task."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, UnsetType

from ...domain.events import TaskCompleted, TaskFailed
from ...domain.specs import Dependency, ErrorInfo
from ...projections.views import AttemptView, TaskView, TreeView
from .mapper import StructMapper
from .sql import statements
from .sqlite import SQLiteRecorder
from .sqlite_rows import TASK_BITS

_sql = statements("sqlite_reads")
_dependencies = msgspec.json.Decoder(tuple[Dependency, ...])
_NULL = Raw(b"null")
_AFTER = "\x7f"
"""Sorts after every character that an id may have."""


class SQLiteReads:
    """`projections.views.ReadModel` on SQLite."""

    def __init__(self, recorder: SQLiteRecorder, mapper: StructMapper) -> None:
        self._recorder = recorder
        self._mapper = mapper

    def tree(self, id: str) -> TreeView | None:
        """See `ReadModel.tree`."""
        rows = self._recorder.query(_sql.tree, (id,))
        return _tree(rows[0]) if rows else None

    def task(self, id: str) -> TaskView | None:
        """See `ReadModel.task`."""
        rows = self._recorder.query(_sql.task, (id,))
        return self._task(rows[0]) if rows else None

    def tasks(self, tree: str, *, results: bool = True) -> Sequence[TaskView]:
        """See `ReadModel.tasks`."""
        rows = self._recorder.query(_sql.tasks, {"tree": tree, "results": results})
        return [self._task(row) for row in rows]

    def trees(
        self,
        *,
        status: str | None = None,
        owner: str | None = None,
        phase: str | None = None,
        before: int | None = None,
        limit: int = 20,
    ) -> Sequence[TreeView]:
        """See `ReadModel.trees`."""
        wanted = {
            "status": status, "owner": owner, "phase": phase, "before": before, "limit": limit,
        }  # fmt: skip
        return [_tree(row) for row in self._recorder.query(_sql.trees, wanted)]

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
        return [self._task(row) for row in self._recorder.query(_sql.find, wanted)]

    def ids_like(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """See `ReadModel.ids_like`."""
        wanted = {"prefix": prefix, "after": prefix + _AFTER, "limit": limit}
        return [id for (id,) in self._recorder.query(_sql.ids_like, wanted)]

    def taken(self, ids: Sequence[str]) -> Sequence[str]:
        """See `ReadModel.taken`."""
        return [id for (id,) in self._recorder.query(_sql.taken, (_json(ids),))]

    def owner_and_tree(self, ids: Sequence[str]) -> dict[str, tuple[str | None, str]]:
        """See `ReadModel.owner_and_tree`."""
        rows = self._recorder.query(_sql.owner_and_tree, (_json(ids),))
        return {id: (owner, tree) for id, owner, tree in rows}

    def attempts(self, tree: str) -> Sequence[AttemptView]:
        """See `ReadModel.attempts`."""
        return [
            AttemptView(
                task=task, generation=generation, attempt=attempt,
                started_at=started_at, ended_at=ended_at, outcome=outcome,
            )
            for task, generation, attempt, started_at, ended_at, outcome
            in self._recorder.query(_sql.attempts, (tree,))
        ]  # fmt: skip

    def _task(self, row: Sequence[Any]) -> TaskView:
        result, error = self._ending(row[22], row[23])
        return task_view(row, row[0] & (1 << TASK_BITS) - 1, result, error)

    def _ending(self, topic: str | None, state: bytes | None) -> tuple[Raw | None, ErrorInfo | None]:
        if topic is None or state is None:
            return None, None
        event = self._mapper.decode(topic, state)
        if isinstance(event, TaskFailed):
            return None, event.error
        if not isinstance(event, TaskCompleted):
            return None, None
        if event.blob is not None:
            return Raw(self._recorder.blob(event.blob) or b"null"), None
        return _NULL if isinstance(event.result, UnsetType) else event.result, None


def task_view(
    row: Sequence[Any], n: int, result: Raw | None, error: ErrorInfo | None
) -> TaskView:
    """The view of a row of the task queries (their columns stand in one order on all stores)."""
    (_, id, key, name, parent, priority, dependencies, inputs, params, schemas, created_at,
     status, attempt, generation, progress, message, started_at, completed_at, _, tree, owner,
     phase) = row[:22]  # fmt: skip
    return TaskView(
        id=id, tree_id=tree, n=n, key=key, name=name, parent_id=parent, user_id=owner,
        priority=priority, dependencies=_dependencies.decode(dependencies),
        inputs=Raw(inputs.encode()), params=Raw(params.encode()), schemas=Raw(schemas.encode()),
        created_at=created_at, status=status or "pending", attempt=attempt or 0,
        generation=generation or 1, progress=progress or 0.0, message=message or "",
        started_at=started_at, completed_at=completed_at, draft=phase == "draft",
        result=result, error=error,
    )  # fmt: skip


def _tree(row: Sequence[Any]) -> TreeView:
    (num, id, uid, name, owner, phase, status, version, engine, epoch, released, created_at,
     updated_at, completed_at) = row  # fmt: skip
    return TreeView(
        num=num, id=id, uid=uid, name=name, user_id=owner, phase=phase, status=status,
        version=version, engine=engine, epoch=epoch, released=bool(released),
        created_at=created_at, updated_at=updated_at, completed_at=completed_at,
    )  # fmt: skip


def _json(ids: Sequence[str]) -> str:
    return msgspec.json.encode(ids).decode()
