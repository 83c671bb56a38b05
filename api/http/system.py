"""Is it well, what can it run, and what figures has it."""

import asyncio
import shutil
import time
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from ...domain.errors import ApflowError
from ..documents import Page
from ..wiring import care_of, describe_executor, inventory
from .access import Caller, Needs, Scope
from .answers import Json
from .metrics import TYPE
from .parameters import described

if TYPE_CHECKING:
    from .server import Server

router = APIRouter(tags=["system"])
Reader = Annotated[Caller, Depends(Needs(Scope.READ))]
LEAST_SPACE: Final = 64 << 20
"""Bytes on the store's disk below which it is not ready."""
FRESH: Final = 1.0
"""Seconds for which an answer to that is good."""


@router.get(
    "/livez",
    operation_id="livez",
    summary="Does the process live?",
    responses=described(200, "It does.", "Health", errors=()),
)
async def livez() -> Response:
    """It answers, so it does."""
    return Json({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Does it take work on?",
    responses=described(200, "It does.", "Health", errors=())
    | {503: {
        "description": "It does not; `reasons` only with the scope read.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}},
    }},
)  # fmt: skip
async def readyz(request: Request) -> Response:
    """Can the store be read and written, has its disk space, is the engine whole?"""
    server: Server = request.app.state.server
    reasons = await reasons_against(server)
    found: dict[str, object] = {"status": "degraded" if reasons else "ok"}
    try:
        caller = await server.access.caller(request)
    except ApflowError:  # nobody, or the store cannot tell who
        caller = None
    if caller is not None:
        found["reasons"] = reasons
    return Json(found, 503 if reasons else 200, headers={"Cache-Control": "no-store"})


async def reasons_against(server: "Server") -> list[str]:
    """Why nothing should be sent here; empty where all is well.

    Found out once a second, however many ask: the store is written to, to try.
    """
    if server.stopping.is_set():
        return ["the server is shutting down"]
    now = time.monotonic()
    async with server.looking:
        if server.looked is None or server.looked[0] < now - FRESH:
            server.looked = (time.monotonic(), await _look(server))
        return server.looked[1]


async def _look(server: "Server") -> list[str]:
    reasons = []
    if server.engine is not None and (reason := server.engine.health.degraded):
        reasons.append(reason)
    try:
        reasons += await asyncio.to_thread(_of_store, server)
    except ApflowError as error:
        reasons.append(str(error))
    return reasons


def _of_store(server: "Server") -> list[str]:
    care = care_of(server.store)
    care.probe()
    if care.file is not None:
        free = shutil.disk_usage(care.file.parent).free
        if free < LEAST_SPACE:
            return [f"only {free >> 20} MiB are free beside the store"]
    return []


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Figures for Prometheus",
    responses=described(200, "Text format 0.0.4.", errors=(401, 403, 503), media="text/plain"),
)
async def metrics(request: Request, caller: Reader) -> Response:
    """Of this process, and of the store. They tell what all users do: without the scope admin
    there is only what tells whether the process is well.
    """
    server: Server = request.app.state.server
    found = server.metrics
    text = await asyncio.to_thread(found.text) if caller.sees_all else found.health()
    return Response(text, media_type=TYPE)


@router.get(
    "/v1/executors",
    operation_id="list_executors",
    summary="What tasks can name",
    responses=described(
        200, "All executors of this process.", "ExecutorPage", errors=(401, 403, 503)
    ),
)
async def list_executors(caller: Reader) -> Response:
    """Also those that cannot be used, with the reason."""
    return Json(Page(await asyncio.to_thread(inventory)))


@router.get(
    "/v1/executors/{executor}",
    operation_id="get_executor",
    summary="One executor, with its schema",
    responses=described(
        200, "What it takes and gives.", "Executor", errors=(401, 403, 404, 422, 503)
    ),
)
async def get_executor(
    executor: Annotated[str, Path(max_length=255, description="Its id.")], caller: Reader
) -> Response:
    """With its schemas and examples."""
    return Json(await asyncio.to_thread(describe_executor, executor))
