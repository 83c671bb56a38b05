"""Commands on trees that exist, and what became of them."""

import asyncio
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Request
from msgspec import Raw, Struct, UnsetType
from starlette.responses import Response

from ...domain.errors import InvalidInput, NotFound, VersionMismatch
from ...domain.events import SignalReceived
from ...engine.commands import Done
from ...engine.ports import Command
from ..documents import Accepted as Accepted
from ..problems import Unanswered
from ..steering import command_of, outcome, plan, steer
from ..submitting import start
from ..webhooks import WrittenHook, hooks_of
from .access import Caller, Needs, Scope
from .answers import Json
from .bodies import optional
from .parameters import ID_PATTERN, IfMatch, TaskId, TreeId, described

if TYPE_CHECKING:
    from .server import Server

router = APIRouter(tags=["commands"])

Submitter = Annotated[Caller, Depends(Needs(Scope.SUBMIT))]
Operator = Annotated[Caller, Depends(Needs(Scope.OPERATE))]
_ERRORS: Final = (401, 403, 404, 409, 412, 413, 415, 422, 503)
_NEAR: Final = 32  # events of one command, with what follows from it
_TAG = re.compile(r'^(?:W/)?"(\d{1,15})"$')


class Reason(Struct, forbid_unknown_fields=True, frozen=True):
    """Of most commands; it stands in the history."""

    reason: str = ""


class Start(Struct, forbid_unknown_fields=True, frozen=True):
    """``reason`` may be given as with other commands; starting has none in the history.
    ``webhooks`` are told of what happens from here on.
    """

    reason: str = ""
    webhooks: tuple[WrittenHook, ...] = ()


class Rerun(Struct, forbid_unknown_fields=True, frozen=True):
    """``tasks`` are keys or ids, for ``from``. ``dry_run``: only say what would run."""

    mode: Literal["failed", "from", "all"] = "failed"
    tasks: tuple[str, ...] = ()
    reason: str = ""
    dry_run: bool = False


class Signal(Struct, forbid_unknown_fields=True, frozen=True):
    """With an ``id`` it counts once, however often it is sent."""

    name: str
    id: str | None = None
    payload: Raw | UnsetType = msgspec.UNSET


def _route(
    action: str, summary: str, body: str = "Reason", more: dict[int | str, Any] | None = None
) -> dict[str, Any]:
    return {
        "path": f"/v1/trees/{{tree}}/{action}",
        "operation_id": f"{action.rstrip('s')}_tree",
        "summary": summary,
        "status_code": 202,
        "responses": described(
            202, "It is stored; or its engine will carry it out: ask for `command`.", "Accepted",
            errors=_ERRORS, headers=("ETag", "Location"), more=more,
        ),
        "openapi_extra": _body(body),
    }  # fmt: skip


def _body(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": False, "content": content}}


@router.post(**_route("start", "Start a draft", "Start"))
async def start_tree(
    request: Request, tree: TreeId, caller: Submitter, if_match: IfMatch = None
) -> Response:
    """It cannot be changed any more. Starting twice changes nothing."""
    server: Server = request.app.state.server
    body = await optional(request, Start)
    hooks = hooks_of(body.webhooks)
    await server.visible_tree(tree, caller)
    version = await start(
        server.store, tree, drive=server.engine is not None, hooks=hooks,
        if_version=version_of(if_match),
    )  # fmt: skip
    return Json(Accepted(tree, version), 202, etag=version)


@router.post(**_route("cancel", "Cancel a tree"))
async def cancel_tree(
    request: Request, tree: TreeId, caller: Operator, if_match: IfMatch = None
) -> Response:
    """What is pending ends at once, what runs is told to end; what it still reports counts."""
    return await _simple(request, tree, caller, "cancel", if_match)


@router.post(**_route("pause", "Pause a tree"))
async def pause_tree(
    request: Request, tree: TreeId, caller: Operator, if_match: IfMatch = None
) -> Response:
    """Nothing new starts, what runs goes on. It survives a restart."""
    return await _simple(request, tree, caller, "pause", if_match)


@router.post(**_route("unpause", "Let a paused tree go on"))
async def unpause_tree(
    request: Request, tree: TreeId, caller: Operator, if_match: IfMatch = None
) -> Response:
    """Tasks may start again."""
    return await _simple(request, tree, caller, "unpause", if_match)


async def _simple(
    request: Request, tree: str, caller: Caller, name: str, if_match: str | None
) -> Response:
    server: Server = request.app.state.server
    body = await optional(request, Reason)
    await server.visible_tree(tree, caller)
    return await carry_out(server, tree, name, {"reason": body.reason}, if_match)


_PLANNED: Final[dict[int | str, Any]] = {
    200: {
        "description": "With `dry_run`: what would run. Nothing was written.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Plan"}}},
    }
}


@router.post(**_route("rerun", "Run tasks again", "Rerun", more=_PLANNED))
async def rerun_tree(
    request: Request, tree: TreeId, caller: Operator, if_match: IfMatch = None
) -> Response:
    """In place: what failed or was cancelled, or from tasks on, or all. With `dry_run` nothing is
    changed, and the answer (200) lists what would run and what is kept.
    """
    server: Server = request.app.state.server
    body = await optional(request, Rerun)
    view = await server.visible_tree(tree, caller)
    wanted = version_of(if_match)
    if body.dry_run:
        if wanted is not None and wanted != view.version:
            raise VersionMismatch(tree, wanted, view.version)
        found = await plan(server.store, tree, body.mode, body.tasks)
        return Json({"id": tree, "runs": found.runs, "kept": found.kept})
    said = {"way": body.mode, "tasks": list(body.tasks), "reason": body.reason}
    return await carry_out(server, tree, "rerun", said, if_match)


