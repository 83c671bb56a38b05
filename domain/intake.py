"""From what a client wrote to task specifications: ids, keys, references, caps.

A client may write a flat array with ``parent_id``, a nested tree with ``children``, or both mixed;
it may refer to a task by its id or by its name. Every fault is found, none is guessed at.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from .errors import Fault, InvalidGraph
from .specs import (
    DEFAULT_PRIORITY,
    EMPTY_OBJECT,
    MAX_DEPTH,
    MAX_JSON_DEPTH,
    MAX_NAME,
    MAX_SPEC_BYTES,
    MAX_TASKS,
    Dependency,
    TaskSpec,
    is_id,
)

NewId = Callable[[], str]

NOT_BUILT = frozenset(
    {"retry", "timeout", "deadline", "heartbeat", "on_interrupt", "max_interruptions",
     "concurrency", "idempotent", "accept"}
)  # fmt: skip
"""Fields with a meaning that this version does not act on: refused, not ignored."""

TOLERATED = frozenset(
    {"status", "result", "error", "progress", "created_at", "started_at", "updated_at",
     "completed_at", "has_children", "task_tree_id", "original_task_id", "origin_type", "has_copy",
     "has_references", "draft", "type"}
)  # fmt: skip
"""Fields of an exported task that say how a former run went: no part of what is to be run."""


class WrittenTask(Struct, kw_only=True, gc=False):
    """A task in the client's own words."""

    name: str
    id: str | None = None
    key: str | None = None
    parent_id: str | None = None
    user_id: str | None = None
    dependencies: list[str | dict[str, Any]] = []
    inputs: Raw = EMPTY_OBJECT
    params: Raw = EMPTY_OBJECT
    schemas: Raw = EMPTY_OBJECT
    priority: int | None = None
    children: list[Raw] = field(default_factory=list)


FIELDS = frozenset(WrittenTask.__struct_fields__)
_written = msgspec.json.Decoder(WrittenTask)
_fields = msgspec.json.Decoder(dict[str, Raw])


class Intake(Struct, frozen=True):
    """What was read: specifications in the order written, and the owner, if one was named."""

    specs: tuple[TaskSpec, ...]
    owner: str | None


def read(documents: Iterable[Raw | bytes], new_id: NewId) -> Intake:
    """Read the tasks of one tree, each a JSON object. Raises `InvalidGraph` with all faults."""
    written, faults = _flatten(documents)
    if faults:
        raise InvalidGraph(faults)
    return _Reader(written, new_id).read()


def fresh(specs: Sequence[TaskSpec], new_id: NewId) -> tuple[TaskSpec, ...]:
    """The same tasks under new ids, references mapped, keys kept as they were written."""
    ids = {spec.id: new_id() for spec in specs}
    return tuple(
        msgspec.structs.replace(
            spec,
            id=ids[spec.id],
            key=spec.label,
            parent=ids.get(spec.parent, spec.parent) if spec.parent else None,
            dependencies=tuple(
                Dependency(ids.get(d.on, d.on), d.required) for d in spec.dependencies
            ),
        )
        for spec in specs
    )


def _flatten(documents: Iterable[Raw | bytes]) -> tuple[list[tuple[WrittenTask, int]], list[Fault]]:
    """Every task with the number of the task it was nested in (-1: none), parents first."""
    found: list[tuple[WrittenTask, int]] = []
    faults: list[Fault] = []
    todo = [(document, -1, f"/{i}", 1) for i, document in enumerate(documents)]
    for document, parent, where, depth in todo:  # grows: breadth first
        task = _decode(document, where, faults)
        if task is None:
            continue
        if depth > MAX_DEPTH:
            faults.append(Fault("too_deep", where, f"nested deeper than {MAX_DEPTH} levels"))
            break
        if task.children:
            at, below = len(found), f"{where}/children/"
            todo.extend(
                (child, at, f"{below}{i}", depth + 1) for i, child in enumerate(task.children)
            )
        found.append((task, parent))
        if len(todo) > MAX_TASKS + 1:
            message = f"more than {MAX_TASKS} tasks in one tree. Split the tree."
            faults.append(Fault("too_many_tasks", "", message))
            break
    return found, faults


def _decode(document: Raw | bytes, where: str, faults: list[Fault]) -> WrittenTask | None:
    try:
        given = _fields.decode(document)
        if not given.keys() <= FIELDS:
            faults.extend(_unknown_fields(given.keys() - FIELDS, where))
        return _written.decode(document)
    except (msgspec.MsgspecError, RecursionError) as error:
        faults.append(Fault("malformed", where, _reason(error)))
        return None


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _unknown_fields(names: Iterable[str], where: str) -> Iterator[Fault]:
    for name in sorted(set(names) - TOLERATED):
        if name in NOT_BUILT:
            message = f"{name!r} is not built yet in this version; leave it out"
            yield Fault("not_built", where, message)
        else:
            message = f"unknown field {name!r}; a task has {', '.join(sorted(FIELDS))}"
            yield Fault("unknown_field", where, message)


