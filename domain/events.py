"""The facts. One stored event per transition, named in the past tense.

Each class has a short, stable ``topic`` that is independent of where the class lives, and a
``version`` that rises when its stored form changes incompatibly. ``at`` is RFC 3339 UTC with six
decimals, so that text order is time order; ``by`` is who caused it (``user``, ``engine`` or
``system``); ``cause`` the id of the command, where there was one.
"""

from typing import ClassVar

from msgspec import UNSET, Raw, Struct, UnsetType

from .specs import Concurrency, ErrorInfo, ExecutorRef, Request, TaskSpec, TreeOptions

GROUP = "group"


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What all facts have in common. The tree, version and position are the envelope's."""

    topic: ClassVar[str] = ""
    version: ClassVar[int] = 1
    at: str
    by: str = "engine"
    cause: str | None = None


class TreeCreated(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A draft exists. Further tasks of the same command follow as ``tasks.added``.

    ``origin`` is the id of the tree whose tasks it copies.
    """

    topic: ClassVar[str] = "tree.created"
    uid: str
    name: str
    owner: str | None = None
    options: TreeOptions = TreeOptions()
    request: Request | None = None
    origin: str | None = None
    specs: tuple[TaskSpec, ...]


class TasksAdded(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Tasks joined a draft, from the tree ``adopted_from`` where it was an adoption."""

    topic: ClassVar[str] = "tasks.added"
    specs: tuple[TaskSpec, ...]
    adopted_from: str | None = None


class TaskChanged(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A draft's task has a new specification, given whole."""

    topic: ClassVar[str] = "task.changed"
    spec: TaskSpec


class TaskRemoved(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A draft lost a task."""

    topic: ClassVar[str] = "task.removed"
    task: str


class TreeAdopted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """This draft's tasks live in the tree ``into`` now; this stream is over."""

    topic: ClassVar[str] = "tree.adopted"
    into: str


class TreeSubmitted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The tree is to be run.

    ``executors`` are the distinct executors chosen; ``of`` holds for each task, in creation order,
    an index into them, ``"group"``, or null where none was found. ``demo``: it is run for show,
    though its options did not say so.
    """

    topic: ClassVar[str] = "tree.submitted"
    executors: tuple[ExecutorRef, ...] = ()
    of: tuple[int | str | None, ...] = ()
    demo: bool = False


class TreeClaimed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``engine`` drives this tree from here on. ``epoch`` rises with each claim."""

    topic: ClassVar[str] = "tree.claimed"
    engine: str
    epoch: int


class TreeReleased(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """``engine`` let go: the tree may be claimed at once."""

    topic: ClassVar[str] = "tree.released"
    engine: str


class TaskStarted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An attempt began. Durable before the executor is called.

    ``called`` is false for groups, for tasks that wait, and for tasks that fail before their
    executor is reached. ``inputs`` is there only where a hook changed them for this attempt.
    ``slot`` is the place under a concurrency key that the attempt holds until it ends.
    """

    topic: ClassVar[str] = "task.started"
    task: str
    attempt: int = 1
    generation: int = 1
    called: bool = True
    inputs: Raw | UnsetType = UNSET
    slot: Concurrency | None = None


class AttemptTakenOver(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An attempt that outlived its engine was found and is followed by ``engine`` from here on."""

    topic: ClassVar[str] = "attempt.taken_over"
    task: str
    attempt: int = 1
    engine: str
    epoch: int


class TaskProgressed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How far an attempt says it is, in [0, 1]. Lossy: only the last value counts."""

    topic: ClassVar[str] = "task.progressed"
    task: str
    attempt: int = 1
    progress: float
    message: str = ""


class TaskSaved(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An attempt saved a checkpoint, which its successor will be given."""

    topic: ClassVar[str] = "task.saved"
    task: str
    attempt: int = 1
    checkpoint: Raw


class TaskWaiting(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A started task waits, without a slot, for a time or for a signal.

    ``until`` is when it is over (RFC 3339), none where it waits for as long as it takes. With
    ``signal`` it waits for a signal of that name, and ``until`` is its timeout. ``absolute``: the
    time was named by the user, so it moves with the wall clock; else it is a span from ``at``.
    """

    topic: ClassVar[str] = "task.waiting"
    task: str
    attempt: int = 1
    until: str | None = None
    signal: str | None = None
    absolute: bool = False


class SignalReceived(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something outside said ``name``. ``id`` makes it count once in its tree."""

    topic: ClassVar[str] = "signal.received"
    id: str
    name: str
    payload: Raw | UnsetType = UNSET


class TaskCompleted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The result is inline, or ``blob`` is the SHA-256 (hex) of its ``size`` bytes of JSON."""

    topic: ClassVar[str] = "task.completed"
    task: str
    attempt: int = 1
    result: Raw | UnsetType = UNSET
    blob: str | None = None
    size: int | None = None


class AttemptFailed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An attempt ended badly; the next one may start at ``retry_at`` (RFC 3339)."""

    topic: ClassVar[str] = "attempt.failed"
    task: str
    attempt: int = 1
    error: ErrorInfo
    retry_at: str


class TaskFailed(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The task ended badly; nothing more will be tried by itself."""

    topic: ClassVar[str] = "task.failed"
    task: str
    attempt: int = 1
    error: ErrorInfo


class TaskInterrupted(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The engine stopped while the attempt ran: ``shutdown``, or ``engine_lost`` when it died.

    The task is pending again, and its next attempt has the same idempotency key.
    """

    topic: ClassVar[str] = "task.interrupted"
    task: str
    attempt: int = 1
    interruption: str


class TaskCancelRequested(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Somebody wants the running task to end. What it still reports stands."""

    topic: ClassVar[str] = "task.cancel_requested"
    task: str
    reason: str = ""


class TaskCancelled(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The task ended on request. ``attempt`` is 0 where none had begun in this generation.

    ``stopped``: what ran has really ended; false where it was given up, or nobody can tell.
    """

    topic: ClassVar[str] = "task.cancelled"
    task: str
    attempt: int = 0
    stopped: bool = True
    reason: str = ""


class TaskReopened(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The task is to run again: ``generation`` begins. ``tree.reopened`` follows behind it."""

    topic: ClassVar[str] = "task.reopened"
    task: str
    generation: int


class TreeCancelRequested(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Somebody wants the tree to end: nothing starts any more, what runs is to stop."""

    topic: ClassVar[str] = "tree.cancel_requested"
    reason: str = ""


class TreePaused(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Nothing new starts until the tree is unpaused; what runs goes on."""

    topic: ClassVar[str] = "tree.paused"
    reason: str = ""


class TreeUnpaused(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Tasks may start again."""

    topic: ClassVar[str] = "tree.unpaused"
    reason: str = ""


class TreeReopened(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Ends a re-run's ``task.reopened``: the tree goes on with them."""

    topic: ClassVar[str] = "tree.reopened"
    reason: str = ""


class TreeSettled(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Nothing runs and nothing can run any more."""

    topic: ClassVar[str] = "tree.settled"
    status: str


class ReportRefused(Event, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A report of a former attempt, or one after the end, changed nothing."""

    topic: ClassVar[str] = "report.refused"
    task: str
    attempt: int
    reason: str


AnyEvent = (
    TreeCreated
    | TasksAdded
    | TaskChanged
    | TaskRemoved
    | TreeAdopted
    | TreeSubmitted
    | TreeClaimed
    | TreeReleased
    | TaskStarted
    | AttemptTakenOver
    | TaskProgressed
    | TaskSaved
    | TaskWaiting
    | SignalReceived
    | TaskCompleted
    | AttemptFailed
    | TaskFailed
    | TaskInterrupted
    | TaskCancelRequested
    | TaskCancelled
    | TaskReopened
    | TreeCancelRequested
    | TreePaused
    | TreeUnpaused
    | TreeReopened
    | TreeSettled
    | ReportRefused
)

EVENT_TYPES: tuple[type[Event], ...] = AnyEvent.__args__


class Recorded(Struct, frozen=True, gc=False):
    """An event in its envelope: ``version`` is dense from 1 in its tree, ``position`` rises."""

    tree: str
    version: int
    event: AnyEvent
    position: int = 0
