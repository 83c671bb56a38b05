"""What the engine needs from outside, as protocols.

Adapters implement them; the contract suites in `tests/contract` say what each must hold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Raw, Struct

from ..domain.events import AnyEvent, Recorded
from ..domain.specs import DEFAULT_PRIORITY, ErrorInfo


class Answered(Struct, frozen=True, gc=False):
    """What came of a command out of the inbox: JSON, stored in the transaction of its events."""

    id: str
    outcome: bytes


class Append(Struct, frozen=True, gc=False):
    """Events to add to one stream, which must be at version ``expected`` (0: it must not exist).

    ``index`` maps the ids of the tree's tasks to their numbers, as after these events. ``blobs``
    are the plain bytes of large results, by SHA-256 in hex. ``keyed``: tasks of this tree hold
    places under concurrency keys, which end with their attempts. ``answers`` go to the inbox.
    """

    tree: str
    expected: int
    events: Sequence[AnyEvent]
    index: Mapping[str, int]
    blobs: Mapping[str, bytes] | None = None
    keyed: bool = False
    answers: Sequence[Answered] = ()


Unit = Sequence[Append]
"""Appends that stand or fall together: one command."""


class Command(Struct, frozen=True, gc=False):
    """A command for a tree that another process drives, as it lies in the inbox.

    ``name`` is that of `engine.commands`; ``arguments`` a JSON object.
    """

    id: str
    tree: str
    name: str
    arguments: Raw
    by: str
    at: str


class OpenTree(Struct, frozen=True):
    """A submitted tree that has not settled: what a restart must look at."""

    id: str
    name: str
    engine: str
    epoch: int
    released: bool


class Journal(Protocol):
    """Append-only streams of events, one per tree, with the status rows kept in step.

    Blocking; any thread may call. Errors are `domain.errors.StoreError` and its kin.
    """

    def append(self, units: Sequence[Unit]) -> int:
        """Store all units in one durable transaction; returns the position of the last event.

        Events, status rows, slots, answers and blobs stand together. Raises, with nothing written,
        `StaleVersion`, `IdTaken`, `SlotTaken` (a ``task.started`` whose concurrency key has no
        place left) or `CommandAnswered` when any unit is refused. An error on the way to the commit
        is resolved by reading back: what was stored is reported as stored. Where that cannot be
        found out, `CommitUnknown`: the same units may be given again, and are stored once.
        """

    def read(self, tree: str, *, after: int = 0, limit: int | None = None) -> Iterator[Recorded]:
        """The stream of ``tree`` in order, after version ``after``; empty where it is unknown."""

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Iterator[Recorded]:
        """All events by position, from the first after ``after``."""

    def read_blob(self, hash: str) -> bytes:
        """The bytes by their SHA-256 in hex; raises `NotFound`."""

    def open_work(self) -> Sequence[OpenTree]:
        """Submitted, unsettled trees, oldest first."""

    def owner(self, tree: str) -> OpenTree | None:
        """Who claimed the tree last; None where it is unknown, a draft, adopted or settled."""

    def position(self) -> int:
        """The position of the last event that is visible to readers; 0 for an empty store."""

    def close(self) -> None:
        """Release what is held. Idempotent."""


class Inbox(Protocol):
    """Commands for trees that other processes drive, and what came of them.

    Blocking; any thread may call. An outcome is written once, by `Journal.append` together with
    the command's events, or by `refuse` where it makes none. Kept for a day after its answer.
    """

    def send(self, command: Command) -> None:
        """Leave a command, durably, and wake the owner. The same id twice is left once."""

    def pending(self, engine: str) -> Sequence[Command]:
        """Unanswered commands for unsettled or settled trees last claimed by ``engine``, oldest
        first.
        """

    def refuse(self, answer: Answered) -> None:
        """Answer a command that makes no event. Nothing where it has been answered."""

    def outcome(self, id: str) -> bytes | None:
        """The JSON that came of it; None as long as nothing has."""


class Subscription(Protocol):
    """Wakes those who follow the journal; a wake-up may come for nothing, but it does come."""

    def wake(self) -> None:
        """Called after a commit in this process, from any thread."""

    async def changed(self, since: int) -> None:
        """Returns once something may stand behind position ``since``."""

    async def mail(self) -> None:
        """Returns once something may lie in the inbox, and now and then for nothing.

        Never returns for a store that no other process can open.
        """


class Clock(Protocol):
    """Wall time for events, monotone time for waiting."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""


class Liveness(Protocol):
    """Whether the engine that claimed a tree still lives."""

    name: str
    """This engine's name, as it stands in its claims."""

    beat_every: float | None
    """Seconds between two calls of `beat`; None where none are needed."""

    def alive(self, engine: str) -> bool | None:
        """True, False, or None where that cannot be told from here. May ask a server: blocking."""

    def beat(self, executors: Sequence[str]) -> bool:
        """Say that this engine lives and what it can run. Blocking.

        False where its lease had run out: others may have taken its trees.
        """

    def leave(self) -> None:
        """This engine ends in good order."""


