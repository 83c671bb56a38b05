"""How the webhooks of a tree stand."""

from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from msgspec import Struct
from starlette.responses import Response

from ..documents import Page
from ..wiring.serving import Registered, outbox_of
from .access import Caller, Needs, Scope
from .answers import Json
from .parameters import TreeId, described

if TYPE_CHECKING:
    from .server import Server

router = APIRouter(tags=["webhooks"])


class WebhookState(Struct, frozen=True):
    """A webhook without what may be secret: of its address the origin, none of its headers.

    Up to ``told_version`` the tree's log was looked at for it: what it wants of that was told, or
    given up. ``attempts`` to tell the next event have failed. ``problem`` is the
    last that there was.
    """

    id: str
    origin: str
    events: tuple[str, ...]
    state: Literal["open", "done", "failed"]
    told_version: int
    attempts: int
    problem: str | None


@router.get(
    "/v1/trees/{tree}/webhooks",
    operation_id="list_webhooks",
    summary="See how a tree's webhooks stand",
    responses=described(
        200, "Those that are open, and those that ended within a week.", "WebhookPage"
    ),
)
async def list_webhooks(
    request: Request, tree: TreeId, caller: Annotated[Caller, Depends(Needs(Scope.READ))]
) -> Response:
    """What each was told, and what keeps it from being told more. There is one page only."""
    server: Server = request.app.state.server
    await server.visible_tree(tree, caller)
    found = await server.call(outbox_of(server.store).of, tree)
    return Json(Page([_state_of(each) for each in found], None))


def _state_of(found: Registered) -> WebhookState:
    parts = urlsplit(found.hook.url)
    host = parts.netloc.rpartition("@")[2]
    return WebhookState(
        found.id, f"{parts.scheme}://{host}", found.hook.events, found.state, found.seen,
        found.attempts, found.problem or None,
    )  # fmt: skip
