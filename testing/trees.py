"""Trees and facts in few words, for tests that should read like sentences.

A task is written ``"[parent/]id[(executor)] [<- dependency[?] …]"``: ``"g/c <- a b?"`` is the task
``c`` in ``g``, which requires ``a`` and waits for the end of ``b``. The first task of a tree is its
root, the parent of all that name no other. A task with children is a group, and one without is run
by the executor `WORK`, unless an executor is written: ``"p(build)"``. ``"x()"`` has none at all.

Facts made here leave `at`, `by` and `cause` open: ``""``, which `given` takes for "whatever it is".
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Raw, json, structs

from ..domain import events as e
from ..domain.events import AnyEvent, Recorded
from ..domain.specs import (
    DEFAULT_PRIORITY,
    EMPTY_OBJECT,
    Dependency,
    ErrorInfo,
    ExecutorRef,
    TaskSpec,
)

WORK = "work"
"""The executor of tasks that name none and have no children."""
UID = "00000000-0000-4000-8000-000000000000"
OPEN = ""
"""In `at`, `by` and `cause` of an expected fact: anything will do."""

_WRITTEN = re.compile(
    r"((?P<parent>[\w.:-]+)/)?(?P<id>[\w.:-]+)(\((?P<executor>\w*)\))?(\s*<-\s*(?P<needs>\S.*))?"
)


def raw(value: Any) -> Raw:
    """A Python value as the JSON bytes that specifications and facts hold."""
    return Raw(json.encode(value))


def task(
    written: str,
    *,
    name: str = "",
    key: str = "",
    priority: int = DEFAULT_PRIORITY,
    inputs: Any = None,
    params: Any = None,
    schemas: Any = None,
) -> TaskSpec:
    """One specification; ``inputs``, ``params`` and ``schemas`` are Python values."""
    match = _WRITTEN.fullmatch(written)
    if match is None:
        raise ValueError(f"{written!r} is not written as [parent/]id[(executor)] [<- dependency …]")
    if match["executor"] is not None:
        params = {"executor_id": match["executor"]} | (params or {})
    return TaskSpec(
        id=match["id"],
        name=name or match["id"],
        key=key,
        parent=match["parent"],
        dependencies=tuple(
            Dependency(word.removesuffix("?"), not word.endswith("?"))
            for word in (match["needs"] or "").split()
        ),
        inputs=EMPTY_OBJECT if inputs is None else raw(inputs),
        params=EMPTY_OBJECT if params is None else raw(params),
        schemas=EMPTY_OBJECT if schemas is None else raw(schemas),
        priority=priority,
    )


def specs(*written: str | TaskSpec) -> tuple[TaskSpec, ...]:
    """The specifications of a whole tree; the first is the root."""
    read = [task(word) if isinstance(word, str) else word for word in written]
    root = read[0]
    return (root, *(s if s.parent else structs.replace(s, parent=root.id) for s in read[1:]))


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


def started(id: str, attempt: int = 1, *, called: bool = True) -> e.TaskStarted:
    """An attempt began."""
    return e.TaskStarted(at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, called=called)


def group_started(id: str) -> e.TaskStarted:
    """A group began: no executor is called."""
    return started(id, called=False)


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


def interrupted(id: str, why: str = "engine_lost", attempt: int = 1) -> e.TaskInterrupted:
    """An engine stopped while an attempt ran."""
    return e.TaskInterrupted(
        at=OPEN, by=OPEN, cause=OPEN, task=id, attempt=attempt, interruption=why
    )


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
