"""Live streams: server-sent events (HTML, section 9.2). `sockets` gives the same by WebSocket."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from ...domain.errors import InvalidInput
from .access import Caller, Needs, Scope
from .answers import Json
from .hub import Line, topics_of
from .parameters import TreeId, described

if TYPE_CHECKING:
    from .server import Server

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent."""
CHECK: Final = 10.0
"""Seconds between two looks whether the follower's token still holds."""
SLOW: Final = 10.0
"""A reader that takes nothing for so many seconds is dropped."""
LAST_WORDS: Final = 0.05
"""Seconds in which a stream can be ended in the ordinary way."""
RETRY: Final = b"retry: 1000\n\n"
BEAT: Final = b": still here\n\n"

router = APIRouter(tags=["streams"])

Follower = Annotated[Caller, Depends(Needs(Scope.READ, ticket=True))]
"""Or who has a ticket."""

After = Annotated[
    int | None, Query(ge=0, le=2**62, description="Begin after this `id`, as Last-Event-ID does.")
]
Types = Annotated[
    str | None,
    Query(max_length=2_000, description="Only these events: `task.completed,tree.*`"),
]
Lines = AsyncGenerator[Sequence[Line], None]


class EventStream(Response):
    """Sends lines as they come, until they end, or the client goes, or is too slow for too long."""

    media_type = "text/event-stream"

    def __init__(self, server: "Server", caller: Caller, lines: Lines) -> None:
        self.background = None
        self.status_code = 200
        self.body = b""
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._server = server
        self._caller = caller
        self._lines = lines

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """See ASGI 3."""
        with self._server.stream(self._caller) as ends:
            gone = asyncio.ensure_future(_gone(receive))
            sending = asyncio.ensure_future(self._send(scope, send))
            try:
                await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    await sending
            except asyncio.CancelledError:
                if not self._server.stopping.is_set():
                    raise
                await stop(sending)
                await _end(scope, send, b"")
            finally:
                ends()
                await stop(gone, sending)

    async def _send(self, scope: ASGIScope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": RETRY, "more_body": True})
        last = 0
        try:
            async with aclosing(with_beats(self._lines, self._holds)) as rounds:
                async for lines in rounds:
                    body = b"".join(map(self.frame, lines)) if lines else BEAT
                    async with asyncio.timeout(SLOW):
                        await send({"type": "http.response.body", "body": body, "more_body": True})
                    last = lines[-1].mark if lines else last
        except TimeoutError:  # what is not taken is not kept: a hint where to go on
            await _end(scope, send, b'event: dropped\ndata: {"after":%d}\n\n' % last)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _holds(self) -> bool:
        return await self._server.access.holds(self._caller)

    def frame(self, line: Line) -> bytes:
        """One event as it is sent."""
        return b"id: %d\nevent: %b\ndata: %b\n\n" % (line.mark, line.topic.encode(), line.data)


async def _end(scope: ASGIScope, send: Send, body: bytes) -> None:
    """The last of a stream, if need be behind what its reader has not taken yet."""
    try:
        async with asyncio.timeout(LAST_WORDS):
            await send({"type": "http.response.body", "body": body, "more_body": False})
    except TimeoutError:
        if (say := scope.get("apflow.last_words")) is not None:
            say(body)


async def stop(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel them, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def with_beats(lines: Lines, holds: Callable[[], Awaitable[bool]]) -> Lines:
    """An empty round after each `HEARTBEAT` of silence; ends when the follower's token ``holds``
    no longer, which is looked at every `CHECK`.
    """
    following = asyncio.ensure_future(anext(lines))
    told = checked = time.monotonic()
    try:
        while True:
            left = min(told + HEARTBEAT, checked + CHECK) - time.monotonic()
            done, _ = await asyncio.wait({following}, timeout=max(0.0, left))
            if time.monotonic() >= checked + CHECK:
                if not await holds():
                    return
                checked = time.monotonic()
            if done:
                try:
                    some = following.result()
                except StopAsyncIteration:
                    return
                yield some
                following = asyncio.ensure_future(anext(lines))
                told = time.monotonic()
            elif time.monotonic() >= told + HEARTBEAT:
                yield ()
                told = time.monotonic()
    finally:
        following.cancel()
        await asyncio.wait({following})
        await lines.aclose()


def begin_at(connection: Any, after: int | None, now: int) -> int:
    """Where to begin: the header of a reconnect counts more than the address; else ``now``."""
    said = connection.headers.get("last-event-id")
    if said is None or said == "":
        return now if after is None else after
    if not said.isascii() or not said.isdigit() or len(said) > 18:
        raise InvalidInput("Last-Event-ID is the `id` of the last event that you have seen")
    return int(said)


_STREAM = described(
    200, "Events as they are committed, each with its number as `id`.", media="text/event-stream"
)


@router.get(
    "/v1/trees/{tree}/stream",
    operation_id="stream_tree",
    summary="Follow a tree",
    responses=_STREAM,
)
async def stream_tree(
    request: Request,
    tree: TreeId,
    caller: Follower,
    after: After = None,
    types: Types = None,
) -> Response:
    """All events of a tree from the first, or from after `after`, then what comes.

    The `id` of each is its version: dense from 1. Reconnect with `Last-Event-ID` to go on without
    a gap or a repetition, whatever was restarted. A comment comes every 15 s of silence; who takes
    nothing for 10 s is dropped. It ends when the token is revoked or expires.
    """
    server: Server = request.app.state.server
    await server.visible_tree(tree, caller)
    begin = begin_at(request, after, 0)
    return EventStream(server, caller, server.hub.tree(tree, begin, topics=topics_of(types)))


@router.get("/v1/stream", operation_id="stream_all", summary="Follow all trees", responses=_STREAM)
async def stream_all(
    request: Request,
    caller: Follower,
    after: After = None,
    types: Types = None,
) -> Response:
    """Events of all trees that you may see, from now on, or from after `after`.

    The `id` of each is its position in the store: it rises, but is not dense.
    """
    server: Server = request.app.state.server
    begin = begin_at(request, after, await server.call(server.store.journal.position))
    topics = topics_of(types)
    lines = server.hub.everything(begin, visible=caller.may_see, topics=topics)
    return EventStream(server, caller, lines)


@router.post(
    "/v1/stream-tickets",
    operation_id="create_stream_ticket",
    summary="A ticket for one stream",
    status_code=201,
    responses=described(201, "Use it once, within 30 s: `…/stream?ticket=…`", "StreamTicket"),
)
async def ticket(
    request: Request, caller: Annotated[Caller, Depends(Needs(Scope.READ))]
) -> Response:
    """Browsers send no token with a stream, and a token must not stand in an address."""
    made = request.app.state.server.access.ticket(caller)
    return Json({"ticket": made, "expires_in": 30}, 201, headers={"Cache-Control": "no-store"})
