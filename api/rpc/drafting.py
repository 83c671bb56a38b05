"""Methods on drafts: create, update, delete."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ...domain import decide
from ...domain.decide import Stamp
from ...domain.errors import Fault, InvalidGraph, InvalidTransition, NotADraft
from ...domain.events import AnyEvent
from ...domain.intake import read_one
from ...domain.policies import POLICY_FIELDS
from ...domain.specs import MAX_SPEC_BYTES, TaskSpec
from ...domain.tree import Tree
from ...projections.views import TaskView
from ..encoding import as_json
from ..stores import Store
from ..submitting import Written, submit
from .calls import Call
from .copying import written
from .documents import Document, document, documents
from .envelope import first_of
from .errors import Code, RpcError, Wrong
from .parameters import Given, decoded, is_array, items_of

SETTABLE: Final = frozenset(
    {"name", "priority", "dependencies", "inputs", "params", "schemas", *POLICY_FIELDS}
)
FIXED: Final = {
    "id": "an id stands for good",
    "key": "a key stands for good",
    "parent_id": "a task stays where it was created",
    "user_id": "a tree stays with its owner",
    "task_tree_id": "a task stays in its tree",
    "result": "results come from executors only",
    "error": "errors come from what happened only",
    "progress": "progress comes from executors only",
    "created_at": "times come from what happened only",
    "started_at": "times come from what happened only",
    "updated_at": "times come from what happened only",
    "completed_at": "times come from what happened only",
}
"""Fields that nobody sets, and why."""
_STATUS: Final = (
    "a status follows from what happens and is never set; see tasks.execute and tasks.cancel"
)


class _Owned(Struct):
    user_id: str | None = None


async def create(call: Call) -> Any:
    """A draft of an array of tasks, or of one task; or one task more for a draft that is there.

    The answer lists the tasks; where there is only one, it is that.
    """
    tasks, name = await call.aside(_tasks_of)
    alone = tasks[0] if len(tasks) == 1 else None
    parent = None if alone is None else await _stored_parent(call, alone)
    if alone is not None and parent is not None:
        return await asyncio.to_thread(_join, call.store, parent, alone)
    made = await submit(
        call.store, Written(tasks, name=name, start=False), owner=call.caller.user,
        admin=call.caller.sees_all,
    )  # fmt: skip
    found = await asyncio.to_thread(lambda: documents(call.store, call.store.reads.tasks(made.id)))
    return found[0] if len(found) == 1 else found


def _tasks_of(call: Call) -> tuple[list[Raw], str | None]:
    params = call.params
    if isinstance(params, Raw) and is_array(params):
        return items_of(params), None
    given = call.given()
    tasks = given.raw("tasks")
    if tasks is None:
        whole = given.rest()
        given.close()
        return [Raw(as_json(whole, "the task"))], None
    name = given.text("name")
    given.close()
    return items_of(tasks), name


async def _stored_parent(call: Call, task: Raw) -> TaskView | None:
    """The draft's task under which a single one is to be put, if it names one."""
    try:
        written = msgspec.json.decode(task, type=dict[str, Raw])
        parent = msgspec.json.decode(written.get("parent_id", Raw(b"null")), type=str | None)
    except msgspec.MsgspecError:
        return None  # told by who reads the task
    if parent is None:
        return None
    view = await call.maybe_task(parent)
    if view is None:
        raise RpcError.of(Code.INVALID_PARENT, "parent_id", "there is no such task")
    return view


