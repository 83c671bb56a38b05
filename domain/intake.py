"""From what a client wrote to task specifications: ids, keys, references, caps.

A client may write a flat array with ``parent_id``, a nested tree with ``children``, or both mixed;
it may refer to a task by its id or by its name. Every fault is found, none is guessed at.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from .decide.submission import Registered, graph_faults, unregistered
from .errors import MAX_FAULTS, Fault, InvalidGraph
from .graph import check
from .policies import policy_faults, policy_of
from .specs import (
    DEFAULT_PRIORITY,
    EMPTY_OBJECT,
    MAX_NAME,
    NO_POLICY,
    Dependency,
    Policy,
    TaskSpec,
    is_id,
)
from .wording import quoted
from .written import DEPENDENCY_FIELDS, WrittenTask, flatten, object_fault

_NOTHING = EMPTY_OBJECT
NewId = Callable[[], str]


class Intake(Struct, frozen=True):
    """What was read: specifications in the order written, and the owner, if one was named.

    ``given`` are the ids that the client chose.
    """

    specs: tuple[TaskSpec, ...]
    owner: str | None
    given: tuple[str, ...] = ()


def read(
    documents: Iterable[Raw | bytes], new_id: NewId, registered: Registered | None = None
) -> Intake:
    """Read the tasks of one tree, each a JSON object. Raises `InvalidGraph` with all faults.

    Faults of the graph that need no knowledge of executors are among them, so that a caller mends
    all at once; with ``registered`` so are tasks that no executor can run. Where a document cannot
    be read at all, only such faults are told.
    """
    written, faults = flatten(documents)
    return _Reader(written, faults, new_id).read(registered)


def read_one(document: Raw | bytes, new_id: NewId) -> TaskSpec:
    """Read one task that joins what is stored: its parent and dependencies are ids, not resolved.

    Raises `InvalidGraph`.
    """
    written, faults = flatten([document])
    if len(written) > 1:
        faults.append(Fault("children", "", "one task has no children; create them one by one"))
    return _Reader(written, faults, new_id, alone=True).read().specs[0]


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


class _Reader:
    def __init__(
        self,
        written: list[tuple[WrittenTask, int]],
        faults: list[Fault],
        new_id: NewId,
        *,
        alone: bool = False,
    ) -> None:
        self.alone = alone
        self.written = written
        self.faults = faults
        self.ids: list[str] = []
        self.keys: list[str] = []
        self.by_id: dict[str, int] = {}
        self.by_key: dict[str, int] = {}
        self.by_name: dict[str, int] = {}
        self._name_everything(new_id)

    def _name_everything(self, new_id: NewId) -> None:
        ambiguous = -1
        for n, (task, _) in enumerate(self.written):
            usable = task.id is not None and is_id(task.id)
            id = task.id if usable and task.id is not None else new_id()
            key = task.key or task.id or id
            written = task.id or id
            if key in self.by_key or written in self.by_id:
                double = key if key in self.by_key else written
                said = quoted(double)
                message = f"two tasks are called {said}; an id or key is unique in its tree"
                self._fault("duplicate_key", double, message)
            self.ids.append(id)
            self.keys.append(key)
            self.by_id[written] = n
            self.by_key[key] = n
            self.by_name[task.name] = n if task.name not in self.by_name else ambiguous

    def read(self, registered: Registered | None = None) -> Intake:
        specs = tuple(self._spec(n, task, nested) for n, (task, nested) in enumerate(self.written))
        owners = {task.user_id for task, _ in self.written if task.user_id is not None}
        if len(owners) > 1:
            message = "the tasks name different user_id values; a tree has one owner"
            self.faults.append(Fault("several_owners", "", message))
        if self.faults:
            more = [] if self.alone else self._graph_faults(specs, registered)
            raise InvalidGraph([*self.faults, *more])
        given = tuple(
            id for (task, _), id in zip(self.written, self.ids, strict=True) if task.id == id
        )
        return Intake(specs, owners.pop() if owners else None, given)

    def _graph_faults(
        self, specs: tuple[TaskSpec, ...], registered: Registered | None
    ) -> list[Fault]:
        """What else is wrong; without ``registered``, whichever tasks turn out to be groups."""
        told = {(fault.code, fault.where) for fault in self.faults}
        if any(code == "duplicate_key" for code, _ in told):
            return []
        if registered is None:
            faults = check(specs, None)
        else:
            faults = [*graph_faults(specs, registered), *unregistered(specs, registered)]
        return [fault for fault in faults if (fault.code, fault.where) not in told]

    def _spec(self, n: int, task: WrittenTask, nested: int) -> TaskSpec:
        key = self.keys[n]
        if not _is_name(task.name):
            self._fault("bad_name", key, f"a name has 1 to {MAX_NAME} characters, none of them NUL")
        if not _is_name(key):
            self._fault(
                "bad_key", key[:40], f"a key has 1 to {MAX_NAME} characters, none of them NUL"
            )
        priority = DEFAULT_PRIORITY if task.priority is None else task.priority
        if not 0 <= priority <= 3:
            self._fault("bad_priority", key, "priority is 0 (urgent), 1, 2 (normal) or 3 (low)")
        return TaskSpec(
            id=self.ids[n],
            name=task.name,
            key="" if key == self.ids[n] else key,
            parent=self._parent(key, task, nested),
            dependencies=self._dependencies(key, task) if task.dependencies else (),
            inputs=_NOTHING if task.inputs is _NOTHING else self._json(key, "inputs", task.inputs),
            params=_NOTHING if task.params is _NOTHING else self._json(key, "params", task.params),
            schemas=(
                _NOTHING if task.schemas is _NOTHING else self._json(key, "schemas", task.schemas)
            ),
            priority=priority,
            policy=self._policy(key, task),
        )

    def _policy(self, key: str, task: WrittenTask) -> Policy:
        policy = policy_of(task)
        if policy is None:
            return NO_POLICY
        for fault in policy_faults(policy):
            self._fault("bad_policy", key, fault)
        return policy

    def _fault(self, code: str, where: str, message: str) -> None:
        if len(self.faults) <= MAX_FAULTS:
            self.faults.append(Fault(code, where, message))

    def _parent(self, key: str, task: WrittenTask, nested: int) -> str | None:
        if nested >= 0:
            above = self.ids[nested]
            if task.parent_id is not None and self._find("key", task.parent_id) != nested:
                self._fault(
                    "two_parents",
                    key,
                    "its parent_id names another task than the one it is nested in",
                )
            return above
        if task.parent_id is None or self.alone:
            return task.parent_id
        n = self._find("key", task.parent_id)
        if n is None:
            self._fault("unknown_parent", key, f"its parent is {self._why_not(task.parent_id)}")
            return task.parent_id
        return self.ids[n]

    def _find(self, word: str, reference: str) -> int | None:
        """The task that is meant: what ``word`` says first, but any way of naming it will do."""
        ways = {"id": self.by_id, "key": self.by_key, "name": self.by_name}
        for way in (ways[word], self.by_key, self.by_id, self.by_name):
            if (n := way.get(reference)) is not None:
                return None if n < 0 else n
        return None

    def _dependencies(self, key: str, task: WrittenTask) -> tuple[Dependency, ...]:
        found: dict[str, bool] = {}
        for item in task.dependencies or ():
            read = ("key", item, True) if isinstance(item, str) else self._reference(key, item)
            if read is None:
                continue
            word, reference, required = read
            if self.alone and word != "name":
                found[reference] = found.get(reference, False) or required
                continue
            n = self._find(word, reference)
            if n is None:
                self._fault("unknown_dependency", key, f"depends on {self._why_not(reference)}")
            else:
                found[self.ids[n]] = found.get(self.ids[n], False) or required
        return tuple(Dependency(on, required) for on, required in found.items())

    def _why_not(self, reference: str) -> str:
        said = quoted(reference)
        if self.by_name.get(reference) == -1:
            return f"{said}, which is the name of several tasks; use an id or key"
        return (
            f"{said}, which is not a task of this tree. "
            "Name a task of the tree, or add_child it first."
        )

    def _reference(self, key: str, item: dict[str, Any]) -> tuple[str, str, bool] | None:
        """How a dependency names its task, the name, and whether it is required."""
        required = item.get("required", True)
        words = [word for word in ("id", "key", "name") if word in item]
        if not words or not all(isinstance(item[word], str) for word in words):
            message = 'a dependency is {"id": …}, {"key": …}, {"name": …} or a string'
        elif not item.keys() <= DEPENDENCY_FIELDS:
            unknown = ", ".join(
                quoted(name) for name in sorted(item.keys() - DEPENDENCY_FIELDS)[:10]
            )
            message = f"a dependency has id, key or name, and required; not {unknown}"
        elif not isinstance(required, bool):
            message = "`required` of a dependency is true or false"
        else:
            return words[0], item[words[0]], required
        self._fault("bad_dependency", key, message)
        return None

    def _json(self, key: str, field: str, raw: Raw) -> Raw:
        if bytes(raw) == b"null":
            return _NOTHING
        if (fault := object_fault(bytes(raw), key, field)) is not None:
            self.faults.append(fault)
        return raw.copy()


def _is_name(text: str) -> bool:
    return 1 <= len(text) <= MAX_NAME and "\0" not in text