@router.post(**_route("signals", "Signal a tree", "Signal"))
async def signal_tree(
    request: Request, tree: TreeId, caller: Operator, if_match: IfMatch = None
) -> Response:
    """Completes the task that waits for it, now or later; its `payload` is that task's result.

    The same `id` again: the same answer, whatever `If-Match` says; with another `name` or
    `payload` it is refused.
    """
    server: Server = request.app.state.server
    body = await optional(request, Signal)
    await server.visible_tree(tree, caller)
    id = body.id or server.store.new_id()
    said: dict[str, Any] = {"name": body.name, "id": id}
    if not isinstance(body.payload, UnsetType):
        said["payload"] = body.payload
    return await carry_out(server, tree, "signal", said, if_match, signal=id)


_TASK_ROUTE: Final[dict[str, Any]] = {
    "status_code": 202,
    "responses": described(
        202, "It is stored; or its engine will carry it out: ask for `command`.", "Accepted",
        errors=_ERRORS, headers=("ETag", "Location"),
    ),
    "openapi_extra": _body("Reason"),
}  # fmt: skip


@router.post(
    "/v1/tasks/{task}/cancel", operation_id="cancel_task", summary="Cancel a task", **_TASK_ROUTE
)
async def cancel_task(
    request: Request, task: TaskId, caller: Operator, if_match: IfMatch = None
) -> Response:
    """And, of a group, all below it."""
    server: Server = request.app.state.server
    body = await optional(request, Reason)
    view = await server.visible_task(task, caller)
    said = {"task": task, "reason": body.reason}
    return await carry_out(server, view.tree_id, "cancel", said, if_match)


@router.post(
    "/v1/tasks/{task}/rerun", operation_id="rerun_task", summary="Run again from a task",
    **_TASK_ROUTE,
)  # fmt: skip
async def rerun_task(
    request: Request, task: TaskId, caller: Operator, if_match: IfMatch = None
) -> Response:
    """It, and all that depends on it."""
    server: Server = request.app.state.server
    body = await optional(request, Reason)
    view = await server.visible_task(task, caller)
    said = {"way": "from", "tasks": [task], "reason": body.reason}
    return await carry_out(server, view.tree_id, "rerun", said, if_match)


async def carry_out(
    server: "Server",
    tree: str,
    name: str,
    said: dict[str, Any],
    if_match: str | None = None,
    *,
    signal: str | None = None,
) -> Response:
    """202 with the new version, or with where to ask what became of it."""
    command = command_of(server.store, tree, name, said | {"if_version": version_of(if_match)})
    try:
        done = await steer(server.store, command)
    except Unanswered:
        place = f"/v1/commands/{command.id}"
        return Json(Accepted(tree, None, place, signal), 202, headers={"Location": place})
    version = done.version
    if signal is not None:
        version = await asyncio.to_thread(_version_of_signal, server, tree, signal, version)
    return Json(Accepted(tree, version, None, signal), 202, etag=version)


def version_of(if_match: str | None) -> int | None:
    """The version that `If-Match` names. Raises `InvalidInput`."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = _TAG.match(if_match.strip())
    if found is None:
        raise InvalidInput('If-Match takes the ETag of the tree, one version in quotes: "12"')
    return int(found[1])


def _version_of_signal(server: "Server", tree: str, id: str, version: int) -> int:
    """Where a signal stands: one that is sent again is answered the same. A new one is near."""
    history = server.store.reads.history
    for after in (max(version - _NEAR, 0), 0):
        for recorded in history(tree, topics=["signal.received"], limit=100_000, after=after):
            if isinstance(recorded.event, SignalReceived) and recorded.event.id == id:
                return recorded.version
    return version


@router.get(
    "/v1/commands/{command}",
    operation_id="get_command",
    summary="What became of a command",
    responses=described(200, "`state` is open, done or refused.", "CommandState"),
)
async def get_command(
    request: Request,
    command: Annotated[str, Path(pattern=ID_PATTERN, description="The id of a command.")],
    caller: Annotated[Caller, Depends(Needs(Scope.READ))],
) -> Response:
    """Of one that another engine had to carry out. Kept for a day after its end."""
    server: Server = request.app.state.server
    found: tuple[Command, Done | Exception | None] | None = await asyncio.to_thread(
        outcome, server.store, command
    )
    if found is None:
        raise NotFound("command", command)
    asked, came = found
    try:
        await server.visible_tree(asked.tree, caller)
    except NotFound:  # whose tree it is of, is not theirs to know
        raise NotFound("command", command) from None
    told: dict[str, Any] = {
        "id": asked.id, "tree_id": asked.tree, "name": asked.name, "at": asked.at,
        "state": "open", "version": None, "detail": None,
    }  # fmt: skip
    if isinstance(came, Done):
        told |= {"state": "done", "version": came.version}
    elif came is not None:
        told |= {"state": "refused", "detail": str(came)}
    return Json(told)
