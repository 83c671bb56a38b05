"""The JSON of trees, tasks and events that all faces give."""

from collections.abc import Iterable
from typing import Any

from msgspec import Raw, Struct, UnsetType

from ..domain.events import Recorded
from ..domain.specs import ErrorInfo
from ..projections.views import AttemptView, TaskView, TreeView


class DependencyDocument(Struct, frozen=True):
    """``id`` is that of the other task."""

    id: str
    required: bool


class TaskDocument(Struct, frozen=True):
    """A task as it stands."""

    id: str
    tree_id: str
    key: str
    name: str
    status: str
    attempt: int
    generation: int
    progress: float
    message: str
    result: Raw | None
    error: ErrorInfo | None
    parent_id: str | None
    user_id: str | None
    priority: int
    dependencies: tuple[DependencyDocument, ...]
    inputs: Raw
    params: Raw
    schemas: Raw
    policy: Raw
    draft: bool
    created_at: str
    started_at: str | None
    completed_at: str | None


class AttemptDocument(Struct, frozen=True):
    """One attempt; ``outcome`` is null while it runs."""

    attempt: int
    generation: int
    started_at: str
    ended_at: str | None
    outcome: str | None


class TaskInFull(TaskDocument, frozen=True):
    """A task with all its attempts, oldest first."""

    attempts: list[AttemptDocument] = []


class TreeDocument(Struct, frozen=True):
    """A tree as it stands, without its tasks."""

    id: str
    name: str
    status: str
    version: int
    user_id: str | None
    draft: bool
    paused: bool
    created_at: str
    updated_at: str
    completed_at: str | None


class WholeTree(TreeDocument, frozen=True):
    """A tree with its tasks in creation order."""

    tasks: list[TaskDocument] = []


class Page(Struct, frozen=True):
    """Some of many; ``next`` is where to go on, null at the end."""

    items: list[Any]
    next: str | None = None


def tree_document(view: TreeView) -> TreeDocument:
    """A tree without its tasks."""
    return TreeDocument(**_tree_fields(view))


def whole_tree(view: TreeView, tasks: list[TaskView]) -> WholeTree:
    """A tree with these tasks."""
    return WholeTree(**_tree_fields(view), tasks=[task_document(task) for task in tasks])


def _tree_fields(view: TreeView) -> dict[str, Any]:
    return {
        "id": view.id,
        "name": view.name,
        "status": view.status,
        "version": view.version,
        "user_id": view.user_id,
        "draft": view.is_draft,
        "paused": view.paused,
        "created_at": view.created_at,
        "updated_at": view.updated_at,
        "completed_at": view.completed_at,
    }


def task_document(view: TaskView) -> TaskDocument:
    """A task with its result or error."""
    return TaskDocument(**_task_fields(view))


def task_in_full(view: TaskView, attempts: Iterable[AttemptView]) -> TaskInFull:
    """A task with those of ``attempts`` that are its own."""
    own = [
        AttemptDocument(a.attempt, a.generation, a.started_at, a.ended_at, a.outcome)
        for a in attempts
        if a.task == view.id
    ]
    return TaskInFull(**_task_fields(view), attempts=own)


def _task_fields(view: TaskView) -> dict[str, Any]:
    return {
        "id": view.id,
        "tree_id": view.tree_id,
        "key": view.key,
        "name": view.name,
        "status": view.status,
        "attempt": view.attempt,
        "generation": view.generation,
        "progress": view.progress,
        "message": view.message,
        "result": view.result,
        "error": view.error,
        "parent_id": view.parent_id,
        "user_id": view.user_id,
        "priority": view.priority,
        "dependencies": tuple(DependencyDocument(d.on, d.required) for d in view.dependencies),
        "inputs": view.inputs,
        "params": view.params,
        "schemas": view.schemas,
        "policy": view.policy,
        "draft": view.draft,
        "created_at": view.created_at,
        "started_at": view.started_at,
        "completed_at": view.completed_at,
    }


def event_document(recorded: Recorded) -> dict[str, Any]:
    """An event in its envelope: what is stored as ``task`` is shown as ``task_id``."""
    event = recorded.event
    document: dict[str, Any] = {
        "position": recorded.position,
        "version": recorded.version,
        "type": event.topic,
        "at": event.at,
        "by": event.by,
        "tree_id": recorded.tree,
    }
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name not in document and not isinstance(value, UnsetType) and value is not None:
            document["task_id" if name == "task" else name] = value
    return document
