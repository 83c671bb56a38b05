"""Why a task does not run, or that it does: as much as its tree's own state tells."""

from ..specs import ErrorInfo
from ..tree import (
    Cancelled,
    Completed,
    Failed,
    Pending,
    Running,
    Task,
    Tree,
    Waiting,
    is_descendant,
)
from .attempts import deadline_of
from .stamp import known


def why(tree: Tree, id: str) -> dict[str, str]:
    """``{"reason": …}`` with ``on`` (a key), ``until`` (RFC 3339), ``signal`` or ``detail``.

    Reasons: ``draft``, ``dependency``, ``group``, ``children``, ``blocked``, ``paused``,
    ``cancelling``, ``unclaimed``, ``retry``, ``slot``, ``concurrency`` of what is pending;
    ``running``, ``stopping``, ``timer``, ``signal`` of what is in progress; else the end it came
    to: ``completed``, ``failed``, ``cancelled``.
    """
    task = known(tree, id)
    found = _of_phase(tree, task)
    deadline = deadline_of(task) if task.n in tree.deadlines else None
    return found | {"deadline": deadline} if deadline is not None else found


def _of_phase(tree: Tree, task: Task) -> dict[str, str]:
    match task.phase:
        case Pending():
            return _pending(tree, task)
        case Running():
            if task.n in tree.cancels:
                return {"reason": "stopping", "detail": "it was asked to end"}
            return {"reason": "running", "detail": f"attempt {task.attempt}"}
        case Waiting(until=until, signal=signal):
            found = {"reason": "timer" if signal is None else "signal"}
            found |= {"until": until} if until is not None else {}
            return found | {"signal": signal} if signal is not None else found
        case Completed():
            return {"reason": "completed"}
        case Failed(error=error):
            return {"reason": "failed", "detail": _line(error)}
        case Cancelled(reason=reason):
            return {"reason": "cancelled", "detail": reason or "on request"}


def _line(error: ErrorInfo) -> str:
    return f"{error.type}: {error.message}"


def _pending(tree: Tree, task: Task) -> dict[str, str]:
    if task.blocked:
        return {"reason": "blocked", "on": _culprit(tree, task).spec.label}
    if not tree.submitted:
        return {"reason": "draft"}
    if (other := _awaited(tree, task)) is not None:
        return {"reason": "dependency", "on": other.spec.label}
    gate = task.gate
    while gate >= 0:
        group = tree.at_n(gate)
        if (other := _awaited(tree, group)) is not None:
            detail = f"the group waits for {other.spec.label}"
            return {"reason": "group", "on": group.spec.label, "detail": detail}
        gate = group.gate
    return _held(tree, task)


def _held(tree: Tree, task: Task) -> dict[str, str]:
    """Nothing of the graph is missing."""
    if tree.cancelling:
        return {"reason": "cancelling"}
    if tree.paused:
        return {"reason": "paused"}
    if task.backoff is not None:
        return {"reason": "retry", "until": task.backoff.due}
    if task.is_group:
        return {"reason": "children"}
    if tree.released:
        return {"reason": "unclaimed", "detail": "no engine drives the tree; resume it"}
    if (concurrency := task.spec.policy.concurrency) is not None:
        detail = f"a slot, or one of {concurrency.limit} places under {concurrency.key!r}"
        return {"reason": "concurrency", "detail": detail}
    return {"reason": "slot"}


def _culprit(tree: Tree, task: Task) -> Task:
    """The task that ended badly and because of which this one never starts."""
    while task.blocked:
        task = tree.at_n(task.blocker)
    return task


def _awaited(tree: Tree, task: Task) -> Task | None:
    """The first of its own dependencies that is not satisfied yet."""
    for dependency in task.spec.dependencies:
        other = known(tree, dependency.on)
        over = other.blocked or other.is_over
        satisfied = isinstance(other.phase, Completed) or (over and not dependency.required)
        if not satisfied and not (task.is_group and is_descendant(tree, other.n, task.n)):
            return other
    return None
