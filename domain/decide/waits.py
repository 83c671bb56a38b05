"""Tasks that wait without a slot: for a time, or for something outside to say a word."""

from heapq import nsmallest
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from .. import events as e
from ..errors import InvalidInput, InvalidTransition
from ..signals import mark_of
from ..specs import ErrorInfo, TaskSpec
from ..time import later
from ..tree import Task, Tree, Waiting
from ..wording import cut, quoted
from .attempts import deadline_of, failed, is_running, may_start
from .stamp import Stamp

NULL = Raw(b"null")
MAX_SHOWN = 10
"""So many names of signals are shown where another one came."""


class SignalInputs(Struct, frozen=True):
    """What a task that waits for a signal may say. ``name`` is its key where it says none."""

    name: str | None = None
    schema: Any = None
    timeout: float | None = None
    default: Raw | msgspec.UnsetType = UNSET


def signal_inputs(spec: TaskSpec) -> SignalInputs:
    """Read from what was written: the inputs of such a task are not computed."""
    try:
        return msgspec.json.decode(spec.inputs, type=SignalInputs)
    except msgspec.ValidationError:
        return SignalInputs()


def signal_name(spec: TaskSpec) -> str:
    """The name of the signal that the task waits for."""
    return signal_inputs(spec).name or spec.label


def wait(
    tree: Tree, n: int, stamp: Stamp, *,
    until: str | None = None, signal: str | None = None, absolute: bool = False,
) -> list[e.AnyEvent]:  # fmt: skip
    """A ready task begins to wait; one whose signal is there already ends at once."""
    task = tree.at_n(n)
    if not may_start(tree, n, stamp.at):
        raise InvalidTransition(f"task {task.spec.label} is not ready to start")
    attempt = task.attempt + 1
    facts: list[e.AnyEvent] = [
        e.TaskStarted(
            at=stamp.at, by=stamp.by, cause=stamp.cause, task=task.spec.id,
            attempt=attempt, generation=task.generation, called=False,
        ),
        e.TaskWaiting(
            at=stamp.at, by=stamp.by, cause=stamp.cause, task=task.spec.id,
            attempt=attempt, until=until, signal=signal, absolute=absolute,
        ),
    ]  # fmt: skip
    if signal is not None and (kept := tree.signals.get(signal)):
        facts.append(_completed(task, attempt, kept[0][1], stamp))
    return facts


def wait_for_signal(tree: Tree, n: int, stamp: Stamp) -> list[e.AnyEvent]:
    """A ready task begins to wait for the signal that it names."""
    spec = tree.at_n(n).spec
    timeout = signal_inputs(spec).timeout
    until = None if timeout is None else later(stamp.at, timeout)
    return wait(tree, n, stamp, until=until, signal=signal_name(spec))


def signal(
    tree: Tree, id: str, name: str, payload: Raw | None, stamp: Stamp, *, signals: set[int]
) -> list[e.AnyEvent]:
    """Something outside says ``name``: the first task that waits for it completes with the payload.

    Where none waits yet the signal is kept. ``signals`` are the indexes of the tree's executors
    that wait for signals. The same id again changes nothing, and has to say the same.
    """
    if id in tree.signal_ids:
        if tree.signal_ids[id] != mark_of(name, payload):
            raise InvalidInput(
                "a signal with this id came before, with another name or payload. Use a new id "
                "for a new signal; send exactly the same again to learn what became of that one."
            )
        return []
    require_signal(tree, name, signals)
    received = e.SignalReceived(
        at=stamp.at, by=stamp.by, cause=stamp.cause, id=id, name=name, payload=payload or UNSET
    )
    listeners = _listeners(tree, signals).get(name, ())
    waiting = [n for n in listeners if _waits_for(tree.at_n(n), name)]
    if not waiting:
        return [received]
    task = tree.at_n(min(waiting, key=tree.waiting.__getitem__))
    return [received, _completed(task, task.attempt, payload or NULL, stamp)]


