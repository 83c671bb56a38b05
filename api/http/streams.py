"""Live streams: server-sent events (HTML, section 9.2) and the same over WebSocket."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, WebSocket
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope
from starlette.websockets import WebSocketDisconnect, WebSocketState

from ...domain.errors import ApflowError, InvalidInput
from .access import Caller, Needs, Scope
from .answers import Json
from .hub import Hub, Line, topics_of
from .parameters import TreeId, described

if TYPE_CHECKING:
    from .server import Server

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent."""
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
        with self._server.stream(self._caller):
            gone = asyncio.ensure_future(_gone(receive))
            sending = asyncio.ensure_future(self._send(scope, send))
            try:
                await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    await sending
            except asyncio.CancelledError:
                if not self._server.stopping.is_set():
                    raise
                await _stop(sending)
                await _end(scope, send, b"")
            finally:
                await _stop(gone, sending)

    async def _send(self, scope: ASGIScope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": RETRY, "more_body": True})
        last = 0
        try:
            async with aclosing(_with_beats(self._lines)) as rounds:
                async for lines in rounds:
                    body = b"".join(map(self.frame, lines)) if lines else BEAT
                    async with asyncio.timeout(SLOW):
                        await send({"type": "http.response.body", "body": body, "more_body": True})
                    last = lines[-1].mark if lines else last
        except TimeoutError:  # what is not taken is not kept: a hint where to go on
            await _end(scope, send, b'event: dropped\ndata: {"after":%d}\n\n' % last)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

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


async def _stop(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _with_beats(lines: Lines) -> Lines:
    """An empty round after each `HEARTBEAT` of silence."""
    following = asyncio.ensure_future(anext(lines))
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=HEARTBEAT)
            if not done:
                yield ()
                continue
            try:
                some = following.result()
            except StopAsyncIteration:
                return
            yield some
            following = asyncio.ensure_future(anext(lines))
    finally:
        following.cancel()
        await asyncio.wait({following})
        await lines.aclose()


def _after(connection: Any, after: int | None, now: int) -> int:
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
    nothing for 10 s is dropped.
    """
    server: Server = request.app.state.server
    await server.visible_tree(tree, caller)
    begin = _after(request, after, 0)
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
    begin = _after(request, after, await server.call(server.store.journal.position))
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


# -- the same by WebSocket


async def _serve(socket: WebSocket, server: "Server", caller: Caller, lines: Lines) -> None:
    await socket.accept()
    gone = asyncio.ensure_future(_closed(socket))
    sending = asyncio.ensure_future(_push(socket, lines))
    try:
        await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and not gone.done():
            with suppress(WebSocketDisconnect):  # it went while we sent
                sending.result()
    except asyncio.CancelledError:
        if not server.stopping.is_set():
            raise
        await _stop(sending)
        with suppress(WebSocketDisconnect, RuntimeError):  # uvicorn may have closed it first
            await socket.close(1012, "the server ends; go on elsewhere, or later")
    finally:
        await _stop(gone, sending)


async def _push(socket: WebSocket, lines: Lines) -> None:
    last = 0
    try:
        async with aclosing(_with_beats(lines)) as rounds:
            async for some in rounds:
                async with asyncio.timeout(SLOW):
                    for line in some:
                        await socket.send_text(_message(line))
                        last = line.mark
                    if not some:
                        await socket.send_text('{"type":"heartbeat"}')
    except TimeoutError:
        hint = f"too slow; go on with after={last}"
        if (say := socket.scope.get("apflow.last_words")) is not None:
            say(1013, hint)
        else:
            await socket.close(1013, hint)


def _message(line: Line) -> str:
    return f'{{"id":{line.mark},"event":{line.data.decode()}}}'


async def _closed(socket: WebSocket) -> None:
    """Nothing is expected from the client; what it sends is dropped."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _follow_by_socket(
    socket: WebSocket, caller: Caller, tree: str | None, after: int | None, types: str | None
) -> None:
    server: Server = socket.app.state.server
    hub: Hub = server.hub
    try:
        topics = topics_of(types)
        if tree is not None:
            await server.visible_tree(tree, caller)
            lines = hub.tree(tree, _after(socket, after, 0), topics=topics)
        else:
            begin = _after(socket, after, await server.call(server.store.journal.position))
            lines = hub.everything(begin, visible=caller.may_see, topics=topics)
        with server.stream(caller):
            await _serve(socket, server, caller, lines)
    except ApflowError as error:
        if socket.application_state is WebSocketState.CONNECTING:
            raise  # it is refused by a problem document, as elsewhere
        await socket.close(1011, str(error)[:120])


@router.websocket("/v1/trees/{tree}/ws")
async def tree_by_socket(
    socket: WebSocket,
    tree: TreeId,
    caller: Follower,
    after: After = None,
    types: Types = None,
) -> None:
    """`stream_tree` by WebSocket: a message ``{"id", "event"}`` for each event."""
    await _follow_by_socket(socket, caller, tree, after, types)


@router.websocket("/v1/ws")
async def all_by_socket(
    socket: WebSocket,
    caller: Follower,
    after: After = None,
    types: Types = None,
) -> None:
    """`stream_all` by WebSocket."""
    await _follow_by_socket(socket, caller, None, after, types)
