"""What the engine needs from outside, as protocols.

Adapters implement them; the contract suites in `tests/contract` say what each must hold.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Raw, Struct

from ..domain.events import AnyEvent, Recorded
from .calls import (
    SIGNAL,
    WAIT,
    AttemptPort,
    Backend,
    Call,
    Executors,
    Gone,
    Kind,
    Outcome,
    Raised,
    Report,
    Returned,
    Stopped,
)

__all__ = [
    "SIGNAL",
    "WAIT",
    "Answered",
    "Append",
    "AttemptPort",
    "Backend",
    "Call",
    "Clock",
    "Command",
    "Executors",
    "Gone",
    "Inbox",
    "Journal",
    "Kind",
    "Liveness",
    "OpenTree",
    "Outcome",
    "Raised",
    "Report",
    "Returned",
    "Stopped",
    "Subscription",
    "Unit",
]


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

    def find(self, id: str) -> Command | None:
        """The command by that id, answered or not, as long as it is kept."""


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
