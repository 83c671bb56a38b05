"""tasks.cancel: what is pending ends, what runs is told to."""

from typing import Final

from ...domain.errors import ApflowError, InvalidInput, InvalidTransition, NotFound
from ...projections.views import TaskView
from ..problems import Unanswered
from ..steering import command_of, steer
from .calls import Call
from .documents import Document, error_of
from .errors import ELSEWHERE, told

_MESSAGES: Final = {
    "cancelled": "it was cancelled",
    "in_progress": "it was told to end; what it reports until then counts",
    "pending": "it will not start",
}


async def cancel(call: Call) -> Document | list[Document]:
    """One task by ``task_id``, or several; the root of a tree stands for the whole tree.

    Of several each is told for itself; of one, what refuses it is an error.
    """
    given = call.given()
    ids = given.ids("task_ids", "context_ids")
    one = None if ids is not None else given.id("task_id", "id", "context_id")
    reason = given.text("error_message", 1_000) or given.text("reason", 1_000)
    force = given.flag("force", False)
    given.close()
    if one is not None:
        return await _cancelled(call, one, reason, force)
    call.spend(len(ids or ()))
    return [await _tried(call, id, reason, force) for id in ids or ()]


async def _tried(call: Call, id: str, reason: str | None, force: bool) -> Document:
    try:
        return await _cancelled(call, id, reason, force)
    except (InvalidTransition, InvalidInput, NotFound) as error:
        return await _refused(call, id, error, force)


async def _cancelled(call: Call, id: str, reason: str | None, force: bool) -> Document:
    view = await call.task(id)
    said = {"reason": reason or "", "task": None if view.id == view.tree_id else view.id}
    try:
        await steer(call.store, command_of(call.store, view.tree_id, "cancel", said))
    except Unanswered as error:
        return _state(view, str(error), force)
    view = await (call.over(id) if call.patience else call.task(id))
    return _state(view, _MESSAGES.get(view.status, "it ended before that"), force)


def _state(view: TaskView, message: str, force: bool) -> Document:
    return {
        "task_id": view.id, "status": view.status, "message": message, "force": force,
        "result": view.result, "error": error_of(view),
    }  # fmt: skip


async def _refused(call: Call, id: str, error: ApflowError, force: bool) -> Document:
    view = await call.maybe_task(id)
    shown: Document = {"task_id": id, "message": "it cannot be cancelled", "force": force}
    if view is None:
        return shown | {"status": "not_found", "error": ELSEWHERE}
    return shown | {"status": view.status, "error": str(error), "code": int(told(error).code)}
