"""The streams by WebSocket: the same events, in messages."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from ...domain.errors import ApflowError
from . import streams
from .access import Caller
from .hub import Hub, Line, topics_of
from .parameters import TreeId
from .streams import After, Follower, Lines, Types, begin_at, stop, with_beats

if TYPE_CHECKING:
    from .server import Server

router = APIRouter(tags=["streams"])


async def _serve(
    socket: WebSocket, server: "Server", caller: Caller, lines: Lines, ends: Callable[[], None]
) -> None:
    await socket.accept()
    gone = asyncio.ensure_future(_closed(socket))
    sending = asyncio.ensure_future(_push(socket, server, caller, lines))
    try:
        await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and not gone.done():
            with suppress(WebSocketDisconnect):  # it went while we sent
                sending.result()
    except asyncio.CancelledError:
        if not server.stopping.is_set():
            raise
        await stop(sending)
        with suppress(WebSocketDisconnect, RuntimeError):  # uvicorn may have closed it first
            await socket.close(1012, "the server ends; go on elsewhere, or later")
    finally:
        ends()
        await stop(gone, sending)


async def _push(socket: WebSocket, server: "Server", caller: Caller, lines: Lines) -> None:
    async def holds() -> bool:
        return await server.access.holds(caller)

    last = 0
    try:
        async with aclosing(with_beats(lines, holds)) as rounds:
            async for some in rounds:
                async with asyncio.timeout(streams.SLOW):
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
    else:
        await socket.close(1008, "the token does not hold any more")


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
            lines = hub.tree(tree, begin_at(socket, after, 0), topics=topics)
        else:
            begin = begin_at(socket, after, await server.call(server.store.journal.position))
            lines = hub.everything(begin, visible=caller.may_see, topics=topics)
        with server.stream(caller) as ends:
            await _serve(socket, server, caller, lines, ends)
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
