"""The JSON of trees, tasks and events that all faces give."""

from collections.abc import Iterable
from typing import Any, Final, TypedDict

import msgspec
from msgspec import Raw, Struct, UnsetType

from ..domain.events import Recorded
from ..domain.specs import ErrorInfo
from ..projections.views import AttemptView, TaskView, TreeView

NULL: Final = Raw(b"null")


class DependencyDocument(Struct, frozen=True):
    """``id`` is that of the other task."""

    id: str
    required: bool


class TaskDocument(Struct, frozen=True):
    """A task as it stands. ``result`` is JSON, null where there is none."""

    id: str
    tree_id: str
    key: str
    name: str
    status: str
    attempt: int
    generation: int
    progress: float
    message: str
    result: Raw
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

    @property
    def has_result(self) -> bool:
        """Whether there is one that says anything."""
        return bytes(self.result) != b"null"

    def value(self) -> Any:
        """The result as Python values; None where there is none."""
        return msgspec.json.decode(self.result)


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


class Submitted(Struct, frozen=True):
    """What came of a submission. ``version`` is the tree's behind the command's own events: the
    same whenever it is asked for. ``tasks`` are ids by key, in creation order.
    """

    id: str
    name: str
    version: int
    draft: bool
    user_id: str | None
    created_at: str
    tasks: dict[str, str]


class Accepted(Struct, frozen=True, omit_defaults=True):
    """``version`` is the tree's behind the command; without one, ``command`` tells where to ask."""

    id: str
    version: int | None = None
    command: str | None = None
    signal: str | None = None


class CommandState(Struct, frozen=True):
    """What became of a command: ``state`` is open, done or refused, ``detail`` why."""

    id: str
    tree_id: str
    name: str
    at: str
    state: str
    version: int | None
    detail: str | None


class PlanDocument(Struct, frozen=True):
    """What a re-run would come to: tasks that would run, and completed ones that are kept."""

    id: str
    runs: list[str]
    kept: list[str]


class Why(TypedDict, total=False):
    """Why a task runs or does not; always with its id, key, status and the reason."""

    task_id: str
    key: str
    status: str
    reason: str
    on: str
    until: str
    deadline: str
    signal: str
    detail: str
    engine: str


class Health(Struct, frozen=True):
    """``status`` is ok or degraded; ``reasons`` say why, to those who may read."""

    status: str
    reasons: list[str] = []


class ExecutorDocument(Struct, frozen=True):
    """What tasks can name, and what it takes; ``why`` says why it is not usable."""

    id: str
    name: str
    description: str
    module: str
    built_in: bool
    usable: bool
    why: str = ""
    advice: str = ""
    extra: str | None = None
    installed: bool = True
    enabled: bool = True
    reattaches: bool = False
    runs: str = ""
    limit: int | None = None
    cancelable: bool = False
    tags: tuple[str, ...] = ()
    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] = {}
    examples: tuple[Any, ...] = ()


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
        "result": NULL if view.result is None else view.result,
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
