"""Who drives a tree: claimed, released, and what that means for what ran."""

from collections.abc import Container

from .. import events as e
from ..errors import InvalidTransition
from ..specs import ErrorInfo
from ..tree import Task, Tree
from .attempts import cancelled, failed, is_running
from .stamp import Stamp, known

ENGINE_LOST, SHUTDOWN = "engine_lost", "shutdown"


def claim(tree: Tree, engine: str, stamp: Stamp, *, keep: Container[int] = ()) -> list[e.AnyEvent]:
    """``engine`` drives the tree from here on; what ran under the former one was interrupted.

    Tasks in ``keep`` stay as they are: their executors may find the work again.
    """
    if not tree.submitted or tree.settled:
        raise InvalidTransition(f"tree {tree.id} has nothing to run")
    facts: list[e.AnyEvent] = [
        e.TreeClaimed(
            at=stamp.at, by=stamp.by, cause=stamp.cause, engine=engine, epoch=tree.epoch + 1
        )
    ]
    lost = (tree.at_n(n) for n in tree.running if n not in keep)
    return facts + [_interrupted(tree, task, ENGINE_LOST, stamp) for task in lost]


def release(
    tree: Tree, stamp: Stamp, *, ended: Container[int] = (), keep: Container[int] = ()
) -> list[e.AnyEvent]:
    """The engine lets go in good order: running attempts are interrupted, the tree is free.

    ``ended`` are those that were asked to end and have; ``keep`` those that outlive any engine.
    """
    if tree.settled or tree.released:
        return []
    released = e.TreeReleased(at=stamp.at, by=stamp.by, cause=stamp.cause, engine=tree.engine)
    running = [tree.at_n(n) for n in tree.running if n not in keep]
    facts = [_interrupted(tree, t, SHUTDOWN, stamp, ended=t.n in ended) for t in running]
    return [*facts, released]


def lost(
    tree: Tree, id: str, attempt: int, stamp: Stamp, *, generation: int | None = None
) -> list[e.AnyEvent]:
    """What ran under a former engine was not found again; nothing where it is over."""
    task = known(tree, id)
    if not is_running(task, attempt, generation):
        return []
    return [_interrupted(tree, task, ENGINE_LOST, stamp)]


def _interrupted(
    tree: Tree, task: Task, why: str, stamp: Stamp, *, ended: bool = False
) -> e.AnyEvent:
    """The attempt ended with its engine: the task is tried again, unless it may not be."""
    policy = task.spec.policy
    if task.n in tree.cancels:
        return cancelled(task, stamp, stopped=ended, reason=tree.cancels[task.n])
    if policy.on_interrupt == "fail":
        error = ErrorInfo("interrupted", f"its engine stopped while it ran ({why})")
        return failed(task, task.attempt, error, stamp)
    if task.interruptions >= policy.max_interruptions:
        times = task.interruptions + 1
        text = f"its engine stopped, or let go of it, {times} times while it ran"
        return failed(task, task.attempt, ErrorInfo("interrupted_too_often", text), stamp)
    return e.TaskInterrupted(
        at=stamp.at, by=stamp.by, cause=stamp.cause,
        task=task.spec.id, attempt=task.attempt, interruption=why,
    )  # fmt: skip
