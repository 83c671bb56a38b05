"""Commands on single attempts: start, report, progress, checkpoint."""

from msgspec import UNSET, Raw

from .. import events as e
from ..errors import InvalidTransition
from ..specs import ErrorInfo
from ..tree import Completed, Failed, Running, Task, Tree
from .stamp import Stamp, known

MAX_REFUSED = 10
"""So many late reports of one task are recorded; further ones leave no trace."""


def start(
    tree: Tree, n: int, stamp: Stamp, *, inputs: Raw | None = None, fault: ErrorInfo | None = None
) -> list[e.AnyEvent]:
    """The next attempt of a ready task; with ``fault`` it fails before its executor is called."""
    task = tree.at_n(n)
    if n not in tree.ready:
        raise InvalidTransition(f"task {task.spec.label} is not ready to start")
    attempt = task.attempt + 1
    started = e.TaskStarted(
        at=stamp.at, by=stamp.by, cause=stamp.cause, task=task.spec.id,
        attempt=attempt, generation=task.generation, called=fault is None, inputs=inputs or UNSET,
    )  # fmt: skip
    if fault is None:
        return [started]
    return [started, failed(task, attempt, fault, stamp)]


def complete(
    tree: Tree, id: str, attempt: int, stamp: Stamp, *,
    result: Raw | None = None, blob: str | None = None, size: int | None = None,
) -> list[e.AnyEvent]:  # fmt: skip
    """The attempt returned a result; a report that came too late changes nothing."""
    task = known(tree, id)
    if (refusal := _refusal(tree, task, attempt, stamp)) is not None:
        return refusal
    return [
        e.TaskCompleted(
            at=stamp.at, by=stamp.by, cause=stamp.cause,
            task=id, attempt=attempt, result=result or UNSET, blob=blob, size=size,
        )
    ]  # fmt: skip


def fail(tree: Tree, id: str, attempt: int, error: ErrorInfo, stamp: Stamp) -> list[e.AnyEvent]:
    """The attempt ended in an error, and with it the task."""
    task = known(tree, id)
    if (refusal := _refusal(tree, task, attempt, stamp)) is not None:
        return refusal
    return [failed(task, attempt, error, stamp)]


def progress(
    tree: Tree, id: str, attempt: int, fraction: float, message: str, stamp: Stamp
) -> list[e.AnyEvent]:
    """How far the attempt says it is; nothing where it is over."""
    if not _is_running(known(tree, id), attempt):
        return []
    return [
        e.TaskProgressed(
            at=stamp.at, by=stamp.by, cause=stamp.cause, task=id, attempt=attempt,
            progress=min(1.0, max(0.0, fraction)), message=message,
        )
    ]  # fmt: skip


def save(tree: Tree, id: str, attempt: int, checkpoint: Raw, stamp: Stamp) -> list[e.AnyEvent]:
    """A checkpoint for the next attempt, should there be one."""
    task = known(tree, id)
    if not _is_running(task, attempt):
        raise InvalidTransition(
            f"task {task.spec.label}: attempt {attempt} is over, nothing was saved"
        )
    return [
        e.TaskSaved(
            at=stamp.at,
            by=stamp.by,
            cause=stamp.cause,
            task=id,
            attempt=attempt,
            checkpoint=checkpoint,
        )
    ]


def _is_running(task: Task, attempt: int) -> bool:
    return isinstance(task.phase, Running) and task.phase.called and task.attempt == attempt


def _refusal(tree: Tree, task: Task, attempt: int, stamp: Stamp) -> list[e.AnyEvent] | None:
    """None where the report may count, else what is recorded of it (at most 10 a task)."""
    if _is_running(task, attempt):
        return None
    if task.is_group or not 1 <= attempt <= task.attempt:
        raise InvalidTransition(f"task {task.spec.label} has had no attempt {attempt} to report on")
    if tree.refused.get(task.n, 0) >= MAX_REFUSED:
        return []
    reason = "ended" if isinstance(task.phase, Completed | Failed) else "former_attempt"
    return [
        e.ReportRefused(
            at=stamp.at,
            by=stamp.by,
            cause=stamp.cause,
            task=task.spec.id,
            attempt=attempt,
            reason=reason,
        )
    ]


def failed(task: Task, attempt: int, error: ErrorInfo, stamp: Stamp) -> e.TaskFailed:
    """The fact itself, for a task that may fail."""
    return e.TaskFailed(
        at=stamp.at, by=stamp.by, cause=stamp.cause, task=task.spec.id, attempt=attempt, error=error
    )
