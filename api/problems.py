"""What an error is to those outside: problem document (RFC 9457), HTTP status, exit code."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from msgspec import Struct, structs

from ..domain import errors as e
from ..domain.wording import quoted


class Exit(IntEnum):
    """With what the command line ends."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    AUTH = 5
    UNREACHABLE = 6
    TIMEOUT = 7
    TREE_FAILED = 10
    TREE_CANCELLED = 11
    INTERRUPTED = 130


class TimedOut(e.ApflowError):
    """The caller waited no longer. What was waited for may still happen."""


class Unanswered(TimedOut):
    """The engine that runs a tree has not answered in time. The command is not lost."""


class Interrupted(e.ApflowError):
    """The operator stopped it; nothing that was acknowledged is lost."""


class Unauthenticated(e.ApflowError):
    """Nobody that this server knows."""


class Forbidden(e.ApflowError):
    """Known, but not allowed to do this."""


class Unreachable(e.ApflowError):
    """The server does not answer, or what answers is none of ours."""


class AmbiguousId(e.InvalidInput):
    """The beginning of an id that several trees share."""

    def __init__(self, prefix: str, candidates: tuple[str, ...], more: bool) -> None:
        self.candidates = candidates
        names = ", ".join(candidates) + (", …" if more else "")
        super().__init__(
            f"{quoted(prefix)} is the beginning of several ids: {names}. Write more of it."
        )


class Kind(Struct, frozen=True):
    """A class of problems. ``slug`` is stable: programs compare it, and the docs explain it."""

    slug: str
    title: str
    status: int
    exit: Exit


KINDS: Final[Mapping[type[BaseException], Kind]] = {
    e.InvalidGraph: Kind("invalid-graph", "The tree cannot be run as written", 422, Exit.USAGE),
    e.InvalidInput: Kind("invalid-input", "A value is not usable", 422, Exit.USAGE),
    e.NotFound: Kind("not-found", "There is nothing by that id", 404, Exit.NOT_FOUND),
    e.NotADraft: Kind("not-a-draft", "The tree is no draft any more", 409, Exit.CONFLICT),
    e.InvalidTransition: Kind("conflict", "The state does not allow it", 409, Exit.CONFLICT),
    e.IdTaken: Kind("id-taken", "The id is in use", 409, Exit.CONFLICT),
    e.KeyTaken: Kind("key-taken", "The idempotency key was used", 409, Exit.CONFLICT),
    e.VersionMismatch: Kind("version-mismatch", "It has moved on", 412, Exit.CONFLICT),
    e.StaleVersion: Kind("stale-version", "Somebody else wrote first", 412, Exit.CONFLICT),
    e.SlotTaken: Kind("slot-taken", "No place is left under the key", 409, Exit.CONFLICT),
    e.CommandAnswered: Kind("command-answered", "It was carried out", 409, Exit.CONFLICT),
    e.OwnedElsewhere: Kind("owned-elsewhere", "Another engine runs it", 409, Exit.CONFLICT),
    e.Released: Kind("released", "The tree was interrupted", 503, Exit.ERROR),
    e.ExecutorMissing: Kind("executor-missing", "An executor is missing here", 409, Exit.ERROR),
    e.ExecutorDisabled: Kind("executor-disabled", "The executor is switched off", 403, Exit.ERROR),
    e.TargetRefused: Kind("target-refused", "The target may not be reached", 403, Exit.ERROR),
    e.Defect: Kind("defect", "A defect of this software", 500, Exit.ERROR),
    e.NotBuilt: Kind("not-built", "This version cannot do it", 501, Exit.USAGE),
    e.CommitUnknown: Kind("commit-unknown", "It may have been stored", 503, Exit.ERROR),
    e.StoreUnavailable: Kind("store-unavailable", "The store cannot be used", 503, Exit.ERROR),
    e.StoreReadOnly: Kind("store-read-only", "The store cannot be written", 503, Exit.ERROR),
    e.StoreFull: Kind("store-full", "The store has no space left", 507, Exit.ERROR),
    e.StoreCorrupt: Kind("store-corrupt", "The store is damaged", 500, Exit.ERROR),
    e.NewerEvent: Kind("newer-event", "The store needs a later version", 503, Exit.ERROR),
    e.StoreError: Kind("store-failed", "The store failed", 503, Exit.ERROR),
    Unauthenticated: Kind("unauthenticated", "Nobody that this server knows", 401, Exit.AUTH),
    Forbidden: Kind("forbidden", "Not allowed", 403, Exit.AUTH),
    Unreachable: Kind("unreachable", "The server cannot be reached", 503, Exit.UNREACHABLE),
    TimedOut: Kind("timeout", "It took longer than allowed", 504, Exit.TIMEOUT),
    Interrupted: Kind("interrupted", "It was interrupted", 503, Exit.INTERRUPTED),
    e.ApflowError: Kind("error", "It failed", 500, Exit.ERROR),
}


class Detail(Struct, frozen=True, omit_defaults=True):
    """One of several things that are wrong: a task by its key, or a place by a JSON Pointer."""

    code: str
    detail: str
    key: str = ""
    pointer: str = ""


class Problem(Struct, frozen=True, omit_defaults=True):
    """The document. ``status`` and ``trace_id`` are for HTTP only."""

    type: str
    title: str
    detail: str
    status: int | None = None
    errors: tuple[Detail, ...] = ()
    trace_id: str | None = None


def kind_of(error: BaseException) -> Kind:
    """The nearest class of the table; it holds the base of all our errors."""
    return next(KINDS[base] for base in type(error).__mro__ if base in KINDS)


def problem(error: e.ApflowError, *, http: bool = False) -> Problem:
    """The document for ``error``; where it came as one, that."""
    came: Problem | None = getattr(error, "problem", None)
    if came is not None and not http:
        return structs.replace(came, status=None, trace_id=None)
    kind = kind_of(error)
    faults = error.faults if isinstance(error, e.InvalidGraph) else ()
    return Problem(
        type=page(kind.slug),
        title=kind.title,
        detail=_summary(faults) if faults else str(error),
        status=kind.status if http else None,
        errors=tuple(_detail(fault) for fault in faults),
    )


def page(slug: str) -> str:
    """Where a class of problems is explained, relative to the server."""
    return f"/docs/problems/{slug}"


def _summary(faults: tuple[e.Fault, ...]) -> str:
    count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
    return f"{count}; nothing was stored. Mend what errors lists, then send it again."


def _detail(fault: e.Fault) -> Detail:
    if fault.where.startswith("/"):
        return Detail(fault.code, fault.message, pointer=fault.where)
    return Detail(fault.code, fault.message, key=fault.where)