class _Reader:
    def __init__(self, written: list[tuple[WrittenTask, int]], new_id: NewId) -> None:
        self.written = written
        self.faults: list[Fault] = []
        self.ids: list[str] = []
        self.keys: list[str] = []
        self.by_key: dict[str, int] = {}
        self.by_name: dict[str, int] = {}
        self._name_everything(new_id)

    def _name_everything(self, new_id: NewId) -> None:
        ambiguous = -1
        for n, (task, _) in enumerate(self.written):
            usable = task.id is not None and is_id(task.id)
            id = task.id if usable and task.id is not None else new_id()
            key = task.key or task.id or id
            if key in self.by_key:
                message = f"two tasks are called {key!r}; an id or key is unique in its tree"
                self.faults.append(Fault("duplicate_key", key, message))
            self.ids.append(id)
            self.keys.append(key)
            self.by_key[key] = n
            self.by_name[task.name] = n if task.name not in self.by_name else ambiguous

    def read(self) -> Intake:
        specs = tuple(self._spec(n, task, nested) for n, (task, nested) in enumerate(self.written))
        owners = {task.user_id for task, _ in self.written if task.user_id is not None}
        if len(owners) > 1:
            message = "the tasks name different user_id values; a tree has one owner"
            self.faults.append(Fault("several_owners", "", message))
        if self.faults:
            raise InvalidGraph(self.faults)
        return Intake(specs, owners.pop() if owners else None)

    def _spec(self, n: int, task: WrittenTask, nested: int) -> TaskSpec:
        key = self.keys[n]
        if not task.name or len(task.name) > MAX_NAME:
            self._fault("bad_name", key, f"a name has 1 to {MAX_NAME} characters")
        priority = DEFAULT_PRIORITY if task.priority is None else task.priority
        if not 0 <= priority <= 3:
            self._fault("bad_priority", key, "priority is 0 (urgent), 1, 2 (normal) or 3 (low)")
        return TaskSpec(
            id=self.ids[n],
            name=task.name,
            key="" if key == self.ids[n] else key,
            parent=self._parent(key, task, nested),
            dependencies=self._dependencies(key, task) if task.dependencies else (),
            inputs=self._object(key, "inputs", task.inputs),
            params=self._object(key, "params", task.params),
            schemas=self._object(key, "schemas", task.schemas),
            priority=priority,
        )

    def _fault(self, code: str, where: str, message: str) -> None:
        self.faults.append(Fault(code, where, message))

    def _parent(self, key: str, task: WrittenTask, nested: int) -> str | None:
        if nested >= 0:
            above = self.ids[nested]
            if task.parent_id is not None and self._find(task.parent_id) != nested:
                self._fault(
                    "two_parents",
                    key,
                    "its parent_id names another task than the one it is nested in",
                )
            return above
        if task.parent_id is None:
            return None
        n = self._find(task.parent_id)
        if n is None:
            message = f"the parent {task.parent_id!r} is not a task of this tree"
            self._fault("unknown_parent", key, message)
            return None
        return self.ids[n]

    def _find(self, reference: str) -> int | None:
        n = self.by_key.get(reference)
        if n is None:
            n = self.by_name.get(reference)
        return None if n is None or n < 0 else n

    def _dependencies(self, key: str, task: WrittenTask) -> tuple[Dependency, ...]:
        found: dict[str, bool] = {}
        for item in task.dependencies:
            reference, required = self._reference(key, item)
            if reference is None:
                continue
            n = self._find(reference)
            if n is None:
                self._fault("unknown_dependency", key, self._why_not(reference))
            else:
                found[self.ids[n]] = found.get(self.ids[n], False) or required
        return tuple(Dependency(on, required) for on, required in found.items())

    def _why_not(self, reference: str) -> str:
        if self.by_name.get(reference) == -1:
            return f"depends on the name {reference!r}, which several tasks have; use an id"
        return f"depends on {reference!r}, which is not a task of this tree"

    def _reference(self, key: str, item: str | dict[str, Any]) -> tuple[str | None, bool]:
        if isinstance(item, str):
            return item, True
        required = item.get("required", True)
        names = [item[word] for word in ("id", "key", "name") if word in item]
        if not names or not all(isinstance(name, str) for name in names):
            self._fault("bad_dependency", key, 'a dependency is {"id": …}, {"name": …} or a string')
            return None, True
        if not isinstance(required, bool):
            self._fault("bad_dependency", key, "`required` of a dependency is true or false")
            return None, True
        return names[0], required

    def _object(self, key: str, field: str, raw: Raw) -> Raw:
        text = bytes(raw)
        if raw is EMPTY_OBJECT or text == b"null":
            return EMPTY_OBJECT
        if not text.startswith(b"{"):
            self._fault("malformed", key, f"{field} is a JSON object")
        elif len(text) > MAX_SPEC_BYTES:
            self._fault(
                "too_large", key, f"{field} has {len(text)} bytes; at most {MAX_SPEC_BYTES}"
            )
        elif depth(text) > MAX_JSON_DEPTH:
            self._fault("too_deep", key, f"{field} is nested deeper than {MAX_JSON_DEPTH} levels")
        return raw.copy()


def depth(text: bytes) -> int:
    """How deeply a JSON text is nested; 0 for a scalar. Cheap where there is little to nest."""
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
