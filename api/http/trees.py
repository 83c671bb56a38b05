"""Trees: submitted, listed, read as they stand or stood."""

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from ...domain.errors import InvalidInput
from ...projections.views import TaskView, TreeView
from ..documents import Page, TreeDocument, task_document, tree_document
from ..submitting import Submitted, submit, understood
from ..times import instant
from ..wiring.serving import Past
from ..wiring.serving import past as past_in
from .access import Caller, Needs, Scope
from .answers import Json
from .bodies import json_body
from .boundary import MAX_TREE
from .idempotency import once
from .paging import bitten, stepwise
from .parameters import (
    ID_PATTERN,
    NOT_MODIFIED,
    At,
    AtVersion,
    IdempotencyKey,
    IfNoneMatch,
    Limit,
    Prefer,
    Since,
    TreeId,
    Until,
    described,
)
from .waiting import settled_within, wait_of

if TYPE_CHECKING:
    from .server import Server

router = APIRouter(tags=["trees"])

Reader = Annotated[Caller, Depends(Needs(Scope.READ))]
Submitter = Annotated[Caller, Depends(Needs(Scope.SUBMIT))]
Status = Literal["pending", "in_progress", "completed", "failed", "cancelled"]
Beginning = Annotated[
    str | None,
    Query(pattern=ID_PATTERN, description="Whose ids begin so, by id; else only `limit` counts."),
]
LIKE: Final = 1_000
"""So many ids of a common beginning are looked at for one's own."""


