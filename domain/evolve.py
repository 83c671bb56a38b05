"""`evolve`: the only thing that changes a tree's state.

Live run and replay share it, so a restart cannot differ from what it continues. What follows for
other tasks is kept up by counters in `readiness`.
"""

from collections.abc import Iterable
from typing import assert_never

from msgspec import Raw
from msgspec.structs import replace

from . import events as e
from .readiness import became_ready, ended, pending_again, rewire, wire
from .signals import mark_of
from .specs import TaskSpec
from .tree import (
    GROUP_KIND,
    NONE,
    PENDING,
    Backoff,
    Cancelled,
    Completed,
    Failed,
    Running,
    Task,
    Tree,
    Waiting,
)

_NULL = Raw(b"null")

_Drafting = e.TasksAdded | e.TaskChanged | e.TaskRemoved | e.TreeAdopted
_Rarer = (
    e.AttemptFailed
    | e.TaskInterrupted
    | e.AttemptTakenOver
    | e.TaskWaiting
    | e.SignalReceived
    | e.TaskCancelRequested
    | e.TaskCancelled
    | e.TreeCancelRequested
    | e.TreePaused
    | e.TreeUnpaused
    | e.TaskReopened
    | e.TreeReopened
    | e.ReportRefused
    | _Drafting
)


def evolve(tree: Tree, event: e.AnyEvent) -> Tree:
    """Apply one event, in place; O(1) and the edges of what ended. Returns ``tree``.

    ``tree.reopened`` alone costs a look at the whole tree.
    """
    tree.version += 1
    tree.at = event.at
    match event:
        case e.TaskStarted():
            _started(tree, event)
        case e.TaskCompleted():
            tree.blobs += event.blob is not None
            _end(tree, event.task, event.attempt, Completed(event.result or None, event.blob))
        case e.TaskFailed():
            tree.failed += 1
            _end(tree, event.task, event.attempt, Failed(event.error))
        case e.TaskProgressed():
            pass
        case e.TaskSaved():
            tree.at_n(tree.index[event.task]).checkpoint = event.checkpoint
        case e.TreeCreated():
            tree.uid, tree.name = event.uid, event.name
            tree.owner, tree.options = event.owner, event.options
            _add(tree, event.specs)
        case e.TreeSubmitted():
            _submitted(tree, event)
        case e.TreeClaimed():
            tree.engine, tree.epoch, tree.released = event.engine, event.epoch, False
            tree.orphans = dict(tree.running)
        case e.TreeReleased():
            tree.released = True
        case e.TreeSettled():
            tree.settled, tree.paused = event.status, False
        case _:
            _evolve_rarer(tree, event)
    return tree


def _evolve_rarer(tree: Tree, event: _Rarer) -> None:
    match event:
        case e.AttemptFailed():
            _attempt_failed(tree, event)
        case e.TaskInterrupted():
            _interrupted(tree, event.task)
        case e.AttemptTakenOver():
            tree.orphans.pop(tree.index[event.task], None)
        case e.TaskWaiting():
            _waiting(tree, event)
        case e.SignalReceived():
            payload = event.payload or _NULL
            tree.signals.setdefault(event.name, []).append((event.id, payload))
            tree.signal_ids[event.id] = mark_of(event.name, event.payload)
        case e.TaskCancelRequested():
            tree.cancels[tree.index[event.task]] = event.reason
        case e.TaskCancelled():
            tree.cancelled += 1
            _end(tree, event.task, event.attempt, Cancelled(event.reason))
        case e.TreeCancelRequested():
            tree.cancelling = True
            tree.cancels.update(dict.fromkeys(tree.running, event.reason))
        case e.TreePaused():
            tree.paused = True
        case e.TreeUnpaused():
            tree.paused = False
            tree.fresh.extend(tree.ready)
            tree.armed.extend(tree.delayed)
        case e.TaskReopened():
            _reopened(tree, event)
        case e.TreeReopened():
            tree.settled, tree.cancelling = "", False
            rewire(tree)
        case e.ReportRefused():
            n = tree.index[event.task]
            tree.refused[n] = tree.refused.get(n, 0) + 1
        case _:
            _evolve_draft(tree, event)


def _evolve_draft(tree: Tree, event: _Drafting) -> None:
    match event:
        case e.TasksAdded():
            _add(tree, event.specs)
        case e.TaskChanged():
            _changed(tree, event.spec)
        case e.TaskRemoved():
            _remove(tree, event.task)
        case e.TreeAdopted():
            tree.adopted_into = event.into
        case _ as never:
            assert_never(never)


def fold(id: str, events: Iterable[e.AnyEvent]) -> Tree:
    """The state after ``events``, which must be a stream from its first event on."""
    tree = Tree(id)
    for event in events:
        evolve(tree, event)
    return tree