class Kind(Struct, frozen=True):
    """What the engine must know of an executor before calling it.

    ``properties`` are the top-level properties of its input schema, None where it declares none.
    ``limit`` caps how many run at once in this engine. ``runs`` says where: ``loop``, ``thread``,
    ``process``, or ``engine`` for what only waits (`WAIT`, `SIGNAL`): it is never called and holds
    no slot. ``checked``: it declares a schema that inputs must fit. ``reattaches``: it can find
    work again that outlived its engine.
    """

    id: str
    module: str = ""
    properties: tuple[str, ...] | None = None
    by_key: bool = False
    limit: int | None = None
    runs: str = "loop"
    checked: bool = True
    reattaches: bool = False


WAIT, SIGNAL = "wait", "signal"
"""Ids of the two executors that the engine itself plays."""


class Executors(Protocol):
    """What is registered in this process."""

    def module_of(self, id: str) -> str | None:
        """The module that registered the executor; None where it is not registered."""

    def kind(self, id: str) -> Kind:
        """Raises KeyError where it is not registered."""

    def ids(self) -> Sequence[str]:
        """All registered ids, sorted."""

    def violations(self, id: str, schemas: Raw, inputs: Any) -> Sequence[str]:
        """How ``inputs`` violate the executor's input schema or the task's own: pointer, rule."""

    def properties(self, id: str, schemas: Raw) -> tuple[str, ...] | None:
        """The input properties declared by the task's own schema, else by the executor's."""

    def schema_faults(self, schemas: Raw) -> Sequence[str]:
        """Why the schemas that came with a task may not be used; empty where they may."""

    def safe(self, call: "Call") -> bool | None:
        """Whether the call may be repeated, as its executor tells from its inputs; None where it
        does not tell.
        """

    def payload_faults(self, schema: Any, payload: Any) -> Sequence[str]:
        """How a signal's payload violates the JSON Schema that its task gives: pointer, rule."""

    async def before(self, call: "Call") -> Mapping[str, Any] | None:
        """Run the pre-hooks; returns changed inputs, None where nothing changed."""

    @property
    def has_before(self) -> bool:
        """Whether any pre-hook is registered."""


class Call(Struct, frozen=True):
    """One attempt, as handed to a backend. Picklable but for ``port``.

    ``inputs`` are the effective ones. ``name``, ``priority``, ``parent``, ``params`` and
    ``schemas`` are the task's as submitted, for hooks and executors that ask for ``self.task``.
    ``deadline`` is when the task has to be over (RFC 3339); ``accept`` are codes that count as
    success. With ``reattach`` the attempt began under a former engine: its executor is asked for
    it first, and never called anew.
    """

    executor: str
    tree: str
    task: str
    key: str
    name: str
    attempt: int
    generation: int
    idempotency_key: str
    inputs: Any
    params: Raw
    schemas: Raw
    owner: str | None = None
    checkpoint: Raw | None = None
    port: "AttemptPort | None" = None
    priority: int = DEFAULT_PRIORITY
    parent: str | None = None
    deadline: str | None = None
    accept: tuple[int, ...] = ()
    reattach: bool = False

    def is_same(self, other: "Call") -> bool:
        """Whether both are the same attempt, of tasks that are the same."""
        return self.attempt == other.attempt and self.generation == other.generation


class AttemptPort(Protocol):
    """How a running attempt talks back to its engine. Each of these is a sign of life."""

    def beat(self) -> None:
        """A sign of life, nothing more."""

    async def taken_over(self) -> None:
        """The attempt was found again. Returns after the commit; `InvalidTransition` where it is
        over.
        """

    async def progress(self, fraction: float, message: str) -> None:
        """Lossy; at most one a second is stored."""

    async def save(self, checkpoint: Raw) -> None:
        """Returns after the commit. Raises `InvalidTransition` where the attempt is over."""


class Returned(Struct, frozen=True, gc=False):
    """The executor came back with this JSON."""

    result: Raw


class Raised(Struct, frozen=True, gc=False):
    """The executor failed. ``retry_after``: seconds that its target asks to be left alone."""

    error: ErrorInfo
    retry_after: float | None = None


class Gone(Struct, frozen=True, gc=False):
    """The answer to a call with ``reattach``: what ran under the former engine is not there."""


Outcome = Returned | Raised | Gone
Report = Callable[[Call, Outcome], None]
"""Called once per attempt, in the engine's loop."""


class Stopped(Struct, frozen=True, gc=False):
    """How an attempt took being stopped.

    ``ended``: it has really ended, else it was abandoned. ``outcome``: what it still returned.
    """

    ended: bool
    outcome: Outcome | None = None


class Backend(Protocol):
    """Where executors run. Lives in one event loop."""

    def start(self, call: Call, report: Report) -> None:
        """Begin the attempt; ``report`` is called once, later, in the loop, unless stopped."""

    async def stop(self, call: Call) -> Stopped:
        """End the attempt for good. No report follows."""

    def capacity(self, kind: Kind) -> str:
        """The name of the pool in which an attempt of this kind takes a slot."""

    def pools(self) -> Mapping[str, int]:
        """How many attempts each pool holds at once."""

    async def close(self) -> None:
        """End all attempts and release what is held."""
