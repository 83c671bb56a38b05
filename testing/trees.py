"""Trees and facts in few words, for tests that should read like sentences.

Tasks are written as in `tasks`: ``"[parent/]id[(executor)] [<- dependency[?] …]"``. Facts made here
leave `at`, `by` and `cause` open: ``""``, which `given` takes for "whatever it is".
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import UNSET, json

from ..domain import events as e
from ..domain.events import AnyEvent, Recorded
from ..domain.specs import Concurrency, ErrorInfo, ExecutorRef, TaskSpec
from .tasks import WORK as WORK
from .tasks import raw as raw
from .tasks import specs as specs
from .tasks import task as task

UID = "00000000-0000-4000-8000-000000000000"
OPEN = ""
"""In `at`, `by` and `cause` of an expected fact: anything will do."""


def draft(*written: str | TaskSpec, owner: str | None = None) -> list[AnyEvent]:
    """The stream of a draft."""
    tasks = specs(*written)
    created = e.TreeCreated(
        at=OPEN, by=OPEN, cause=OPEN, uid=UID, name=tasks[0].name, owner=owner, specs=tasks
    )
    return [created]


def submitted(*written: str | TaskSpec, owner: str | None = None) -> list[AnyEvent]:
    """The stream of a tree that was submitted and that nobody drives yet."""
    tasks = specs(*written)
    parents = {spec.parent for spec in tasks}
    executors: dict[str, int] = {}
    of: list[int | str | None] = []
    for spec in tasks:
        chosen = json.decode(spec.params).get("executor_id")
        if chosen is None and spec.id in parents:
            of.append(e.GROUP)
        elif chosen == "":
            of.append(None)
        else:
            of.append(executors.setdefault(chosen or WORK, len(executors)))
    refs = tuple(ExecutorRef(id) for id in executors)
    start = e.TreeSubmitted(at=OPEN, by=OPEN, cause=OPEN, executors=refs, of=tuple(of))
    return [*draft(*written, owner=owner), start]


def running(*written: str | TaskSpec, owner: str | None = None) -> list[AnyEvent]:
    """The stream of a submitted tree that an engine has claimed."""
    return [*submitted(*written, owner=owner), claimed()]


def added(*written: str | TaskSpec, adopted_from: str | None = None) -> e.TasksAdded:
    """Tasks that joined a draft; each names its parent."""
    tasks = tuple(task(word) if isinstance(word, str) else word for word in written)
    return e.TasksAdded(at=OPEN, by=OPEN, cause=OPEN, specs=tasks, adopted_from=adopted_from)


def changed(spec: TaskSpec) -> e.TaskChanged:
    """A draft's task got this specification."""
    return e.TaskChanged(at=OPEN, by=OPEN, cause=OPEN, spec=spec)


def removed(id: str) -> e.TaskRemoved:
    """A draft lost a task."""
    return e.TaskRemoved(at=OPEN, by=OPEN, cause=OPEN, task=id)


def adopted(into: str) -> e.TreeAdopted:
    """The draft joined another tree."""
    return e.TreeAdopted(at=OPEN, by=OPEN, cause=OPEN, into=into)


def claimed(engine: str = "engine-1", epoch: int = 1) -> e.TreeClaimed:
    """An engine took the tree."""
    return e.TreeClaimed(at=OPEN, by=OPEN, cause=OPEN, engine=engine, epoch=epoch)


def released(engine: str = "engine-1") -> e.TreeReleased:
    """An engine let the tree go."""
    return e.TreeReleased(at=OPEN, by=OPEN, cause=OPEN, engine=engine)


def started(
    id: str, attempt: int = 1, *, called: bool = True, generation: int = 1,
    slot: Concurrency | None = None,
) -> e.TaskStarted:  # fmt: skip
    """An attempt began."""
    return e.TaskStarted(
        at=OPEN, by=OPEN, cause=OPEN, task=id,
        attempt=attempt, generation=generation, called=called, slot=slot,
    )  # fmt: skip


def group_started(id: str, attempt: int = 1, *, generation: int = 1) -> e.TaskStarted:
    """A group began: no executor is called."""
    return started(id, attempt, called=False, generation=generation)


def taken_over(
    id: str, attempt: int = 1, *, engine: str = "engine-1", epoch: int = 1
) -> e.AttemptTakenOver:
    """An attempt that outlived its engine was found."""
    return e.AttemptTakenOver(
        at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, engine=engine, epoch=epoch
    )


