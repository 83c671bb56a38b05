"""What the facts entail by themselves, and why a task does not run."""

from collections.abc import Iterator, Mapping

from msgspec import Raw

from .. import events as e
from ..specs import ErrorInfo
from ..tree import Completed, Pending, Running, Task, Tree, is_descendant
from .attempts import failed
from .stamp import Stamp, known

_NULL = Raw(b"null")


def follow(tree: Tree, stamp: Stamp) -> list[e.AnyEvent]:
    """What the facts so far entail without needing a slot: groups start and end, the tree settles.

    To be asked again, after applying the answer, until there is nothing more.
    """
    if tree.due:
        return [fact for n in tree.due for fact in _group_moves(tree, tree.at_n(n), stamp)]
    if tree.submitted and not tree.open and not tree.settled:
        status = "failed" if tree.failed else "completed"
        return [e.TreeSettled(at=stamp.at, by="engine", cause=stamp.cause, status=status)]
    return []


def _group_moves(tree: Tree, group: Task, stamp: Stamp) -> Iterator[e.AnyEvent]:
    if isinstance(group.phase, Pending):
        yield e.TaskStarted(
            at=stamp.at, cause=stamp.cause, task=group.spec.id,
            attempt=group.attempt + 1, generation=group.generation, called=False,
        )  # fmt: skip
    if group.open_children:
        return
    attempt = group.attempt + isinstance(group.phase, Pending)
    if group.first_bad < 0:
        yield e.TaskCompleted(
            at=stamp.at, cause=stamp.cause, task=group.spec.id, attempt=attempt, result=_NULL
        )
    else:
        yield failed(
            group, attempt, _child_error(tree, group), Stamp(stamp.at, "engine", stamp.cause)
        )


def _child_error(tree: Tree, group: Task) -> ErrorInfo:
    child = tree.at_n(group.first_bad)
    if not child.blocked:
        return ErrorInfo("child_failed", f"its child {child.spec.label} failed")
    culprit = child
    while culprit.blocked:
        culprit = tree.at_n(culprit.blocker)
    return ErrorInfo(
        "child_blocked",
        f"its child {child.spec.label} could not start, because {culprit.spec.label} failed",
    )


def why_waiting(tree: Tree, id: str) -> Mapping[str, str]:
    """What a pending task waits for: ``{"reason": …, "on": …}``, in keys; empty otherwise."""
    task = known(tree, id)
    if not isinstance(task.phase, Pending):
        return {}
    if task.blocked:
        return {"reason": "blocked", "on": tree.at_n(task.blocker).spec.label}
    if not tree.submitted:
        return {"reason": "draft"}
    if (other := _awaited(tree, task)) is not None:
        return {"reason": "dependency", "on": other.spec.label}
    gate = task.gate
    while gate >= 0:
        group = tree.at_n(gate)
        if _awaited(tree, group) is not None:
            return {"reason": "group", "on": group.spec.label}
        gate = group.gate
    return {"reason": "children" if task.is_group else "slot"}


def _awaited(tree: Tree, task: Task) -> Task | None:
    """The first of its own dependencies that is not satisfied yet."""
    for dependency in task.spec.dependencies:
        other = known(tree, dependency.on)
        over = other.blocked or not isinstance(other.phase, Pending | Running)
        satisfied = isinstance(other.phase, Completed) or (over and not dependency.required)
        if not satisfied and not (task.is_group and is_descendant(tree, other.n, task.n)):
            return other
    return None
