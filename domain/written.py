"""The client's own words: one task as it was written, decoded and unfolded, not yet understood.

What is JSON but no task is told here, where it stands, before anything refers to anything.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from itertools import islice
from typing import Any

import msgspec
from msgspec import Raw, Struct, UnsetType

from .errors import MAX_FAULTS, Fault, InvalidGraph
from .policies import WrittenPolicy
from .specs import (
    EMPTY_OBJECT,
    MAX_DEPENDENCIES,
    MAX_DEPTH,
    MAX_JSON_DEPTH,
    MAX_SPEC_BYTES,
    MAX_TASKS,
)
from .wording import misfit, quoted

TOLERATED = frozenset(
    {"status", "result", "error", "progress", "created_at", "started_at", "updated_at",
     "completed_at", "has_children", "task_tree_id", "original_task_id", "origin_type", "has_copy",
     "has_references", "draft", "type"}
)  # fmt: skip
"""Fields of an exported task that say how a former run went: no part of what is to be run."""


class WrittenTask(WrittenPolicy, kw_only=True, gc=False):
    """A task in the client's own words."""

    name: str
    id: str | None = None
    key: str | None = None
    parent_id: str | None = None
    user_id: str | None = None
    dependencies: list[str | dict[str, Any]] | None = None
    inputs: Raw = EMPTY_OBJECT
    params: Raw = EMPTY_OBJECT
    schemas: Raw = EMPTY_OBJECT
    priority: int | None = None
    children: list[Raw] | None = None


class _Flawless(WrittenTask, forbid_unknown_fields=True, kw_only=True, gc=False):
    """The same without an unknown field: what nearly every task is, read in one go."""


FIELDS = frozenset(WrittenTask.__struct_fields__)
DEPENDENCY_FIELDS = frozenset({"id", "key", "name", "required", "type"})
"""``type`` is what exported tasks have; it has no meaning."""
_task = msgspec.json.Decoder(WrittenTask)
_flawless = msgspec.json.Decoder(_Flawless)
_fields = msgspec.json.Decoder(dict[str, Raw])
_raws = msgspec.json.Decoder(list[Raw])
_MANY = 2 * MAX_TASKS
"""An array with fewer bytes cannot have too many items."""
_OWN = 3 * MAX_SPEC_BYTES + 320 * MAX_DEPENDENCIES
"""No task that is one has more bytes, those below it not counted."""


class _Count:
    """How many more items may come."""

    left = MAX_TASKS + 1


_current: ContextVar[_Count] = ContextVar("_current")


class _Item(Struct, gc=False):
    """An item that is only counted: its fields are passed over."""

    def __post_init__(self) -> None:
        count = _current.get()
        count.left -= 1
        if count.left < 0:
            raise ValueError("too many")


class _Outline(Struct, gc=False):
    children: Raw | UnsetType = msgspec.UNSET


_counting = msgspec.json.Decoder(list[_Item])
_outline = msgspec.json.Decoder(_Outline)


def items_of(array: Raw | bytes) -> list[Raw]:
    """The items of an array of tasks, which are counted before anything is made of them.

    Raises `InvalidGraph` where there are too many, or, in a large array, one is no object; and
    what msgspec raises where it is no JSON array.
    """
    if len(memoryview(array)) > _MANY:
        _count(array)
    return _raws.decode(array)


def _count(array: Raw | bytes, where: str = "") -> None:
    count = _Count()
    token = _current.set(count)
    try:
        _counting.decode(array)
    except msgspec.ValidationError as error:
        if count.left < 0:
            raise InvalidGraph([_too_many()]) from None
        raise InvalidGraph([Fault("malformed", where, misfit(error))]) from None
    finally:
        _current.reset(token)


def _too_many() -> Fault:
    message = f"more than {MAX_TASKS} tasks in one tree. Split the tree."
    return Fault("too_many_tasks", "", message)