def waiting(
    id: str, until: str | None = None, *, signal: str | None = None, absolute: bool = False,
    attempt: int = 1,
) -> e.TaskWaiting:  # fmt: skip
    """A task that began without a call waits."""
    return e.TaskWaiting(
        at=OPEN, by=OPEN, cause=OPEN, task=id,
        attempt=attempt, until=until, signal=signal, absolute=absolute,
    )  # fmt: skip


def signal(id: str, name: str, payload: Any = UNSET) -> e.SignalReceived:
    """Something outside said ``name``; ``payload``, if there is one, is a Python value."""
    body = UNSET if payload is UNSET else raw(payload)
    return e.SignalReceived(at=OPEN, by=OPEN, cause=OPEN, id=id, name=name, payload=body)


def progressed(id: str, progress: float, message: str = "", attempt: int = 1) -> e.TaskProgressed:
    """An attempt said how far it is."""
    return e.TaskProgressed(
        at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, progress=progress, message=message
    )


def saved(id: str, checkpoint: Any, attempt: int = 1) -> e.TaskSaved:
    """An attempt saved a checkpoint, given as a Python value."""
    return e.TaskSaved(
        at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, checkpoint=raw(checkpoint)
    )


def completed(id: str, result: Any = None, attempt: int = 1) -> e.TaskCompleted:
    """An attempt returned ``result``, a Python value."""
    return e.TaskCompleted(
        at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, result=raw(result)
    )


def failed(id: str, type: str = "Broken", message: str = "", attempt: int = 1) -> e.TaskFailed:
    """A task ended in an error."""
    error = ErrorInfo(type, message)
    return e.TaskFailed(at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, error=error)


def attempt_failed(
    id: str, retry_at: str, type: str = "TransientError", message: str = "", attempt: int = 1
) -> e.AttemptFailed:
    """An attempt ended in an error, and another one follows."""
    error = ErrorInfo(type, message)
    return e.AttemptFailed(
        at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, error=error, retry_at=retry_at
    )


def interrupted(id: str, why: str = "engine_lost", attempt: int = 1) -> e.TaskInterrupted:
    """An engine stopped while an attempt ran."""
    return e.TaskInterrupted(
        at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, interruption=why
    )


def cancel_requested(id: str, reason: str = "") -> e.TaskCancelRequested:
    """Somebody wants the running task to end."""
    return e.TaskCancelRequested(at=OPEN, by=OPEN, cause=OPEN, task=id, reason=reason)


def cancelled(
    id: str, attempt: int = 0, *, stopped: bool = True, reason: str = ""
) -> e.TaskCancelled:
    """The task ended on request."""
    return e.TaskCancelled(
        at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, stopped=stopped, reason=reason
    )


def reopened(id: str, generation: int = 2) -> e.TaskReopened:
    """The task is to run again."""
    return e.TaskReopened(at=OPEN, by=OPEN, cause=OPEN, task=id, generation=generation)


def tree_reopened(reason: str = "") -> e.TreeReopened:
    """Ends what a re-run reopens."""
    return e.TreeReopened(at=OPEN, by=OPEN, cause=OPEN, reason=reason)


def tree_cancel_requested(reason: str = "") -> e.TreeCancelRequested:
    """Somebody wants the tree to end."""
    return e.TreeCancelRequested(at=OPEN, by=OPEN, cause=OPEN, reason=reason)


def paused(reason: str = "") -> e.TreePaused:
    """Nothing new starts."""
    return e.TreePaused(at=OPEN, by=OPEN, cause=OPEN, reason=reason)


def unpaused(reason: str = "") -> e.TreeUnpaused:
    """Tasks may start again."""
    return e.TreeUnpaused(at=OPEN, by=OPEN, cause=OPEN, reason=reason)


def settled(status: str) -> e.TreeSettled:
    """The tree has nothing left to do."""
    return e.TreeSettled(at=OPEN, by=OPEN, cause=OPEN, status=status)


def refused(id: str, reason: str, attempt: int = 1) -> e.ReportRefused:
    """A report came too late."""
    return e.ReportRefused(at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, reason=reason)


def log(*facts: AnyEvent | Iterable[AnyEvent], tree: str = "r") -> list[Recorded]:
    """The facts in their envelopes, as a journal would hand them out."""
    return [Recorded(tree, n, fact, n) for n, fact in enumerate(flat(facts), start=1)]


def flat(facts: Iterable[AnyEvent | Iterable[AnyEvent]]) -> Sequence[AnyEvent]:
    """Facts and streams of facts as one stream."""
    found: list[AnyEvent] = []
    for fact in facts:
        if isinstance(fact, e.Event):
            found.append(fact)
        else:
            found.extend(fact)
    return found
