"""tasks.execute: a draft is started, an array is created and started, or what failed runs again."""

from typing import Any, Final

from msgspec import Raw, Struct

from ...domain.errors import ApflowError
from ...domain.webhooks import Hook
from ...projections.views import TaskView, TreeView
from ..http.access import Scope
from ..http.waiting import settled_within
from ..problems import Unanswered
from ..steering import command_of, steer
from ..submitting import Written, start, submit
from ..webhooks import hook_of_config, registered
from .calls import Call
from .documents import Document
from .errors import Code, RpcError
from .parameters import Given, items_of

RUNNING: Final = "it runs already; follow it by GET /v1/trees/{id}/stream"


class Followed(Struct, frozen=True):
    """An answer that goes on as a stream: the events of ``tree`` after version ``after``."""

    result: Document
    tree: str
    after: int


class _Order(Struct, frozen=True):
    """What a call asks for."""

    id: str | None
    tasks: list[Raw]
    name: str | None
    stream: bool
    demo: bool
    hooks: tuple[Hook, ...]


class _Begun(Struct, frozen=True):
    """A tree that goes on. ``task`` is the one that was asked for, ``after`` where news begin."""

    tree: str
    task: str
    after: int
    message: str


async def execute(call: Call) -> Document | Followed:
    """Answers at once, or when the tree has settled, as far as the caller would wait."""
    order = await call.aside(_order)
    if order.stream:
        with call.server.stream(call.caller):
            pass  # refused before anything begins
    if order.id is None:
        begun = await _submitted(call, order)
    else:
        view = await call.task(order.id)
        tree = await call.store.look(call.store.tree, view.tree_id)
        if tree.phase == "submitted":
            return _answer(view.id, tree, success=False, status="already_running", message=RUNNING)
        begun = await _go_on(call, order, view, tree)
    if order.stream:
        tree = await call.store.look(call.store.tree, begun.tree)
        answer = _told(begun, tree, order) | {"streaming": True}
        return Followed(answer, begun.tree, begun.after)
    if call.patience:
        tree = await settled_within(call.server, begun.tree, call.patience)
    else:
        tree = await call.store.look(call.store.tree, begun.tree)
    return _told(begun, tree, order)


def _order(call: Call) -> _Order:
    given = call.given()
    id, tasks = given.maybe_id("task_id", "id"), given.raw("tasks")
    if (id is None) == (tasks is None):
        given.refuse("task_id", "give either task_id or tasks")
    order = _Order(
        id, [] if tasks is None else items_of(tasks), given.text("name"),
        given.flag("use_streaming", False), given.flag("use_demo", False), _hooks(given),
    )  # fmt: skip
    for old in ("copy_execution", "copy_children"):
        if given.flag(old, False):
            given.refuse(old, "use tasks.copy, then execute the copy")
    if order.stream and not call.alone:
        given.refuse("use_streaming", "a stream is no part of a batch; send the request alone")
    given.close()
    return order


def _hooks(given: Given) -> tuple[Hook, ...]:
    config = given.raw("webhook_config")
    if config is None:
        return ()
    try:
        return (hook_of_config(config),)
    except ApflowError as error:
        given.refuse("webhook_config", str(error))
        return ()


async def _submitted(call: Call, order: _Order) -> _Begun:
    made = await submit(
        call.store, Written(order.tasks, name=order.name, demo=order.demo),
        owner=call.caller.user, drive=call.server.engine is not None,
        admin=call.caller.sees_all, hooks=order.hooks,
    )  # fmt: skip
    return _Begun(made.id, made.id, 0, "the tasks were created and started")


async def _go_on(call: Call, order: _Order, view: TaskView, tree: TreeView) -> _Begun:
    if tree.is_draft:
        drive = call.server.engine is not None
        await start(call.store, tree.id, drive=drive, demo=order.demo, hooks=order.hooks)
        return _Begun(tree.id, view.id, tree.version, "the tree was started")
    if order.demo:
        reason = "whether a tree is for show is decided when it starts; copy it to show it"
        raise RpcError.of(Code.INVALID_PARAMS, "use_demo", reason)
    return await _again(call, order, view, tree)


async def _again(call: Call, order: _Order, view: TaskView, tree: TreeView) -> _Begun:
    """What failed runs again in place; what has completed or was cancelled has ended for good."""
    call.require(Scope.OPERATE, "task_id")
    whole = view.id == tree.id
    status = tree.status if whole else view.status
    if status == "pending":
        reason = "it never started, since what it requires did not complete; execute that"
        raise RpcError.of(Code.DEPENDENCY_NOT_SATISFIED, "task_id", reason)
    if status != "failed":
        reason = (
            f"it has ended as {status}, which is final here. Copy it by tasks.copy; or run it "
            "again by POST /v1/trees/{id}/rerun."
        )
        raise RpcError.of(Code.INVALID_TRANSITION, "task_id", reason)
    said: dict[str, Any] = {"way": "failed"} if whole else {"way": "from", "tasks": [view.id]}
    async with registered(call.store, tree, order.hooks):
        try:
            await steer(call.store, command_of(call.store, tree.id, "rerun", said))
        except Unanswered as error:
            return _Begun(tree.id, view.id, tree.version, str(error))
    return _Begun(tree.id, view.id, tree.version, "what failed runs again")


def _told(begun: _Begun, tree: TreeView, order: _Order) -> Document:
    answer = _answer(begun.task, tree, success=True, status=tree.status, message=begun.message)
    return answer | ({"webhook_url": order.hooks[0].url} if order.hooks else {})


def _answer(task: str, tree: TreeView, *, success: bool, status: str, message: str) -> Document:
    return {
        "success": success, "protocol": "jsonrpc", "root_task_id": tree.id, "task_id": task,
        "status": status, "message": message,
    }  # fmt: skip