def flatten(documents: Iterable[Raw | bytes]) -> tuple[list[tuple[WrittenTask, int]], list[Fault]]:
    """Every task with the number of the task it was nested in (-1: none), parents first.

    The faults are fields that no task has. What cannot be read at all raises `InvalidGraph`.
    """
    found: list[tuple[WrittenTask, int]] = []
    faults: list[Fault] = []
    unreadable = False
    few = islice(documents, MAX_TASKS + 2)
    todo = [(document, -1, f"/{i}", 1) for i, document in enumerate(few)]
    if len(todo) > MAX_TASKS + 1:
        raise InvalidGraph([_too_many()])
    for document, parent, where, depth in todo:  # grows: breadth first
        task = _decode(document, where, faults)
        if len(faults) > MAX_FAULTS:
            raise InvalidGraph(faults)
        if task is None:
            unreadable = True
            continue
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels"
            raise InvalidGraph([*faults, Fault("too_deep", where, message)])
        if task.children:
            if len(todo) + len(task.children) > MAX_TASKS + 1:
                raise InvalidGraph([*faults, _too_many()])
            at, below = len(found), f"{where}/children/"
            todo.extend(
                (child, at, f"{below}{i}", depth + 1) for i, child in enumerate(task.children)
            )
        found.append((task, parent))
    if unreadable:
        raise InvalidGraph(faults)
    return found, faults


def _decode(document: Raw | bytes, where: str, faults: list[Fault]) -> WrittenTask | None:
    if len(memoryview(document)) > _MANY and (fault := _bloat(document, where)) is not None:
        faults.append(fault)
        return None
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _flawless.decode(document)
    try:
        given = _fields.decode(document)
        if not given.keys() <= FIELDS:
            faults.extend(_unknown_fields(given.keys() - FIELDS, where))
        return _task.decode(document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        faults.append(Fault("malformed", where, misfit(error)))
        return None


def _bloat(document: Raw | bytes, where: str) -> Fault | None:
    """What speaks against reading a large document; what is no task is told by who reads it."""
    size = len(memoryview(document))
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        children = _outline.decode(document).children
        if not isinstance(children, UnsetType):
            size -= len(memoryview(children))
            _count(children, f"{where}/children")
    if size <= _OWN:
        return None
    message = f"a task with {size} bytes beside its children; at most {_OWN}"
    return Fault("too_large", where, message)


def _unknown_fields(names: Iterable[str], where: str) -> Iterator[Fault]:
    for name in islice(sorted(set(names) - TOLERATED), MAX_FAULTS):
        message = f"unknown field {quoted(name)}; a task has {', '.join(sorted(FIELDS))}"
        yield Fault("unknown_field", where, message)


def object_fault(text: bytes, where: str, field: str) -> Fault | None:
    """What is wrong with a JSON object that is kept as bytes: kind, size, depth, or its JSON."""
    if not text.startswith(b"{"):
        return Fault("malformed", where, f"{field} is a JSON object")
    if len(text) > MAX_SPEC_BYTES:
        message = f"{field} has {len(text)} bytes; at most {MAX_SPEC_BYTES}"
        return Fault("too_large", where, message)
    if depth(text) > MAX_JSON_DEPTH:
        message = f"{field} is nested deeper than {MAX_JSON_DEPTH} levels"
        return Fault("too_deep", where, message)
    reason = _unreadable(text)
    return None if reason is None else Fault("malformed", where, f"{field}: {reason}")


def _unreadable(text: bytes) -> str | None:
    """Why it is no JSON: what skipped over it saw to the brackets, not to strings and numbers."""
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return misfit(error)
    return None


def depth(text: bytes) -> int:
    """How deeply a JSON text is nested: an upper bound, exact above `MAX_JSON_DEPTH` brackets."""
    bound = text.count(b"{") + text.count(b"[")
    if bound <= MAX_JSON_DEPTH:
        return bound
    deepest = level = 0
    in_string = escaped = False
    for byte in text:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"{[":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"}]":
            level -= 1
    return deepest