def require_signal(tree: Tree, name: str, signals: set[int]) -> list[Task]:
    """The open tasks for which ``name`` is meant. Raises where there are none."""
    if not tree.submitted:
        raise InvalidTransition(f"tree {tree.id} is a draft: nothing of it waits")
    if tree.settled:
        raise InvalidTransition(f"tree {tree.id} has settled ({tree.settled}): nothing waits")
    listeners = _listeners(tree, signals)
    if name not in listeners:
        names = ", ".join(map(cut, nsmallest(MAX_SHOWN, listeners))) or "none"
        names += ", …" if len(listeners) > MAX_SHOWN else ""
        raise InvalidInput(
            f"no task of tree {tree.id} waits for {quoted(name)}; signals are: {names}"
        )
    open_tasks = [task for n in listeners[name] if not (task := tree.at_n(n)).is_over]
    if not open_tasks:
        raise InvalidTransition(
            f"all tasks that wait for {quoted(name)} in tree {tree.id} have ended"
        )
    return open_tasks


def _waits_for(task: Task, name: str) -> bool:
    return isinstance(task.phase, Waiting) and task.phase.signal == name


def _listeners(tree: Tree, signals: set[int]) -> dict[str, list[int]]:
    """Which tasks are for which signal: the same for good, so it is looked up once a tree."""
    if tree.listeners is None:
        tree.listeners = {}
        for task in tree.live():
            if task.kind in signals:
                tree.listeners.setdefault(signal_name(task.spec), []).append(task.n)
    return tree.listeners


def time_is_up(
    tree: Tree, n: int, stamp: Stamp, *, due: str = "", ticking: bool = False
) -> list[e.AnyEvent]:
    """What a waiting task's time, or the deadline of a task that does not run, comes to.

    Nothing where neither has been reached: at ``due``, which is what a timer that rang was set to,
    else at ``stamp``. A clock that was set makes ``stamp`` later than what has really passed, and
    ``due`` later than a deadline whose own timer is still ``ticking``. A running attempt has to be
    stopped first: see `overdue`.
    """
    task, now = tree.at_n(n), due or stamp.at
    deadline = deadline_of(task) if n in tree.deadlines and not ticking else None
    if deadline is not None and deadline <= now:
        return _too_late(tree, task, stamp)
    phase = task.phase
    if not isinstance(phase, Waiting) or phase.until is None or phase.until > now:
        return []
    if phase.signal is None:
        result = Raw(msgspec.json.encode({"waited_until": phase.until}))
        return [_completed(task, task.attempt, result, stamp)]
    default = signal_inputs(task.spec).default
    if not isinstance(default, msgspec.UnsetType):
        return [_completed(task, task.attempt, default, stamp)]
    text = f"no signal {phase.signal!r} came until {phase.until}"
    return [failed(task, task.attempt, ErrorInfo("signal_timeout", text, ("TimeoutError",)), stamp)]


def overdue(task: Task) -> ErrorInfo:
    """The error of a task that was not over at its deadline."""
    text = f"it was not over at its deadline, {task.spec.policy.deadline:g} s after it was ready"
    return ErrorInfo("deadline_exceeded", text, ("TimeoutError",))


def _too_late(tree: Tree, task: Task, stamp: Stamp) -> list[e.AnyEvent]:
    if task.is_over or task.blocked or is_running(task, task.attempt):
        return []
    error = overdue(task)
    if isinstance(task.phase, Waiting):
        return [failed(task, task.attempt, error, stamp)]
    attempt = task.attempt + 1
    started = e.TaskStarted(
        at=stamp.at, by=stamp.by, cause=stamp.cause, task=task.spec.id,
        attempt=attempt, generation=task.generation, called=False,
    )  # fmt: skip
    return [started, failed(task, attempt, error, stamp)]


def _completed(task: Task, attempt: int, result: Raw, stamp: Stamp) -> e.TaskCompleted:
    return e.TaskCompleted(
        at=stamp.at, by=stamp.by, cause=stamp.cause,
        task=task.spec.id, attempt=attempt, result=result,
    )  # fmt: skip
