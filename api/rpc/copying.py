"""Copies: the specifications of tasks as a new draft, under new ids; nothing of how they went."""

import asyncio
from typing import Any

import msgspec
from msgspec.structs import replace

from ...domain.errors import Fault, InvalidGraph
from ...domain.intake import Intake, fresh
from ...domain.specs import TaskSpec
from ...domain.tree import Tree
from ...engine.loading import load
from ...projections.views import TaskView
from ..stores import Store
from .calls import Call
from .documents import tree_document
from .errors import Code, RpcError
from .parameters import Given


async def copy(call: Call) -> Any:
    """A new draft of the caller's: a task and all below it, under new ids."""
    given = call.given()
    id = given.id("task_id", "id")
    whole = given.flag("children", True)
    given.word("copy_mode", ("minimal", "full"), None)
    save = given.flag("save", True)
    _no_resets(given)
    for name in ("custom_task_ids", "custom_include_children"):
        if given.has(name):
            given.refuse(name, "parts cannot be picked; copy, then delete tasks of the draft")
    given.close()
    return await _copied(call, id, whole, save)


async def clone(call: Call) -> Any:
    """A copy, by the parameters of the later system. With ``save`` false it is only shown."""
    given = call.given()
    id = given.id("task_id", "id")
    kind = given.word("origin_type", ("copy", "link", "archive", "mixed"), "copy")
    whole = given.flag("recursive", True)
    save = given.flag("save", True)
    given.raw("link_task_ids")
    _no_resets(given)
    given.close()
    if kind != "copy":
        reason = "this version makes copies only: what a task did is in its own log. Use copy."
        raise RpcError.of(Code.METHOD_NOT_FOUND, "origin_type", reason)
    return await _copied(call, id, whole, save)


def _no_resets(given: Given) -> None:
    fields = given.raw("reset_fields")
    if fields is not None and bytes(memoryview(fields)[:3]) not in (b"{}", b"[]"):
        given.refuse("reset_fields", "a copy begins anew by itself; change it by tasks.update")


async def _copied(call: Call, id: str, whole: bool, save: bool) -> Any:
    view = await call.task(id)
    return await asyncio.to_thread(_copy, call.store, view, call.caller.user, whole, save)


def _copy(store: Store, view: TaskView, owner: str | None, whole: bool, save: bool) -> Any:
    specs = _specs(load(store.journal, view.tree_id), view.id, whole)
    if not save:
        return [written(spec) for spec in specs]
    intake = Intake(fresh(specs, store.new_id), owner)
    made = store.create_draft(intake, view.name, origin=view.tree_id)
    return tree_document(store, made.id)


def _specs(tree: Tree, id: str, whole: bool) -> list[TaskSpec]:
    """A task, with all below it where that is wanted; none may depend on what is left behind."""
    chosen = {id}
    if whole:
        below: dict[str | None, list[str]] = {}
        for task in tree.live():
            below.setdefault(task.spec.parent, []).append(task.spec.id)
        todo = [id]
        for above in todo:  # grows; in a draft parents may still form a circle
            new = [child for child in below.get(above, ()) if child not in chosen]
            chosen.update(new)
            todo.extend(new)
    specs = [task.spec for task in tree.live() if task.spec.id in chosen]
    if faults := [
        Fault("unknown_dependency", spec.label, "depends on a task that is not copied with it")
        for spec in specs
        if any(dependency.on not in chosen for dependency in spec.dependencies)
    ]:
        raise InvalidGraph(faults)
    return [replace(spec, parent=None) if spec.id == id else spec for spec in specs]


def written(spec: TaskSpec) -> dict[str, Any]:
    """A task as `tasks.create` takes it."""
    task: dict[str, Any] = {
        "id": spec.id, "key": spec.label, "name": spec.name, "priority": spec.priority,
        "dependencies": [{"id": d.on, "required": d.required} for d in spec.dependencies],
        "inputs": spec.inputs, "params": spec.params, "schemas": spec.schemas,
        **msgspec.to_builtins(spec.policy),
    }  # fmt: skip
    return task if spec.parent is None else task | {"parent_id": spec.parent}
