"""The addresses: one body with one request or a batch, one answer."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Request
from msgspec import Raw, UnsetType
from starlette.responses import Response

from ...domain.errors import ApflowError, InvalidInput
from ..http.access import Caller, Needs, Scope
from ..http.answers import Json, log, trace_of
from ..http.bodies import TooLarge, json_body
from ..http.boundary import MAX_TREE
from ..http.parameters import Prefer, described
from ..http.waiting import wait_of
from .calls import Call, Spent
from .described import BODY, METHOD_LIST, answers
from .envelope import LARGE as BIG
from .envelope import NULL, Invalid, Received, encoded, failure, parse, result
from .envelope import Request as Asked
from .errors import Code, RpcError, told
from .executing import Followed
from .methods import ABSENT, ALL, METHODS, SYSTEM, TASKS, Face
from .streaming import stream

if TYPE_CHECKING:
    from ..http.server import Server

router = APIRouter(tags=["json-rpc"])
Reader = Annotated[Caller, Depends(Needs(Scope.READ))]
LARGE: Final = frozenset({"/tasks", "/"})
"""Paths whose bodies may be as large as a tree."""
FEW: Final = 64 * 1024
"""Bytes that are read in the loop's own thread."""
DEFECT: Final = "a defect of this server; its log has more under"
MAX_ANSWERS: Final = 16 << 20
"""Bytes of answers in a batch, behind which nothing more is carried out that is answered."""


@router.post(
    "/tasks", operation_id="rpc_tasks", summary="JSON-RPC 2.0: tasks", responses=answers(),
    openapi_extra=BODY,
)  # fmt: skip
async def rpc_tasks(request: Request, caller: Reader, prefer: Prefer = None) -> Response:
    """The methods `tasks.*`, which `GET /tasks/methods` lists.

    One request or a batch of at most 100. Errors of JSON-RPC come with HTTP 200; where there is
    nothing to be answered: 204. `tasks.execute` and `tasks.cancel` wait as `Prefer` says.
    """
    return await serve(request, caller, TASKS, prefer)


@router.post(
    "/system", operation_id="rpc_system", summary="JSON-RPC 2.0: system", responses=answers(),
    openapi_extra=BODY,
)  # fmt: skip
async def rpc_system(request: Request, caller: Reader, prefer: Prefer = None) -> Response:
    """The methods `system.health` and `system.executors`."""
    return await serve(request, caller, SYSTEM, prefer)


@router.post(
    "/", operation_id="rpc_root", summary="JSON-RPC 2.0: all methods", responses=answers(),
    openapi_extra=BODY,
)  # fmt: skip
async def rpc_root(request: Request, caller: Reader, prefer: Prefer = None) -> Response:
    """What `/tasks` and `/system` offer, at one address."""
    return await serve(request, caller, ALL, prefer)


@router.get(
    "/tasks/methods", operation_id="rpc_methods", summary="All methods of JSON-RPC",
    responses=described(200, "By name.", errors=(401, 403, 503)) | METHOD_LIST,
)  # fmt: skip
async def rpc_methods(caller: Reader) -> Response:
    """With the scope that each needs; and those of the old system that there are not, with why."""
    return Json(
        {
            "methods": [
                {"name": name, "scope": each.scope.name.lower(), "about": each.about}
                for name, each in METHODS.items()
            ],
            "absent": [{"name": name, "reason": reason} for name, reason in ABSENT.items()],
        }
    )


async def serve(request: Request, caller: Caller, face: Face, prefer: str | None) -> Response:
    """Carry out what the body asks, in its order."""
    server: Server = request.app.state.server
    try:
        received = await _received(request, caller)
    except RpcError as error:
        return Json(failure(NULL, error))
    wait = wait_of(prefer)
    with server.waiting(caller, wait):
        found = await _answers(server, caller, face, received, wait, trace_of(request))
    if isinstance(found, Response):
        return found
    if not found:
        return Response(status_code=204)
    return Json(found if received.is_batch else found[0])


async def _answers(
    server: "Server", caller: Caller, face: Face, received: Received, wait: float, trace: str
) -> Response | list[Raw]:
    """In the order asked; or a stream."""
    until = asyncio.get_running_loop().time() + wait
    found: list[Raw] = []
    size, spent = 0, Spent()
    for item in received.items:
        if size > MAX_ANSWERS and not (isinstance(item, Asked) and item.is_notification):
            found.append(_left_out(item))
            continue
        alone = not received.is_batch
        answer = await _answer(
            server, caller, face, item, until, trace, alone=alone, spent=spent
        )  # fmt: skip
        if isinstance(answer, Response):
            return answer
        if answer is not None:
            found.append(answer)
            size += len(memoryview(answer))
    return found


def _left_out(item: Asked | Invalid) -> Raw:
    reason = f"the answers before it have {MAX_ANSWERS >> 20} MiB already; send it in another batch"
    id = NULL if isinstance(item.id, UnsetType) else item.id
    return Raw(encoded(failure(id, RpcError.of(Code.INVALID_REQUEST, "", reason))))


async def _received(request: Request, caller: Caller) -> Received:
    """Raises `RpcError`, and `NotJson` where the header says that it is something else."""
    most = BIG if caller.scope < Scope.SUBMIT else MAX_TREE  # looked at before it is in memory
    try:
        body = await json_body(request, most)
    except TooLarge as error:
        reason = f"bodies over {BIG >> 20} MiB are for those who may submit"
        raise RpcError.of(Code.UNAUTHORIZED, "", reason) from error
    except InvalidInput as error:
        raise RpcError.of(Code.PARSE_ERROR, "", str(error)) from error
    return parse(body) if len(body) <= FEW else await asyncio.to_thread(parse, body)


async def _answer(
    server: "Server",
    caller: Caller,
    face: Face,
    item: Asked | Invalid,
    until: float,
    trace: str,
    *,
    alone: bool,
    spent: Spent,
) -> Response | Raw | None:
    """JSON, or a stream; None for a notification. A defect fails this call, not its batch."""
    if isinstance(item, Invalid):
        return Raw(encoded(failure(item.id, item.error)))
    id = NULL if isinstance(item.id, UnsetType) else item.id
    alone = alone and not item.is_notification
    call = Call(server, caller, item.params, until=until, alone=alone, spent=spent)
    try:
        method = face.find(item.method)
        call.require(method.scope)
        value = await method.perform(call)
        answer = b"" if isinstance(value, Followed) else encoded(result(id, value))
    except ApflowError as error:
        answer = encoded(failure(id, told(error)))
    except Exception:  # noqa: BLE001 - others of the batch are carried out, and to be answered
        log.exception("JSON-RPC %s failed (trace %s)", item.method, trace)
        answer = encoded(failure(id, RpcError.of(Code.INTERNAL_ERROR, "", f"{DEFECT} {trace}")))
    else:
        if isinstance(value, Followed):
            return stream(server, caller, id, value)
    return None if item.is_notification else Raw(answer)
