"""What happened: the history of a tree."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from ...domain.events import Recorded
from ...projections.views import TreeView
from ..documents import Page, event_document
from .access import Caller, Needs, Scope
from .answers import Json
from .hub import topics_of
from .parameters import DATE_TIME, Limit, TreeId, described
from .trees import CACHED, link_to_next, past_of
from .waiting import MAX_WAIT

if TYPE_CHECKING:
    from .server import Server

router = APIRouter(tags=["events"])

LARGEST = 2**53
Until = Annotated[
    str | None,
    Query(
        max_length=40,
        description="Nothing behind this time (RFC 3339).",
        json_schema_extra=DATE_TIME,
    ),
]


@router.get(
    "/v1/trees/{tree}/events",
    operation_id="list_events",
    summary="Read the history of a tree",
    responses=described(200, "Without a gap.", "EventPage", headers=("ETag", "Link")),
)
async def list_events(
    request: Request,
    tree: TreeId,
    caller: Annotated[Caller, Depends(Needs(Scope.READ))],
    after: Annotated[
        int | None,
        Query(ge=0, le=LARGEST, description="After this version; with `order=desc` before it."),
    ] = None,
    types: Annotated[
        str | None, Query(max_length=2_000, description="Only these: `task.completed,tree.*`")
    ] = None,
    order: Annotated[Literal["asc", "desc"], Query(description="Oldest or newest first.")] = "asc",
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT, description="Wait so many seconds if there is none yet.")
    ] = 0.0,
    at_version: Annotated[
        int | None, Query(ge=1, le=LARGEST, description="Nothing behind this version.")
    ] = None,
    at: Until = None,
    limit: Limit = 100,
) -> Response:
    """Each event has a `version`, dense from 1 in its tree, and a `position` in the whole store.

    `next` is the `after` of the next page. On the last page it is null: ask again, with the last
    version that you have as `after`, and `wait`.
    """
    server: Server = request.app.state.server
    view = await server.visible_tree(tree, caller)
    topics = topics_of(types)
    end = None
    if at_version is not None or at is not None:
        end = (await past_of(server, view, at_version, at)).tree.version + 1
    down = order == "desc"
    wanted: dict[str, Any] = {
        "after": 0 if down or after is None else after,
        "before": min((v for v in (end, after if down else None) if v is not None), default=None),
        "topics": None if topics is None else sorted(topics),
        "limit": limit + 1,
        "descending": down,
    }
    patience = 0.0 if down or end is not None else wait
    with server.waiting(caller, patience):
        version, found = await _read(server, view, wanted, patience)
    version = max([version, *(recorded.version for recorded in found)])
    more, found = len(found) > limit, found[:limit]
    cursor = str(found[-1].version) if more else None
    items = [event_document(recorded) for recorded in found]
    headers = CACHED | link_to_next(request, cursor)
    return Json(Page(items, cursor), etag=version, headers=headers)


async def _read(
    server: "Server", view: TreeView, wanted: dict[str, Any], wait: float
) -> tuple[int, list[Recorded]]:
    """What there is, or comes, and a version that the tree had by then."""
    tree = view.id

    def read() -> list[Recorded]:
        return list(server.store.reads.history(tree, **wanted))

    found = await asyncio.to_thread(read)
    if found or not wait:
        return view.version, found
    stopping = asyncio.ensure_future(server.stopping.wait())
    coming = asyncio.ensure_future(_first(server, tree, wanted))
    await asyncio.wait({stopping, coming}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
    for task in (stopping, coming):
        task.cancel()
    await asyncio.wait({stopping, coming})
    version = (await server.call(server.store.tree, tree)).version
    return version, await asyncio.to_thread(read)


async def _first(server: "Server", tree: str, wanted: dict[str, Any]) -> None:
    lines = server.hub.tree(tree, wanted["after"], topics=wanted["topics"])
    try:
        await anext(lines)
    finally:
        await lines.aclose()
