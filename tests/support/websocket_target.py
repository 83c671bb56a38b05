"""A server of WebSockets to be called, in a thread of its own."""

import asyncio
import json
import logging
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

WAMP: Final = Subprotocol("wamp")


class WebsocketTarget:
    """What it was asked, and how it behaves: by the path of the handshake.

    ``/echo`` says what it hears, ``/listen`` nothing, ``/headers`` with which headers it was
    called, ``/count`` says ``{"n": 1}`` and so on for ever, ``/jobs`` reports till it is done,
    ``/bytes`` is binary, ``/binary`` says so what it hears, ``/large`` says too much at once,
    ``/close/CODE`` closes, ``/drop`` breaks off, ``/hang`` holds the connection until it is
    released; ``will`` refuses handshakes.
    """

    def __init__(self) -> None:
        self.url = ""
        self.opened: list[str] = []
        self.heard: list[str | bytes] = []
        self.closed: list[int | None] = []
        self.answers: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.hanging = 0
        self.released = threading.Event()

    def will(self, path: str, status: int, times: int = 1, **headers: str) -> None:
        """Refuse the handshake so, so many times."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(path, []).extend([(status, named)] * times)

    def judge(self, connection: ServerConnection, request: Request) -> Response | None:
        planned = self.answers.get(request.path.partition("?")[0])
        if not planned:
            return None
        status, headers = planned.pop(0)
        response = connection.respond(HTTPStatus(status), "why not\n")
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path = connection.request.path.partition("?")[0]
        self.opened.append(path)
        _, way, *rest = path.split("/")
        try:
            await getattr(self, f"_{way}")(connection, *rest)
            await connection.wait_closed()
        except ConnectionClosed:
            return
        finally:
            self.closed.append(connection.close_code)

    async def _echo(self, connection: ServerConnection) -> None:
        async for message in connection:
            self.heard.append(message)
            await connection.send(message)

    async def _listen(self, connection: ServerConnection) -> None:
        self.heard.extend([message async for message in connection])

    async def _headers(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        found = {name.lower(): value for name, value in connection.request.headers.raw_items()}
        await connection.send(json.dumps(found))

    async def _count(self, connection: ServerConnection, padding: str = "0") -> None:
        n = 0
        while True:
            n += 1
            await connection.send(json.dumps({"n": n, "pad": "x" * int(padding)}))
            await asyncio.sleep(0)  # or nothing is ever read

    async def _jobs(self, connection: ServerConnection) -> None:
        await connection.recv()
        for status in ("queued", "running", "done", "archived"):
            await connection.send(json.dumps({"status": status, "final": status == "done"}))

    async def _bytes(self, connection: ServerConnection) -> None:
        await connection.send(b"\x00\xff")

    async def _binary(self, connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message.encode() if isinstance(message, str) else message)

    async def _large(self, connection: ServerConnection) -> None:
        await connection.send("x" * ((1 << 20) + 1))

    async def _close(self, connection: ServerConnection, code: str) -> None:
        await connection.close(int(code), "because")

    async def _drop(self, connection: ServerConnection) -> None:
        connection.transport.abort()

    async def _hang(self, connection: ServerConnection) -> None:
        self.hanging += 1
        closing = asyncio.ensure_future(connection.wait_closed())
        try:
            while not self.released.is_set() and not closing.done():
                await asyncio.wait([closing], timeout=0.02)
            if not closing.done():
                await connection.send("let go")
        finally:
            self.hanging -= 1
            closing.cancel()


def _selected(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return WAMP if WAMP in offered else None


@contextmanager
def websocket_target(tls: ssl.SSLContext | None = None) -> Iterator[WebsocketTarget]:
    """One on 127.0.0.1, as long as the block lasts."""
    target = WebsocketTarget()
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    silent = logging.getLogger("tests.websocket_target")
    silent.setLevel(logging.CRITICAL + 1)

    async def work() -> None:
        async with serve(
            target.serve, "127.0.0.1", 0, process_request=target.judge, logger=silent, ssl=tls,
            subprotocols=[WAMP], select_subprotocol=_selected, close_timeout=1,
        ) as server:  # fmt: skip
            port = next(iter(server.sockets)).getsockname()[1]
            target.url = f"{'ws' if tls is None else 'wss'}://127.0.0.1:{port}"
            loops.append(asyncio.get_running_loop())
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield target
    finally:
        target.released.set()
        loops[0].call_soon_threadsafe(stop.set)
        thread.join()
