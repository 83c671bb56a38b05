"""Single tasks: read, and asked why."""

import asyncio
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ...domain.errors import NotFound
from ..documents import Page, task_in_full
from ..steering import why, why_all
from ..wiring import timeline
from .access import Caller, Needs, Scope
from .answers import Json
from .parameters import NOT_MODIFIED, At, AtVersion, IfNoneMatch, TaskId, TreeId, described
from .trees import CACHED, conditional, past_of

if TYPE_CHECKING:
    from .server import Server

router = APIRouter(tags=["tasks"])
Reader = Annotated[Caller, Depends(Needs(Scope.READ))]


@router.get(
    "/v1/tasks/{task}",
    operation_id="get_task",
    summary="Read a task",
    responses=described(200, "With its result or error, and all attempts.", "Task",
                        headers=("ETag",)) | NOT_MODIFIED,
)  # fmt: skip
async def get_task(
    request: Request,
    task: TaskId,
    caller: Reader,
    at_version: AtVersion = None,
    at: At = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """As it stands, or as it stood. `ETag` is the version of its tree."""
    server: Server = request.app.state.server
    of = (await server.call(server.store.reads.owner_and_tree, [task])).get(task)
    if of is None or not caller.may_see(of[0]):
        raise NotFound("task", task)
    tree = await server.call(server.store.tree, of[1])
    view = await server.visible_task(task, caller)  # behind it: never older than the ETag
    if at_version is None and at is None:
        if answer := conditional(if_none_match, tree.version):
            return answer
        attempts = await asyncio.to_thread(timeline, server.store, tree.id)
        return Json(task_in_full(view, attempts), etag=tree.version, headers=CACHED)
    found = await past_of(server, tree, at_version, at)
    if answer := conditional(if_none_match, found.tree.version):
        return answer
    then = next((one for one in found.tasks if one.id == task), None)
    if then is None:
        raise NotFound("task", task)
    return Json(task_in_full(then, found.attempts), etag=found.tree.version, headers=CACHED)


@router.get(
    "/v1/tasks/{task}/why",
    operation_id="why_task",
    summary="Why a task runs or does not",
    responses=described(200, "The reason, and what belongs to it.", "Why"),
)
async def why_task(request: Request, task: TaskId, caller: Reader) -> Response:
    """A dependency, a limit, a retry's time, a pause, a signal, an executor that is missing, …"""
    server: Server = request.app.state.server
    view = await server.visible_task(task, caller)
    reason = await asyncio.to_thread(why, server.store, task)
    said = {"task_id": view.id, "key": view.key, "status": view.status}
    return Json(said | reason, headers=CACHED)


@router.get(
    "/v1/trees/{tree}/why",
    operation_id="why_tree",
    summary="Why each unfinished task runs or does not",
    responses=described(200, "A reason for each task that has not ended.", "WhyPage"),
)
async def why_tree(request: Request, tree: TreeId, caller: Reader) -> Response:
    """At most 1,000 of them, in the order of their creation."""
    server: Server = request.app.state.server
    await server.visible_tree(tree, caller)
    found = await asyncio.to_thread(why_all, server.store, tree, 1_000)
    items = [
        {"task_id": view.id, "key": view.key, "status": view.status, **reason}
        for view, reason in found
    ]
    return Json(Page(items, None), headers=CACHED)
