"""Events of each kind by the name of their approved file; together they set every field."""

from msgspec import Raw

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import (
    Dependency,
    ErrorInfo,
    ExecutorRef,
    TaskSpec,
    TreeOptions,
)

AT, BY, CAUSE = "2026-01-31T09:00:00.000001Z", "user", "2f1c6f0e-command"

ROOT = TaskSpec(id="r", name="breakfast")
CHILD = TaskSpec(
    id="a",
    name="boil \u00e9ggs",
    key="eggs",
    parent="r",
    dependencies=(Dependency("b"), Dependency("c", False)),
    inputs=Raw(b'{"minutes":5}'),
    params=Raw(b'{"executor_id":"cook"}'),
    schemas=Raw(b'{"method":"cook"}'),
    priority=0,
)
ERROR = ErrorInfo(
    "TimeoutError", "too slow", bases=("OSError", "Exception"), detail=Raw(b'{"after":5}')
)

_FIRST: tuple[AnyEvent, ...] = (
    e.TreeCreated(
        at=AT, by=BY, cause=CAUSE, uid="9d8f1c3a-0b7e-4a53-8f0e-2b1f6f1f7a10", name="breakfast",
        owner="ann", options=TreeOptions(limit=4), specs=(ROOT, CHILD),
    ),
    e.TasksAdded(at=AT, by=BY, cause=CAUSE, specs=(CHILD,), adopted_from="lunch"),
    e.TaskChanged(at=AT, by=BY, cause=CAUSE, spec=CHILD),
    e.TaskRemoved(at=AT, by=BY, cause=CAUSE, task="a"),
    e.TreeAdopted(at=AT, by=BY, cause=CAUSE, into="day"),
    e.TreeSubmitted(
        at=AT, by=BY, cause=CAUSE,
        executors=(ExecutorRef("cook", "kitchen.stove"), ExecutorRef("wait")),
        of=("group", 0, None, 1),
    ),
    e.TreeClaimed(at=AT, by=BY, cause=CAUSE, engine="engine-1", epoch=3),
    e.TreeReleased(at=AT, by=BY, cause=CAUSE, engine="engine-1"),
    e.TaskStarted(
        at=AT, by=BY, cause=CAUSE, task="a", attempt=2, generation=3, called=False,
        inputs=Raw(b'{"minutes":6}'),
    ),
    e.TaskProgressed(
        at=AT, by=BY, cause=CAUSE, task="a", attempt=2, progress=0.25, message="water boils"
    ),
    e.TaskSaved(at=AT, by=BY, cause=CAUSE, task="a", attempt=2, checkpoint=Raw(b'{"egg":1}')),
    e.TaskCompleted(
        at=AT, by=BY, cause=CAUSE, task="a", attempt=2, result=Raw(b"null"),
        blob="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", size=70000,
    ),
    e.TaskFailed(at=AT, by=BY, cause=CAUSE, task="a", attempt=2, error=ERROR),
    e.TaskInterrupted(
        at=AT, by=BY, cause=CAUSE, task="a", attempt=2, interruption="shutdown"
    ),
    e.TreeSettled(at=AT, by=BY, cause=CAUSE, status="failed"),
    e.ReportRefused(at=AT, by=BY, cause=CAUSE, task="a", attempt=2, reason="former_attempt"),
)  # fmt: skip

SAMPLES: dict[str, AnyEvent] = {f"{event.topic}.v{event.version}": event for event in _FIRST}
"""``<topic>.v<version>``, with ``+<field>`` behind it for a field that came later."""
