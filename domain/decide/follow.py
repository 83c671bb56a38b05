"""What the facts entail by themselves."""

from collections.abc import Iterator

from msgspec import Raw

from .. import events as e
from ..specs import ErrorInfo
from ..tree import Cancelled, Failed, Pending, Task, Tree
from .attempts import failed
from .stamp import Stamp

_NULL = Raw(b"null")


def follow(tree: Tree, stamp: Stamp) -> list[e.AnyEvent]:
    """What the facts so far entail without needing a slot: groups start and end, the tree settles.

    One group at a time: how one ends may say how the next one does. To be asked again, after
    applying the answer, until there is nothing more.
    """
    for n in tree.due:
        return list(_group_moves(tree, tree.at_n(n), stamp))
    if tree.submitted and not tree.open and not tree.settled:
        status = "failed" if tree.failed else "cancelled" if tree.cancelled else "completed"
        return [e.TreeSettled(at=stamp.at, by="engine", cause=stamp.cause, status=status)]
    return []


def _group_moves(tree: Tree, group: Task, stamp: Stamp) -> Iterator[e.AnyEvent]:
    if isinstance(group.phase, Pending):
        yield group_started(group, stamp)
    if not group.open_children:
        attempt = group.attempt + isinstance(group.phase, Pending)
        yield _group_ended(tree, group, attempt, Stamp(stamp.at, "engine", stamp.cause))


def group_started(group: Task, stamp: Stamp) -> e.TaskStarted:
    """A group begins with its first child."""
    return e.TaskStarted(
        at=stamp.at, cause=stamp.cause, task=group.spec.id,
        attempt=group.attempt + 1, generation=group.generation, called=False,
    )  # fmt: skip


def groups_to_start(tree: Tree, task: Task) -> Iterator[Task]:
    """The groups above ``task`` that begin when it does."""
    n = task.parent
    while n >= 0 and tree.at_n(n).is_group and isinstance(tree.at_n(n).phase, Pending):
        yield tree.at_n(n)
        n = tree.at_n(n).parent


def _group_ended(tree: Tree, group: Task, attempt: int, stamp: Stamp) -> e.AnyEvent:
    if group.first_failed >= 0:
        return failed(group, attempt, _child_error(tree, group), stamp)
    if group.first_bad >= 0:
        child = tree.at_n(group.first_bad).spec.label
        return e.TaskCancelled(
            at=stamp.at, cause=stamp.cause, task=group.spec.id, attempt=attempt,
            reason=f"its child {child} was cancelled or waited for what was",
        )  # fmt: skip
    return e.TaskCompleted(
        at=stamp.at, cause=stamp.cause, task=group.spec.id, attempt=attempt, result=_NULL
    )


def _child_error(tree: Tree, group: Task) -> ErrorInfo:
    child = tree.at_n(group.first_failed)
    if isinstance(child.phase, Failed):
        return ErrorInfo("child_failed", f"its child {child.spec.label} failed")
    culprit = child
    while culprit.blocked:
        culprit = tree.at_n(culprit.blocker)
    end = "was cancelled" if isinstance(culprit.phase, Cancelled) else "failed"
    return ErrorInfo(
        "child_blocked",
        f"its child {child.spec.label} could not start, because {culprit.spec.label} {end}",
    )
