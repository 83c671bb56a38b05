"""Methods that only read: single tasks, lists, trees, and what runs."""

import asyncio
from typing import Any, Final

from msgspec import to_builtins

from ...projections.views import TaskView
from ..documents import task_in_full
from ..wiring import timeline
from .calls import NOBODY, Call
from .documents import Document, document, documents, error_of, tree_document
from .errors import ELSEWHERE, Code, RpcError

STATUSES: Final = ("pending", "in_progress", "completed", "failed", "cancelled")
MOST: Final = 1_000
MAX_OFFSET: Final = 2**31


async def get(call: Call) -> Document:
    """A task as it stands."""
    given = call.given()
    id = given.id("task_id", "id")
    given.close()
    view = await call.task(id)
    return await asyncio.to_thread(document, call.store, view)


async def detail(call: Call) -> Document:
    """A task with all its attempts."""
    given = call.given()
    id = given.id("task_id", "id")
    given.close()
    view = await call.task(id)

    def read() -> Document:
        full = task_in_full(view, timeline(call.store, view.tree_id))
        return document(call.store, view) | {"attempts": to_builtins(full.attempts)}

    return await asyncio.to_thread(read)


async def list_tasks(call: Call) -> Document:
    """``{"tasks", "total", "limit", "offset"}``, the newest first."""
    given = call.given()
    user = given.text("user_id")
    status = given.word("status", STATUSES, None)
    roots = given.flag("root_only", True)
    limit = given.whole("limit", 100, 1, MOST)
    offset = given.whole("offset", 0, 0, MAX_OFFSET)
    given.close()
    owner = call.owner(user)

    def read() -> tuple[list[Document], int]:
        if owner == NOBODY:
            return [], 0
        reads = call.store.reads
        found = reads.find(owner=owner, status=status, roots=roots, limit=limit, offset=offset)
        counts = reads.counts(owner=owner, roots=roots)
        total = sum(n for each, n in counts.items() if status in (None, each))
        return documents(call.store, found), total

    found, total = await asyncio.to_thread(read)
    return {"tasks": found, "total": total, "limit": limit, "offset": offset}


async def count(call: Call) -> Document:
    """How many tasks there are by status, and in all."""
    given = call.given()
    user = given.text("user_id")
    roots = given.flag("root_only", False)
    statuses = given.words("statuses", STATUSES)
    given.close()
    counts = await asyncio.to_thread(_counts, call, user, roots)
    found: Document = {status: counts.get(status, 0) for status in statuses}
    found["total"] = sum(found.values())
    return found | ({} if user is None else {"user_id": user})


def _counts(call: Call, user: str | None, roots: bool) -> dict[str, int]:
    owner = call.owner(user)
    return {} if owner == NOBODY else call.store.reads.counts(owner=owner, roots=roots)


async def tree(call: Call) -> Document:
    """The whole tree that a task is in, nested."""
    given = call.given()
    id = given.id("task_id", "root_id", "id")
    given.close()
    view = await call.task(id)
    found = await asyncio.to_thread(tree_document, call.store, view.tree_id)
    if found is None:
        raise RpcError.of(Code.NOT_FOUND, "task_id", ELSEWHERE)
    return found


async def children(call: Call) -> list[Document]:
    """The tasks right below one, in the order of their creation."""
    given = call.given()
    id = given.id("parent_id", "task_id", "id")
    given.close()
    view = await call.task(id)

    def read() -> list[Document]:
        below = [task for task in call.store.reads.tasks(view.tree_id) if task.parent_id == view.id]
        return documents(call.store, below)

    return await asyncio.to_thread(read)


async def running_list(call: Call) -> list[Document]:
    """The tasks in progress, the newest first."""
    given = call.given()
    user = given.text("user_id")
    limit = given.whole("limit", 100, 1, MOST)
    given.close()
    owner = call.owner(user)

    def read() -> list[Document]:
        if owner == NOBODY:
            return []
        found = call.store.reads.find(owner=owner, status="in_progress", limit=limit)
        return [
            made | {"task_id": made["id"], "context_id": made["id"], "is_running": True}
            for made in documents(call.store, found)
        ]

    return await asyncio.to_thread(read)


async def running_status(call: Call) -> list[Document]:
    """How each of some tasks stands."""
    given = call.given()
    ids = given.ids("task_ids", "context_ids", "task_id")
    if ids is None:
        given.refuse("task_ids", "it is missing: the ids of tasks")
    given.close()
    found = await call.tasks(ids or ())
    return [_status(id, found.get(id)) for id in ids or ()]


def _status(id: str, view: TaskView | None) -> Document:
    told: dict[str, Any] = {"task_id": id, "context_id": id}
    if view is None:
        return told | {
            "status": "not_found", "progress": 0.0, "error": ELSEWHERE, "is_running": False,
            "started_at": None, "updated_at": None,
        }  # fmt: skip
    return told | {
        "status": view.status,
        "progress": 1.0 if view.status == "completed" else view.progress,
        "error": error_of(view),
        "is_running": view.status == "in_progress",
        "started_at": view.started_at,
        "updated_at": view.completed_at or view.started_at or view.created_at,
    }


async def running_count(call: Call) -> Document:
    """How many tasks are in progress."""
    given = call.given()
    user = given.text("user_id")
    given.close()
    counts = await asyncio.to_thread(_counts, call, user, False)
    found: Document = {"count": counts.get("in_progress", 0)}
    return found | ({} if user is None else {"user_id": user})