def _join(store: Store, parent: TaskView, task: Raw) -> Document:
    spec = read_one(task, store.new_id)
    owner = msgspec.json.decode(task, type=_Owned).user_id
    if owner not in (None, parent.user_id):
        raise InvalidGraph([Fault("other_owner", "user_id", "a tree has one owner; leave it out")])

    def add(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
        joined = _resolved(tree, spec)
        _check(store, [*(each.spec for each in tree.live()), joined])
        return decide.add(tree, [joined], stamp)

    store.drafts.change(parent.tree_id, add)
    return _read(store, spec.id)


async def update(call: Call) -> Document:
    """Fields of a draft's task, in ``updates`` or beside ``task_id``."""
    given = call.given()
    id, changes = _changes(given)
    view = await call.task(id)
    _require_settable(changes)
    _require_draft(view)
    return await asyncio.to_thread(_update, call.store, view, changes)


def _changes(given: Given) -> tuple[str, dict[str, Raw]]:
    id = given.id("task_id", "id")
    updates = given.raw("updates")
    if updates is None:
        changes = given.rest("task_id", "updates", *([] if given.has("task_id") else ["id"]))
    elif first_of(updates) == b"{":
        changes = msgspec.json.decode(updates, type=dict[str, Raw])
    else:
        given.refuse("updates", "it is an object: new values by field")
        changes = {}
    given.close()
    return id, changes


def _require_settable(changes: Mapping[str, Raw]) -> None:
    if "status" in changes:
        raise RpcError.of(Code.INVALID_TRANSITION, "status", _STATUS)
    wrong: list[Wrong] = [
        {"field": name, "reason": FIXED[name]} for name in changes if name in FIXED
    ]
    for name, raw in changes.items():
        if len(memoryview(raw)) > MAX_SPEC_BYTES:
            reason = f"it has more than {MAX_SPEC_BYTES >> 10} KiB"
            wrong.append({"field": name if name in SETTABLE else "updates", "reason": reason})
    if any(name not in SETTABLE and name not in FIXED for name in changes):
        reason = (
            f"a task has no such field that can be set; there are {', '.join(sorted(SETTABLE))}"
        )
        wrong.append({"field": "updates", "reason": reason})
    if wrong:
        raise RpcError(Code.INVALID_PARAMS, wrong)


def _require_draft(view: TaskView) -> None:
    if not view.draft:
        raise NotADraft(view.tree_id)


def _update(store: Store, view: TaskView, changes: Mapping[str, Raw]) -> Document:
    def change(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
        task = tree.task(view.id)
        if task is None:
            raise RpcError.of(Code.NOT_FOUND, "task_id", "it was deleted meanwhile")
        document = written(task.spec) | {name: decoded(raw) for name, raw in changes.items()}
        spec = read_one(as_json(document, "the task"), store.new_id)
        spec = _resolved(tree, replace(spec, parent=task.spec.parent))
        others = (each.spec for each in tree.live())
        _check(store, [spec if each.id == spec.id else each for each in others])
        return decide.change(tree, spec, stamp)

    store.drafts.change(view.tree_id, change)
    return _read(store, view.id)


def _resolved(tree: Tree, spec: TaskSpec) -> TaskSpec:
    """Dependencies may name tasks of the tree by their keys."""

    def id_of(reference: str) -> str:
        by_key = tree.by_key(reference)
        return reference if by_key is None or reference in tree.index else by_key.spec.id

    depends = tuple(replace(each, on=id_of(each.on)) for each in spec.dependencies)
    return replace(spec, dependencies=depends)


def _check(store: Store, specs: Sequence[TaskSpec]) -> None:
    if faults := decide.graph_faults(specs, store.executors.module_of):
        raise InvalidGraph(faults)


def _read(store: Store, id: str) -> Document:
    view = store.reads.task(id)
    if view is None:
        raise RpcError.of(Code.NOT_FOUND, "task_id", "it was deleted meanwhile")
    return document(store, view)


async def delete(call: Call) -> Document:
    """A draft's task and all below it; its root: all tasks."""
    given = call.given()
    id = given.id("task_id", "id")
    given.close()
    view = await call.task(id)
    try:
        _require_draft(view)
        gone = await asyncio.to_thread(_delete, call.store, view)
    except InvalidTransition as error:
        raise RpcError.of(Code.CANNOT_DELETE, "task_id", str(error)) from error
    return {
        "success": True, "task_id": view.id, "deleted_count": gone, "children_deleted": gone - 1,
    }  # fmt: skip


def _delete(store: Store, view: TaskView) -> int:
    gone = 0

    def remove(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
        nonlocal gone
        facts = decide.remove(tree, view.id, stamp)
        gone = len(facts)
        return facts

    store.drafts.change(view.tree_id, remove)
    return gone
