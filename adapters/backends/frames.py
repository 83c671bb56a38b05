"""What an engine and a worker process say to each other: JSON, each message behind its length."""

from msgspec import UNSET, Raw, Struct, UnsetType, json, structs

from ...domain.specs import ErrorInfo
from ...engine.ports import AttemptPort, Call, Gone, Outcome, Raised, Returned

HEADER = 4
"""Bytes that hold the length, big-endian."""
MAX_FRAME = 64 * 1024 * 1024
"""Bytes in what a worker sends: a result may have 16 MiB, and more is refused with a name."""


class Start(Struct, frozen=True, tag="start", gc=False):
    """To the worker: import ``modules``, then run ``call``.

    The call's port stays behind, its checkpoint travels beside it.
    """

    modules: tuple[str, ...]
    call: Call
    checkpoint: Raw | UnsetType = UNSET


class Stored(Struct, frozen=True, tag="stored", gc=False):
    """To the worker: what it asked for by that number is committed, or ``error`` says why not."""

    number: int
    error: ErrorInfo | None = None


class Beat(Struct, frozen=True, tag="beat", gc=False):
    """From the worker: a sign of life."""


class Progress(Struct, frozen=True, tag="progress", gc=False):
    """From the worker."""

    fraction: float
    message: str


class Save(Struct, frozen=True, tag="save", gc=False):
    """From the worker, answered by `Stored` with the same number."""

    number: int
    checkpoint: Raw


class TakenOver(Struct, frozen=True, tag="taken_over", gc=False):
    """From the worker, answered by `Stored` with the same number."""

    number: int


class Result(Struct, frozen=True, tag="result", gc=False):
    """From the worker: the attempt returned."""

    result: Raw


class Failure(Struct, frozen=True, tag="failure", gc=False):
    """From the worker: the attempt failed."""

    error: ErrorInfo
    retry_after: float | None = None


class Nothing(Struct, frozen=True, tag="nothing", gc=False):
    """From the worker: the attempt's former work is gone."""


ToWorker = Start | Stored
FromWorker = Beat | Progress | Save | TakenOver | Result | Failure | Nothing

_encoder = json.Encoder()
_to_worker: json.Decoder[ToWorker] = json.Decoder(ToWorker)
_from_worker: json.Decoder[FromWorker] = json.Decoder(FromWorker)


def start(modules: tuple[str, ...], call: Call) -> Start:
    """The message for an attempt."""
    checkpoint = UNSET if call.checkpoint is None else call.checkpoint
    return Start(modules, structs.replace(call, checkpoint=None, port=None), checkpoint)


def call_of(message: Start, port: AttemptPort) -> Call:
    """The attempt as its worker runs it."""
    checkpoint = None if message.checkpoint is UNSET else message.checkpoint
    return structs.replace(message.call, checkpoint=checkpoint, port=port)


def ended(outcome: Outcome) -> Result | Failure | Nothing:
    """The message for the end of an attempt."""
    match outcome:
        case Returned(result=result):
            return Result(result)
        case Raised(error=error, retry_after=retry_after):
            return Failure(error, retry_after)
        case Gone():
            return Nothing()


def outcome_of(message: Result | Failure | Nothing) -> Outcome:
    """What `ended` was made of."""
    match message:
        case Result(result=result):
            return Returned(result.copy())
        case Failure(error=error, retry_after=retry_after):
            return Raised(error, retry_after)
        case Nothing():
            return Gone()


def pack(message: ToWorker | FromWorker) -> bytes:
    """Header and body. Raises what msgspec raises for values that are no JSON."""
    body = _encoder.encode(message)
    return len(body).to_bytes(HEADER) + body


def for_worker(body: bytes) -> ToWorker:
    """What the engine sent."""
    return _to_worker.decode(body)


def from_worker(body: bytes) -> FromWorker:
    """Raises `msgspec.MsgspecError` for what no worker of ours sends."""
    return _from_worker.decode(body)