def _add(tree: Tree, specs: Iterable[TaskSpec]) -> None:
    for spec in specs:
        n = len(tree.tasks)
        tree.tasks.append(Task(n, spec))
        tree.index[spec.id] = n
        if spec.key:
            tree.keys[spec.key] = n


def _changed(tree: Tree, spec: TaskSpec) -> None:
    n = tree.index[spec.id]
    task = tree.at_n(n)
    if task.spec.key:
        del tree.keys[task.spec.key]
    if spec.key:
        tree.keys[spec.key] = n
    task.spec = spec


def _remove(tree: Tree, id: str) -> None:
    n = tree.index.pop(id)
    task = tree.at_n(n)
    if task.spec.key:
        del tree.keys[task.spec.key]
    tree.tasks[n] = None


def _submitted(tree: Tree, event: e.TreeSubmitted) -> None:
    tree.submitted = True
    tree.executors = event.executors
    if event.demo:
        tree.options = replace(tree.options, demo=True)
    for task, of in zip(tree.live(), event.of, strict=True):
        task.kind = of if isinstance(of, int) else NONE if of is None else GROUP_KIND
        policy = task.spec.policy
        tree.keyed = tree.keyed or policy.concurrency is not None
        tree.timed = tree.timed or policy.deadline is not None
    wire(tree)
    tree.open = len(event.of)
    became_ready(tree, [task.n for task in tree.live() if task.needs == 0])


def _started(tree: Tree, event: e.TaskStarted) -> None:
    n = tree.index[event.task]
    task = tree.at_n(n)
    task.phase = Running(event.attempt, event.called)
    task.attempt = event.attempt
    if event.called:
        tree.running[n] = None
    tree.ready.pop(n, None)
    if task.backoff is not None:
        task.backoff = None
        tree.delayed.pop(n, None)
    if task.open_children:
        tree.due.pop(n, None)
    if task.parent >= 0:
        parent = tree.at_n(task.parent)
        if parent.is_group and parent.phase is PENDING:
            tree.due[parent.n] = None


def _waiting(tree: Tree, event: e.TaskWaiting) -> None:
    n = tree.index[event.task]
    tree.at_n(n).phase = Waiting(event.attempt, event.until, event.signal, event.absolute, event.at)
    tree.waiting[n] = tree.version
    tree.armed.append(n)


def _attempt_failed(tree: Tree, event: e.AttemptFailed) -> None:
    n = tree.index[event.task]
    task = tree.at_n(n)
    _not_running(tree, n)
    task.phase = PENDING
    task.failures += 1
    task.backoff = Backoff(event.retry_at, event.at)
    tree.delayed[n] = tree.version
    pending_again(tree, n)


def _interrupted(tree: Tree, id: str) -> None:
    n = tree.index[id]
    task = tree.at_n(n)
    _not_running(tree, n)
    task.phase = PENDING
    task.interruptions += 1
    pending_again(tree, n)


def _not_running(tree: Tree, n: int) -> None:
    tree.running.pop(n, None)
    if tree.cancels:
        tree.cancels.pop(n, None)
    if tree.orphans:
        tree.orphans.pop(n, None)


def _end(tree: Tree, id: str, attempt: int, phase: Completed | Failed | Cancelled) -> None:
    n = tree.index[id]
    task = tree.at_n(n)
    before = task.phase
    task.phase = phase
    task.attempt = attempt
    task.ended = tree.version
    task.checkpoint = None
    _not_running(tree, n)
    tree.ready.pop(n, None)
    tree.due.pop(n, None)
    if task.backoff is not None:
        task.backoff = None
        tree.delayed.pop(n, None)
    if tree.timed:
        tree.deadlines.pop(n, None)
    if isinstance(before, Waiting):
        del tree.waiting[n]
        if before.signal is not None and isinstance(phase, Completed):
            _consume(tree, before.signal)
    if task.blocked:
        task.blocker = -1  # cancelled with what blocked it: for others it had ended before
    else:
        ended(tree, n)


def _consume(tree: Tree, signal: str) -> None:
    kept = tree.signals.get(signal)
    if kept:
        del kept[0]
        if not kept:
            del tree.signals[signal]


def _reopened(tree: Tree, event: e.TaskReopened) -> None:
    """A new generation; what that means for others is worked out by ``tree.reopened``."""
    task = tree.at_n(tree.index[event.task])
    tree.failed -= isinstance(task.phase, Failed)
    tree.cancelled -= isinstance(task.phase, Cancelled)
    task.phase = PENDING
    task.generation = event.generation
    task.attempt = task.failures = task.interruptions = task.ended = 0
    task.harm = 0
    task.ready_at = ""
    tree.refused.pop(task.n, None)
