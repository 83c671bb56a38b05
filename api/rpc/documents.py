"""Tasks in the words of the task protocol."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ...projections.views import TaskView
from ..stores import Store

OVER = ("completed", "failed", "cancelled")
Document = dict[str, Any]


def documents(store: Store, views: Sequence[TaskView]) -> list[Document]:
    """The public fields of these tasks. Blocking."""
    parents = store.reads.parents([view.id for view in views])
    originals = _originals(store, views)
    return [_document(view, view.id in parents, *originals[view.tree_id, view.key])
            for view in views]  # fmt: skip


def document(store: Store, view: TaskView) -> Document:
    """The same of one task. Blocking."""
    return documents(store, [view])[0]


def tree_document(store: Store, tree: str) -> Document | None:
    """All tasks of a tree, nested as ``{"task", "children"}``; None where it has none. Blocking."""
    found = documents(store, store.reads.tasks(tree))
    nodes: dict[str, Document] = {task["id"]: {"task": task, "children": []} for task in found}
    top = None
    for task in found:
        parent = nodes.get(task["parent_id"] or "")
        if parent is None:
            top = nodes[task["id"]]
        else:
            parent["children"].append(nodes[task["id"]])
    return top


def _document(view: TaskView, has_children: bool, origin: str, original: str | None) -> Document:
    over = view.status in OVER
    started = None if view.status == "pending" else view.started_at
    completed = view.completed_at if over else None
    return {
        "id": view.id,
        "parent_id": view.parent_id,
        "task_tree_id": view.tree_id,
        "user_id": view.user_id,
        "name": view.name,
        "key": view.key,
        "status": view.status,
        "draft": view.draft,
        "priority": view.priority,
        "dependencies": [{"id": d.on, "required": d.required} for d in view.dependencies],
        "inputs": view.inputs,
        "params": view.params,
        "schemas": view.schemas,
        "result": view.result,
        "error": error_of(view),
        "progress": 1.0 if view.status == "completed" else view.progress,
        "created_at": view.created_at,
        "started_at": started,
        "updated_at": completed or started or view.created_at,
        "completed_at": completed,
        "has_children": has_children,
        "origin_type": origin,
        "original_task_id": original,
    }


def error_of(view: TaskView) -> str | None:
    """Why it failed or was cancelled, as a text that is never empty."""
    if view.error is None:
        return None
    return view.error.message or view.error.type


def _originals(
    store: Store, views: Sequence[TaskView]
) -> dict[tuple[str, str], tuple[str, str | None]]:
    """By tree and key: how the task came to be, and what it copies: what has its key there."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for view in views:
        keys[view.tree_id].append(view.key)
    found: dict[tuple[str, str], tuple[str, str | None]] = {}
    for id, of_tree in keys.items():
        tree = store.reads.tree(id)
        origin = None if tree is None else tree.origin
        ids = {} if origin is None else store.reads.ids_by_key(origin, of_tree)
        kind = "create" if origin is None else "copy"
        found |= {(id, key): (kind, ids.get(key)) for key in of_tree}
    return found
