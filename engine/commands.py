"""What users ask of trees, by name: the same words here, in the inbox and on the wire."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct, UnsetType

from ..domain import decide, errors
from ..domain.decide import Stamp
from ..domain.errors import ApflowError, InvalidInput, VersionMismatch
from ..domain.events import AnyEvent
from ..domain.specs import MAX_JSON_DEPTH
from ..domain.tree import Tree
from ..domain.wording import misfit, quoted
from ..domain.written import depth
from .ports import SIGNAL, Command, Executors

MAX_REASON = 1_000
MAX_SIGNAL = 255
MAX_PAYLOAD = 64 * 1024
"""Bytes of JSON in the payload of one signal."""


class Cancel(Struct, forbid_unknown_fields=True, frozen=True):
    """The whole tree, or one task by id or key.

    ``if_version``, here and in the others: only if the tree is at this version.
    """

    task: str | None = None
    reason: str = ""
    if_version: int | None = None


class Pause(Struct, forbid_unknown_fields=True, frozen=True):
    """Of ``pause`` and ``unpause``."""

    reason: str = ""
    if_version: int | None = None


class Rerun(Struct, forbid_unknown_fields=True, frozen=True):
    """``way`` is failed, from or all; ``tasks`` are ids or keys, for ``from``."""

    way: str = "failed"
    tasks: tuple[str, ...] = ()
    reason: str = ""
    if_version: int | None = None


class Signal(Struct, forbid_unknown_fields=True, frozen=True):
    """``id`` makes it count once; without one that of the command does."""

    name: str
    id: str | None = None
    payload: Raw | UnsetType = msgspec.UNSET
    if_version: int | None = None


Arguments = Cancel | Pause | Rerun | Signal
KINDS: Mapping[str, type[Arguments]] = {
    "cancel": Cancel,
    "pause": Pause,
    "unpause": Pause,
    "rerun": Rerun,
    "signal": Signal,
}


class Done(Struct, frozen=True):
    """What a command came to: the tree's version behind it, unchanged where it changed nothing."""

    version: int


def read_arguments(command: Command) -> Arguments:
    """Raises `InvalidInput`, without repeating what was given."""
    kind = KINDS.get(command.name)
    if kind is None:
        raise InvalidInput(f"there is no command {command.name!r}; there are {', '.join(KINDS)}")
    try:
        return msgspec.json.decode(command.arguments, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"the arguments of {command.name} are not usable: {misfit(error)}"
        ) from error


def require_version(tree: Tree, command: Command) -> None:
    """Before anything is decided: is the tree where the command wants it? Raises
    `VersionMismatch`. A signal that came before was then.
    """
    arguments = read_arguments(command)
    wanted = arguments.if_version
    came = isinstance(arguments, Signal) and _signal_id(arguments, command) in tree.signal_ids
    if wanted is not None and wanted != tree.version and not came:
        raise VersionMismatch(tree.id, wanted, tree.version)


def decide_command(
    tree: Tree, command: Command, stamp: Stamp, executors: Executors
) -> list[AnyEvent]:
    """The facts that the command makes; raises what refuses it."""
    arguments = read_arguments(command)
    if len(getattr(arguments, "reason", "")) > MAX_REASON:
        raise InvalidInput(f"a reason has at most {MAX_REASON} characters")
    match arguments:
        case Cancel(task=str(task), reason=reason):
            return decide.cancel_task(tree, _id_of(tree, task), stamp, reason=reason)
        case Cancel(reason=reason):
            return decide.cancel_tree(tree, stamp, reason=reason)
        case Pause(reason=reason) if command.name == "pause":
            return decide.pause(tree, stamp, reason=reason)
        case Pause(reason=reason):
            return decide.unpause(tree, stamp, reason=reason)
        case Rerun(way=way, tasks=tasks, reason=reason):
            return decide.rerun(tree, way, stamp, ids=tasks, reason=reason)
        case Signal():
            return _signal(tree, arguments, command, stamp, executors)


def _id_of(tree: Tree, task: str) -> str:
    found = tree.task(task) or tree.by_key(task)
    if found is None:
        raise InvalidInput(f"tree {tree.id} has no task {quoted(task)}")
    return found.spec.id


def _signal_id(signal: Signal, command: Command) -> str:
    return command.id if signal.id is None else signal.id


def _signal(
    tree: Tree, signal: Signal, command: Command, stamp: Stamp, executors: Executors
) -> list[AnyEvent]:
    id = _signal_id(signal, command)
    for what, text in (("name", signal.name), ("id", id)):
        if not 1 <= len(text) <= MAX_SIGNAL or "\0" in text:
            raise InvalidInput(f"the {what} of a signal has 1 to {MAX_SIGNAL} characters, no NUL")
    payload = None if isinstance(signal.payload, UnsetType) else signal.payload
    if payload is not None and len(bytes(payload)) > MAX_PAYLOAD:
        raise InvalidInput(f"the payload has more than {MAX_PAYLOAD} bytes")
    signals = {n for n, ref in enumerate(tree.executors) if ref.id == SIGNAL}
    if id not in tree.signal_ids:
        value = None if payload is None else _decoded(payload)
        for task in decide.require_signal(tree, signal.name, signals):
            schema = decide.signal_inputs(task.spec).schema
            if schema is not None and (wrong := executors.payload_faults(schema, value)):
                where = f"the payload does not fit what task {task.spec.label} asks for"
                raise InvalidInput(f"{where}: {'; '.join(wrong)}")
    return decide.signal(tree, id, signal.name, payload, stamp, signals=signals)


def _decoded(payload: Raw) -> Any:
    """As any result it becomes one that is read again, and not nested deeper than those."""
    if depth(bytes(payload)) > MAX_JSON_DEPTH:
        raise InvalidInput(f"the payload is nested too deeply: deeper than {MAX_JSON_DEPTH} levels")
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the payload is not JSON: {misfit(error)}") from error


# -- what an inbox holds

_KNOWN: Mapping[str, type[ApflowError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, ApflowError)
}


class _Outcome(Struct, omit_defaults=True):
    version: int = 0
    error: str = ""
    message: str = ""


def outcome_of(version: int) -> bytes:
    """The JSON of a command that was carried out."""
    return msgspec.json.encode(_Outcome(version))


def refusal_of(error: ApflowError) -> bytes:
    """The JSON of a command that was refused."""
    return msgspec.json.encode(_Outcome(error=type(error).__name__, message=str(error)))


def done_of(outcome: bytes) -> Done:
    """What an outcome says; raises the error that it tells of."""
    found = msgspec.json.decode(outcome, type=_Outcome)
    if not found.error:
        return Done(found.version)
    kind = _KNOWN.get(found.error, ApflowError)
    raise _retold(kind, found.message)


def _retold(kind: type[ApflowError], message: str) -> ApflowError:
    """An error of this class that says this, whatever its constructor takes."""
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error
