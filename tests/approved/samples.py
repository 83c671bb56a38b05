"""Events of each kind by the name of their approved file; together they set every field."""

from msgspec import Raw, structs

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import (
    Concurrency,
    Dependency,
    ErrorInfo,
    ExecutorRef,
    Policy,
    Request,
    RetryPolicy,
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
RETRY = RetryPolicy(
    max_attempts=5,
    backoff="fixed",
    initial_delay=0.5,
    multiplier=3.0,
    max_delay=30.0,
    jitter="full",
    retry_on=("TimeoutError",),
    non_retryable=("BurntError",),
)
SLOT = Concurrency("stove", 4)
POLICY = Policy(
    retry=RETRY,
    timeout=300.0,
    deadline=3600.0,
    heartbeat=15.0,
    on_interrupt="fail",
    max_interruptions=2,
    concurrency=SLOT,
    idempotent=True,
    accept=(0, 3),
)
REQUEST = Request(key="5f" * 32, body="c4" * 32)
CAREFUL = structs.replace(CHILD, policy=POLICY)
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
    e.AttemptTakenOver(at=AT, by=BY, cause=CAUSE, task="a", attempt=2, engine="engine-2", epoch=4),
    e.TaskWaiting(
        at=AT, by=BY, cause=CAUSE, task="a", attempt=2, until="2026-01-31T10:00:00.000000Z",
        signal="doorbell", absolute=True,
    ),
    e.SignalReceived(
        at=AT, by=BY, cause=CAUSE, id="ring-1", name="doorbell", payload=Raw(b'{"guests":2}')
    ),
    e.AttemptFailed(
        at=AT, by=BY, cause=CAUSE, task="a", attempt=2, error=ERROR,
        retry_at="2026-01-31T09:00:01.000001Z",
    ),
    e.TaskCancelRequested(at=AT, by=BY, cause=CAUSE, task="a", reason="no guests"),
    e.TaskCancelled(
        at=AT, by=BY, cause=CAUSE, task="a", attempt=2, stopped=False, reason="no guests"
    ),
    e.TaskReopened(at=AT, by=BY, cause=CAUSE, task="a", generation=2),
    e.TreeCancelRequested(at=AT, by=BY, cause=CAUSE, reason="no guests"),
    e.TreePaused(at=AT, by=BY, cause=CAUSE, reason="out of eggs"),
    e.TreeUnpaused(at=AT, by=BY, cause=CAUSE, reason="eggs are there"),
    e.TreeReopened(at=AT, by=BY, cause=CAUSE, reason="second helping"),
)  # fmt: skip

_GROWN: dict[str, tuple[AnyEvent, ...]] = {
    "reattaches": (
        e.TreeSubmitted(
            at=AT, by=BY, cause=CAUSE,
            executors=(ExecutorRef("cook", "kitchen.stove", True),), of=(0,),
        ),
    ),
    "policy": (
        e.TreeCreated(
            at=AT, by=BY, cause=CAUSE, uid="9d8f1c3a-0b7e-4a53-8f0e-2b1f6f1f7a10",
            name="breakfast", specs=(ROOT, CAREFUL),
        ),
        e.TasksAdded(at=AT, by=BY, cause=CAUSE, specs=(CAREFUL,)),
        e.TaskChanged(at=AT, by=BY, cause=CAUSE, spec=CAREFUL),
    ),
    "request": (
        e.TreeCreated(
            at=AT, by=BY, cause=CAUSE, uid="9d8f1c3a-0b7e-4a53-8f0e-2b1f6f1f7a10",
            name="breakfast", request=REQUEST, origin="yesterday", specs=(ROOT,),
        ),
    ),
    "demo": (
        e.TreeCreated(
            at=AT, by=BY, cause=CAUSE, uid="9d8f1c3a-0b7e-4a53-8f0e-2b1f6f1f7a10",
            name="breakfast", options=TreeOptions(limit=4, demo=True), specs=(ROOT,),
        ),
        e.TreeSubmitted(
            at=AT, by=BY, cause=CAUSE, executors=(ExecutorRef("cook", "kitchen.stove"),), of=(0,),
            demo=True,
        ),
    ),
    "slot": (e.TaskStarted(at=AT, by=BY, cause=CAUSE, task="a", attempt=2, slot=SLOT),),
}  # fmt: skip
"""Those that show a field which came later, by its name."""

SAMPLES: dict[str, AnyEvent] = {f"{event.topic}.v{event.version}": event for event in _FIRST} | {
    f"{event.topic}.v{event.version}+{field}": event
    for field, events in _GROWN.items()
    for event in events
}
"""``<topic>.v<version>``, with ``+<field>`` behind it for a field that came later."""
