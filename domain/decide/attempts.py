"""Commands on single attempts: start, report, progress, checkpoint.

An attempt is named by its number and, where it may be of a former one, by its ``generation``:
what was given up may still report when the task has been reopened and has an attempt 1 again.
"""

from msgspec import UNSET, Raw

from .. import events as e
from ..errors import InvalidTransition
from ..specs import ErrorInfo
from ..time import later
from ..tree import Running, Task, Tree, Waiting
from .retry import delay
from .stamp import Stamp, known

MAX_REFUSED = 10
"""So many late reports of one task are recorded; further ones leave no trace."""


def may_start(tree: Tree, n: int, at: str) -> bool:
    """Whether a task could start at this time, had it all the slots it needs."""
    if tree.paused or tree.cancelling:
        return False
    if n in tree.ready:
        return True
    task = tree.at_n(n)
    return task.backoff is not None and not task.needs and task.backoff.due <= at


def start(
    tree: Tree, n: int, stamp: Stamp, *, inputs: Raw | None = None, fault: ErrorInfo | None = None
) -> list[e.AnyEvent]:
    """The next attempt of a ready task; with ``fault`` it fails before its executor is called.

    A task under a concurrency key takes its slot with it.
    """
    task = tree.at_n(n)
    if not may_start(tree, n, stamp.at):
        raise InvalidTransition(f"task {task.spec.label} is not ready to start")
    attempt = task.attempt + 1
    started = e.TaskStarted(
        at=stamp.at, by=stamp.by, cause=stamp.cause, task=task.spec.id,
        attempt=attempt, generation=task.generation, called=fault is None, inputs=inputs or UNSET,
        slot=task.spec.policy.concurrency if fault is None else None,
    )  # fmt: skip
    if fault is None:
        return [started]
    return [started, failed(task, attempt, fault, stamp)]


def complete(
    tree: Tree, id: str, attempt: int, stamp: Stamp, *,
    result: Raw | None = None, blob: str | None = None, size: int | None = None,
    generation: int | None = None,
) -> list[e.AnyEvent]:  # fmt: skip
    """The attempt returned a result; a report that came too late changes nothing."""
    task = known(tree, id)
    if (refusal := _refusal(tree, task, attempt, generation, stamp)) is not None:
        return refusal
    return [
        e.TaskCompleted(
            at=stamp.at, by=stamp.by, cause=stamp.cause,
            task=id, attempt=attempt, result=result or UNSET, blob=blob, size=size,
        )
    ]  # fmt: skip


def fail(
    tree: Tree, id: str, attempt: int, error: ErrorInfo, stamp: Stamp, *,
    safe: bool | None = None, retry_after: float | None = None, chance: float = 1.0,
    final: bool = False, generation: int | None = None,
) -> list[e.AnyEvent]:  # fmt: skip
    """The attempt ended in an error: another one will follow, or the task failed with it.

    A task that was to end is cancelled by it. See `retry.delay`; with ``final`` none follows.
    """
    task = known(tree, id)
    if (refusal := _refusal(tree, task, attempt, generation, stamp)) is not None:
        return refusal
    if task.n in tree.cancels:
        return [cancelled(task, stamp, stopped=True, reason=tree.cancels[task.n])]
    seconds = None
    if not final:
        seconds = delay(task, error, safe=safe, retry_after=retry_after, chance=chance)
    if seconds is not None:
        retry_at = later(stamp.at, seconds)
        deadline = deadline_of(task)
        if deadline is None or retry_at < deadline:
            return [
                e.AttemptFailed(
                    at=stamp.at, by=stamp.by, cause=stamp.cause,
                    task=id, attempt=attempt, error=error, retry_at=retry_at,
                )
            ]  # fmt: skip
    return [failed(task, attempt, error, stamp)]


def stopped(
    tree: Tree, id: str, attempt: int, stamp: Stamp, *, ended: bool, generation: int | None = None
) -> list[e.AnyEvent]:
    """An attempt that was to end did so, or was given up; nothing where it is over already."""
    task = known(tree, id)
    if not is_running(task, attempt, generation) or task.n not in tree.cancels:
        return []
    return [cancelled(task, stamp, stopped=ended, reason=tree.cancels[task.n])]


def take_over(
    tree: Tree, id: str, attempt: int, stamp: Stamp, *, generation: int | None = None
) -> list[e.AnyEvent]:
    """An attempt of a former engine was found again, and goes on."""
    task = known(tree, id)
    if not is_running(task, attempt, generation) or task.n not in tree.orphans:
        raise InvalidTransition(f"task {task.spec.label}: attempt {attempt} is over")
    return [
        e.AttemptTakenOver(
            at=stamp.at, by=stamp.by, cause=stamp.cause,
            task=id, attempt=attempt, engine=tree.engine, epoch=tree.epoch,
        )
    ]  # fmt: skip


def deadline_of(task: Task) -> str | None:
    """When a task that has become ready has to be over."""
    seconds = task.spec.policy.deadline
    return None if seconds is None or not task.ready_at else later(task.ready_at, seconds)


def progress(
    tree: Tree, id: str, attempt: int, fraction: float, message: str, stamp: Stamp, *,
    generation: int | None = None,
) -> list[e.AnyEvent]:  # fmt: skip
    """How far the attempt says it is; nothing where it is over."""
    if not is_running(known(tree, id), attempt, generation):
        return []
    return [
        e.TaskProgressed(
            at=stamp.at, by=stamp.by, cause=stamp.cause, task=id, attempt=attempt,
            progress=min(1.0, max(0.0, fraction)), message=message,
        )
    ]  # fmt: skip


def save(
    tree: Tree, id: str, attempt: int, checkpoint: Raw, stamp: Stamp, *,
    generation: int | None = None,
) -> list[e.AnyEvent]:  # fmt: skip
    """A checkpoint for the next attempt, should there be one."""
    task = known(tree, id)
    if not is_running(task, attempt, generation):
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


def is_running(task: Task, attempt: int, generation: int | None = None) -> bool:
    """Whether this attempt is the one that runs, with its executor called."""
    if generation not in (None, task.generation):
        return False
    return isinstance(task.phase, Running) and task.phase.called and task.attempt == attempt


def _refusal(
    tree: Tree, task: Task, attempt: int, generation: int | None, stamp: Stamp
) -> list[e.AnyEvent] | None:
    """None where the report may count, else what is recorded of it (at most 10 a task).

    Nothing of an attempt of a former generation: by its number it would seem to be another one.
    """
    if is_running(task, attempt, generation):
        return None
    if generation is not None and generation < task.generation:
        return []
    waits = isinstance(task.phase, Waiting) and attempt == task.attempt
    if task.is_group or waits or not 1 <= attempt <= task.attempt:
        raise InvalidTransition(f"task {task.spec.label} has had no attempt {attempt} to report on")
    if tree.refused.get(task.n, 0) >= MAX_REFUSED:
        return []
    reason = "ended" if task.is_over else "former_attempt"
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


def cancelled(task: Task, stamp: Stamp, *, stopped: bool, reason: str = "") -> e.TaskCancelled:
    """The fact itself, for a task that may end."""
    return e.TaskCancelled(
        at=stamp.at, by=stamp.by, cause=stamp.cause,
        task=task.spec.id, attempt=task.attempt, stopped=stopped, reason=reason,
    )  # fmt: skip
