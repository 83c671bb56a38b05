"""The file that `apflow run` is given: as much of it as may be, and where its JSON goes wrong."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct

from ...domain.decide.submission import Registered
from ...domain.errors import InvalidGraph, InvalidInput
from ...domain.intake import NewId, read
from ...domain.specs import TreeOptions
from ...domain.wording import quoted
from ...engine.lifecycle import NewTree
from ..written import FIELDS, HOOKS_NEED_A_SERVER, meant, named, tasks_of

MAX_BYTES: Final = 64 * 1024 * 1024
STDIN: Final = "-"

_BOM = b"\xef\xbb\xbf"
_BYTE = re.compile(r" \(byte (\d+)\)$")
_FIELDS: Final = tuple(name for name in FIELDS if name != "webhooks")


class Wrapped(Struct):
    """A tree with its name and options around its tasks."""

    tasks: Raw
    name: str | None = None
    limit: int | None = None
    start: bool = True
    demo: bool = False


def read_tree(file: str, new_id: NewId, registered: Registered | None = None) -> NewTree:
    """The tree in ``file``. Raises `InvalidInput` or, with all its faults, `InvalidGraph`."""
    data = read_bytes(file)
    what = "stdin" if file == STDIN else file
    documents, wrapped = _documents(data, what)
    try:
        intake = read(documents, new_id, registered)
    except InvalidGraph as error:
        if any(fault.code == "malformed" for fault in error.faults):
            require_json(data, what)
        raise
    root = next((spec.name for spec in intake.specs if spec.parent is None), "")
    name = wrapped.name if wrapped is not None and wrapped.name else root
    options = TreeOptions(wrapped.limit, wrapped.demo) if wrapped is not None else TreeOptions()
    return NewTree(intake.specs, named(name), named(intake.owner, "user_id"), options)


def read_bytes(file: str) -> bytes:
    """At most `MAX_BYTES`; what is larger is refused without being read to its end."""
    try:
        if file == STDIN and sys.stdin is None:
            raise InvalidInput("stdin is closed: name a JSON file, or send the tree by a pipe.")
        if file == STDIN:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            path = Path(file)
            if path.is_file() and path.stat().st_size > MAX_BYTES:
                raise _too_large(file)
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidInput(
            f"cannot read {file}: {reason}. Name a JSON file, or - for stdin."
        ) from error
    if len(data) > MAX_BYTES:
        raise _too_large(file)
    return data.removeprefix(_BOM)


def _too_large(file: str) -> InvalidInput:
    what = "stdin" if file == STDIN else file
    return InvalidInput(
        f"{what} holds more than {MAX_BYTES >> 20} MiB. Split the tree, "
        "or let tasks fetch their large inputs themselves."
    )


def _documents(data: bytes, what: str) -> tuple[Sequence[Raw | bytes], Wrapped | None]:
    """The JSON of each task that stands at the top, and what stands around them."""
    kind = data.lstrip()[:1]
    if kind not in (b"[", b"{"):
        require_json(data, what)
        raise InvalidInput(f"{what} holds no tree: {_shape()}")
    try:
        if kind == b"[":
            return msgspec.json.decode(data, type=list[Raw]), None
        fields = msgspec.json.decode(data, type=dict[str, Raw])
        if "tasks" not in fields:
            return [data], None
        wrapped = msgspec.json.decode(data, type=Wrapped)
        return tasks_of(wrapped.tasks), _checked(wrapped, fields, what)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        require_json(data, what)
        raise InvalidInput(f"{what} holds no tree: {error}. It is to be {_shape()}") from error


def _shape() -> str:
    return 'an array of tasks, a task with "children", or {"name": …, "tasks": […]}.'


def _checked(wrapped: Wrapped, fields: dict[str, Raw], what: str) -> Wrapped:
    for name in fields:
        if name == "webhooks":
            raise InvalidInput(f"{what}: {HOOKS_NEED_A_SERVER}")
        if name not in _FIELDS:
            hint = meant(name, _FIELDS)
            raise InvalidInput(f"{what}: unknown field {quoted(name)} beside the tasks. {hint}")
    if not wrapped.start:
        raise InvalidInput(f'{what} says "start": false, but run starts what it creates')
    if wrapped.limit is not None and wrapped.limit < 1:
        raise InvalidInput(f'{what}: "limit" is how many tasks may run at once: 1 or more')
    return wrapped


def require_json(data: bytes, what: str) -> None:
    """Raises `InvalidInput` with line and column where ``data`` is not JSON at all."""
    try:
        data.decode("utf-8")
        msgspec.json.decode(data)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{what} is not UTF-8 at {_place(data, error.start)}") from error
    except RecursionError as error:
        raise InvalidInput(f"{what} is nested too deeply") from error
    except msgspec.MsgspecError as error:
        found = _BYTE.search(str(error))
        reason = _BYTE.sub("", str(error)).removeprefix("JSON is malformed: ")
        where = _place(data, int(found[1]) if found else len(data))
        raise InvalidInput(f"{what} is not JSON: {reason} at {where}") from error


def _place(data: bytes, at: int) -> str:
    """A byte's line and column, both from 1; columns count characters."""
    before = data[:at]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return f"line {line}, column {column}"
