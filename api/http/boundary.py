"""What every request passes before anything else: Host, Origin, encoding, size, time."""

import asyncio
import ipaddress
from collections.abc import Collection
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .answers import ProblemResponse, told, trace_of

if TYPE_CHECKING:
    from .server import Server

MAX_BODY: Final = 1 << 20
MAX_TREE: Final = 64 << 20
"""Bytes of a body, and of one that brings a tree."""
BODY_SECONDS: Final = 30.0
"""A body may stand still for so long between two of its parts."""
BODY_RATE: Final = 4_096
"""Bytes a second that it has to come with, beyond that."""
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
HARDENED: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Boundary:
    """ASGI middleware. ``hosts`` are the names that this server goes by, without port.

    A page in somebody's browser can reach us only by a name of ours (else DNS rebinding), and
    can change nothing from another origin. ``trees`` are the paths whose bodies may be large.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], trees: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._trees = frozenset(trees)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(scope, receive, send, *refusal)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        limit = MAX_TREE if scope["path"] in self._trees else MAX_BODY
        if int(headers.get("content-length", "0")) > limit:
            await _refuse(scope, receive, send, 413, _too_large(limit))
            return
        server = getattr(scope["app"].state, "server", None) if "app" in scope else None
        body = _Body(receive, limit, server)
        try:
            await self._app(scope, body.receive, _hardened(send, body))
        except _Refused as error:
            if body.answered:
                raise
            await _refuse(scope, receive, send, error.status, str(error))

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if len(headers.getlist("host")) != 1 or not self._is_ours(headers["host"]):
            return 421, (
                "this server does not go by the name in the Host header. Use its own, or start it "
                "with --allow-host."
            )
        origin = headers.get("origin")
        unsafe = scope["type"] == "websocket" or scope["method"] not in SAFE
        if origin is not None and unsafe and not self._is_own_origin(origin, headers["host"]):
            return 403, "requests from pages of another origin are refused"
        if headers.get("content-encoding", "identity").lower() != "identity":
            return 415, "send the body as it is, without Content-Encoding"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or len(length) > 18:
            return 400, "Content-Length is not a number"
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name is not None and name.lower().rstrip(".") in self._hosts

    def _is_own_origin(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
            return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
        except ValueError:
            return False


def names_of(host: str, more: Collection[str]) -> set[str]:
    """The names by which a server that listens on ``host`` may be called."""
    names = {"localhost", "127.0.0.1", "::1", *more}
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            names.add(host)
    except ValueError:
        names.add(host)
    return names


class _Refused(Exception):
    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        super().__init__(detail)


class _Body:
    """Counts what comes, and waits for it only so long."""

    def __init__(self, receive: Receive, limit: int, server: "Server | None") -> None:
        self._receive = receive
        self._server = server
        self._limit = limit
        self._size = 0
        self._over = False
        self._left = BODY_SECONDS
        self.answered = False

    async def receive(self) -> Message:
        if self._over:  # what follows is the end of the connection, which may take its time
            return await self._receive()
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._left) as limit:
                with nullcontext() if self._server is None else self._server.body(limit):
                    message = await self._receive()
        except TimeoutError:
            if self._server is not None and self._server.stopping.is_set():
                detail = "the server stops, and the body was not there yet; send it again later"
                raise _Refused(503, detail) from None
            raise _Refused(
                408, f"the body comes too slowly, or stood still for {BODY_SECONDS:.0f} s"
            ) from None
        self._left -= asyncio.get_running_loop().time() - began
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            self._size += size
            self._left = min(BODY_SECONDS, self._left + size / BODY_RATE)
            self._over = not message.get("more_body", False)
            if self._size > self._limit:
                raise _Refused(413, _too_large(self._limit))
        else:
            self._over = True
        return message


def _hardened(send: Send, body: _Body) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            body.answered = True
            message["headers"] = [*message.get("headers", ()), *HARDENED]
        await send(message)

    return sending


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit >> 20} MiB, which is the limit here"


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, detail: str) -> None:
    if scope["type"] == "websocket":
        await receive()
    trace = trace_of(HTTPConnection(scope))
    headers = {"Connection": "close"} | ({"Retry-After": "1"} if status == 503 else {})
    answer = ProblemResponse(told(status, detail, trace=trace), headers)
    await answer(scope, receive, send)