@router.post(
    "/v1/trees",
    operation_id="submit_tree",
    summary="Submit a tree",
    status_code=202,
    responses=described(
        202, "It is stored, and started unless `start` is false.", "Submitted",
        errors=(401, 403, 409, 413, 415, 422, 429, 503), headers=("Location", "ETag"),
        more={200: {
            "description": "With `Prefer: wait`: the tree as it stands then.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tree"}}},
        }},
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewTree"}}},
        }
    },
)  # fmt: skip
async def submit_tree(
    request: Request,
    caller: Submitter,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """An array of tasks, a task with `children`, or an object with `tasks`, `name`, `limit`.

    All faults are told at once, and then nothing is stored. It is durable when this answers. Send
    an `Idempotency-Key` to be able to send it again after a lost answer.
    """
    server: Server = request.app.state.server
    body = await json_body(request, MAX_TREE)
    wait = wait_of(prefer)
    written, made = await understood(body, caller.user, idempotency_key)
    drive = server.engine is not None

    async def submitting() -> Submitted:
        return await submit(
            server.store, written, owner=caller.user, request=made, drive=drive,
            admin=caller.sees_all,
        )  # fmt: skip

    with server.waiting(caller, wait):  # refused before anything is stored
        done = await once(server, made, submitting)
        location = {"Location": f"/v1/trees/{done.id}"}
        if wait and not done.draft:
            view = await settled_within(server, done.id, wait)
            return Json(tree_document(view), 200, etag=view.version, headers=location)
    return Json(done, 202, etag=done.version, headers=location)


@router.get(
    "/v1/trees",
    operation_id="list_trees",
    summary="List trees",
    responses=described(
        200, "Newest first.", "TreePage", errors=(401, 403, 422, 503), headers=("Link",)
    ),
)
async def list_trees(
    request: Request,
    caller: Reader,
    status: Annotated[Status | None, Query(description="In this state.")] = None,
    user: Annotated[
        str | None, Query(max_length=255, description="Of this owner; for admins.")
    ] = None,
    name: Annotated[str | None, Query(max_length=255, description="Names that hold this.")] = None,
    executor: Annotated[
        str | None, Query(max_length=255, description="With a task for this executor.")
    ] = None,
    error: Annotated[
        str | None, Query(max_length=255, description="A task failed with this type of error.")
    ] = None,
    since: Since = None,
    until: Until = None,
    draft: Annotated[bool, Query(description="Only what was not submitted.")] = False,
    id_prefix: Beginning = None,
    after: Annotated[
        str | None,
        Query(max_length=18, pattern=r"^[0-9]+$", description="`next` of the last page."),
    ] = None,
    limit: Limit = 20,
) -> Response:
    """A page of trees; `next`, also as a `Link`, leads to the one after it."""
    server: Server = request.app.state.server
    if id_prefix is not None:
        others = (status, user, name, executor, error, since, until, after)
        if draft or any(each is not None for each in others):
            raise InvalidInput("id_prefix is looked up by itself; leave out all filters but limit")
        own = await asyncio.to_thread(_beginning, server, id_prefix, caller, limit)
        return Json(Page(own, None))
    wanted = {
        "status": status, "owner": user if caller.sees_all else caller.user, "name": name,
        "executor": executor, "error": error, "phase": "draft" if draft else None,
        "since": instant(since), "until": instant(until),
        "before": None if after is None else int(after), "limit": limit + 1,
    }  # fmt: skip
    if not caller.sees_all and user not in (None, caller.user):
        return Json(Page([], None))
    dear = executor is not None or error is not None or name is not None
    call = asyncio.to_thread if dear else server.call
    found = await call(lambda: server.store.reads.trees(**wanted))  # type: ignore[arg-type]
    more, found = len(found) > limit, found[:limit]
    cursor = str(found[-1].num) if more else None
    headers = link_to_next(request, cursor)
    return Json(Page([tree_document(view) for view in found], cursor), headers=headers)


def _beginning(server: "Server", prefix: str, caller: Caller, limit: int) -> list[TreeDocument]:
    """Those that the caller may see; of others' no more than `LIKE` stand between. Blocking."""
    reads = server.store.reads
    ids = reads.ids_like(prefix, limit if caller.sees_all else LIKE)
    views = filter(None, map(reads.tree, ids))
    own = (tree_document(view) for view in views if caller.may_see(view.user_id))
    return list(islice(own, limit))


@router.get(
    "/v1/trees/{tree}",
    operation_id="get_tree",
    summary="Read a tree",
    responses=described(200, "The tree, without its tasks.", "Tree", headers=("ETag",))
    | NOT_MODIFIED,
)
async def get_tree(
    request: Request,
    tree: TreeId,
    caller: Reader,
    at_version: AtVersion = None,
    at: At = None,
    prefer: Prefer = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """As it stands, or as it stood. With `Prefer: wait=10` once it has settled, or after 10 s."""
    server: Server = request.app.state.server
    view = await server.visible_tree(tree, caller)
    if at_version is not None or at is not None:
        view = (await past_of(server, view, at_version, at)).tree
    elif (wait := wait_of(prefer)) and view.phase == "submitted":
        with server.waiting(caller, wait):
            view = await settled_within(server, tree, wait)
    return conditional(if_none_match, view.version) or Json(
        tree_document(view), etag=view.version, headers=CACHED
    )


CACHED: Final = {"Cache-Control": "private, no-cache"}


def link_to_next(request: Request, cursor: str | None) -> dict[str, str]:
    """The header that leads to the next page (RFC 8288); nothing at the end."""
    if cursor is None:
        return {}
    query = [(k, v) for k, v in request.query_params.multi_items() if k != "after"]
    place = f"{request.url.path}?{urlencode([*query, ('after', cursor)])}"
    return {"Link": f'<{place}>; rel="next"'}


def conditional(if_none_match: str | None, version: int) -> Response | None:
    """304 where the client has this version (RFC 9110, section 13.1.2)."""
    if if_none_match is None:
        return None
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    if f'"{version}"' not in tags and tags != {"*"}:
        return None
    return Response(status_code=304, headers={"ETag": f'"{version}"', **CACHED})


async def past_of(server: "Server", view: TreeView, at_version: int | None, at: str | None) -> Past:
    """The tree as it stood. Raises `InvalidInput`, `NotFound`."""
    if at_version is not None and at is not None:
        raise InvalidInput("give `at_version` or `at`, not both")
    return await asyncio.to_thread(
        past_in, server.store, view.id, version=at_version, at=instant(at)
    )


@router.get(
    "/v1/trees/{tree}/tasks",
    operation_id="list_tasks",
    summary="List the tasks of a tree",
    responses=described(
        200, "In the order of their creation.", "TaskPage", headers=("ETag", "Link")
    )
    | NOT_MODIFIED,
)
async def list_tasks(
    request: Request,
    tree: TreeId,
    caller: Reader,
    status: Annotated[Status | None, Query(description="In this state.")] = None,
    at_version: AtVersion = None,
    at: At = None,
    after: Annotated[
        int | None, Query(ge=0, le=2**31, description="`next` of the last page.")
    ] = None,
    limit: Limit = 100,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """As they stand, or stood, with results and errors. `ETag` is the version of the tree. A page
    ends at about 16 MiB, whatever the limit: go on by `next`.
    """
    server: Server = request.app.state.server
    tasks = server.store.reads.tasks
    view = await server.visible_tree(tree, caller)
    past = at_version is not None or at is not None
    then = await past_of(server, view, at_version, at) if past else None
    view = view if then is None else then.tree
    if answer := conditional(if_none_match, view.version):
        return answer

    def some(after: int | None, most: int) -> Sequence[TaskView]:
        return tasks(tree, after=after, limit=most, status=status)

    def chosen() -> tuple[list[TaskView], bool]:
        if then is None:
            return bitten(stepwise(some, after, limit + 1), limit)
        begin = -1 if after is None else after
        return bitten((t for t in then.tasks if t.n > begin and status in (None, t.status)), limit)

    wanted, more = await asyncio.to_thread(chosen)
    cursor = str(wanted[-1].n) if more else None
    headers = CACHED | link_to_next(request, cursor)
    page = Page([task_document(task) for task in wanted], cursor)
    return Json(page, etag=view.version, headers=headers)
