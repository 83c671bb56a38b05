"""What users ask of a tree that runs: cancel, pause, unpause."""

from .. import events as e
from ..errors import InvalidTransition
from ..tree import Pending, Task, Tree, Waiting, is_descendant
from .attempts import cancelled
from .stamp import Stamp, known


def cancel_tree(tree: Tree, stamp: Stamp, *, reason: str = "") -> list[e.AnyEvent]:
    """Nothing starts any more: what is pending or waits ends now, what runs is asked to end.

    Asked again it changes nothing; a tree that has settled has nothing to cancel.
    """
    _require_open(tree, "cancelled")
    if tree.cancelling:
        return []
    asked = e.TreeCancelRequested(at=stamp.at, by=stamp.by, cause=stamp.cause, reason=reason)
    idle = [task for task in tree.live() if _is_idle(task)]
    return [asked, *(cancelled(task, stamp, stopped=True, reason=reason) for task in idle)]


def cancel_task(tree: Tree, id: str, stamp: Stamp, *, reason: str = "") -> list[e.AnyEvent]:
    """One task ends, or all below it where it is a group. What requires it is blocked then."""
    _require_open(tree, "cancelled")
    task = known(tree, id)
    if task.is_over or task.blocked:
        state = "is blocked and never starts" if task.blocked else f"has {task.status} already"
        raise InvalidTransition(f"task {task.spec.label} {state}: there is nothing to cancel")
    tasks = [task]
    if task.is_group:
        tasks = [other for other in tree.live() if is_descendant(tree, other.n, task.n)]
    return [fact for one in tasks for fact in _cancel(tree, one, stamp, reason)]


def _cancel(tree: Tree, task: Task, stamp: Stamp, reason: str) -> list[e.AnyEvent]:
    if _is_idle(task):
        return [cancelled(task, stamp, stopped=True, reason=reason)]
    if task.n not in tree.running or task.n in tree.cancels:
        return []
    return [
        e.TaskCancelRequested(
            at=stamp.at, by=stamp.by, cause=stamp.cause, task=task.spec.id, reason=reason
        )
    ]


def _is_idle(task: Task) -> bool:
    """Open, and nothing runs for it. Groups end with their children."""
    if task.is_group or task.blocked:
        return False
    return isinstance(task.phase, Pending | Waiting)


def pause(tree: Tree, stamp: Stamp, *, reason: str = "") -> list[e.AnyEvent]:
    """Nothing new starts; what runs goes on. Twice changes nothing."""
    _require_open(tree, "paused")
    if tree.paused:
        return []
    return [e.TreePaused(at=stamp.at, by=stamp.by, cause=stamp.cause, reason=reason)]


def unpause(tree: Tree, stamp: Stamp, *, reason: str = "") -> list[e.AnyEvent]:
    """Tasks may start again. Where it is not paused nothing changes."""
    _require_open(tree, "unpaused")
    if not tree.paused:
        return []
    return [e.TreeUnpaused(at=stamp.at, by=stamp.by, cause=stamp.cause, reason=reason)]


def _require_open(tree: Tree, what: str) -> None:
    if not tree.submitted:
        raise InvalidTransition(f"tree {tree.id} is a draft: it does not run and cannot be {what}")
    if tree.settled:
        raise InvalidTransition(
            f"tree {tree.id} has settled ({tree.settled}): it cannot be {what} any more"
        )
