"""MCP over streamable HTTP: the official SDK, on a client that goes through the guard."""

from collections.abc import Awaitable, Callable, Iterator
from logging import CRITICAL, getLogger
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import mcp
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import Implementation
from pydantic import BaseModel, ValidationError

from ....domain.errors import ApflowError, TargetRefused
from ...net.guard import Guard, Unresolved
from ...net.successor import GuardedTransport, TooLarge, guarded_client
from ...net.trust import causes, distrust
from ...net.waits import retry_after
from ..context import Context
from ..errors import TransientError
from ..http_rules import TRANSIENT
from .operations import (
    MAX_MESSAGE,
    NotUnderstood,
    Operation,
    Pages,
    ServerGone,
    ServerRefused,
    fraction,
)

US: Final = Implementation(name="aipartnerupflow", version="1")

_BY_STATUS: Final = (-32601, -32600, -32603)
"""Codes that the SDK makes up from statuses of HTTP."""

SDK: Final = str(Path(mcp.__file__).parent)


def _silence() -> None:
    """The SDK writes whole messages, with whatever secret is in them, one part of it under a name
    that others may have too; all that matters comes as errors.
    """
    for name in ("mcp.client", "mcp.shared"):
        getLogger(name).setLevel(CRITICAL)
    getLogger("client").addFilter(lambda record: not record.pathname.startswith(SDK))


_silence()


class Busy(TransientError):
    """The server is busy or away, as it says itself."""


class Untrusted(Exception):
    """The server's certificate is none that is trusted here."""


class Rejected(Exception):
    """The server does not let the request in: not to whom it was sent, or not from here."""


async def perform(
    url: str,
    headers: dict[str, str],
    operation: Operation,
    guard: Guard,
    context: Context,
    *,
    private_only: bool,
    ca_file: Path | str | None = None,
) -> dict[str, Any]:
    """The answer of the server; one session for it.

    Raises `ServerRefused`, `ServerGone`, `NotUnderstood`, `TargetRefused`, `Busy`, `Rejected`,
    `Untrusted`.
    """
    await _require(url, guard)
    seen = _Seen()
    transport = GuardedTransport(
        guard, limit=MAX_MESSAGE, look=seen.look, private_only=private_only, ca_file=ca_file
    )
    try:
        async with guarded_client(transport, headers) as http:
            way = streamable_http_client(url, http_client=http, max_sse_event_size=MAX_MESSAGE)
            async with Client(way, client_info=US, cache=None) as client:
                return await _asked(client, operation, context)
    except (Exception, BaseExceptionGroup) as error:
        raise _told(error, transport.failure, seen) from error


async def _require(url: str, guard: Guard) -> None:
    """Raises `TargetRefused` for what the SDK must not see at all."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetRefused("its URL is not http or https")
    if parts.username is not None or parts.password is not None:
        raise TargetRefused("its URL holds a user or password, which belongs into a header")
    try:
        port = parts.port
    except ValueError as error:
        raise TargetRefused("its port is none: a port is 1 to 65535") from error
    usual = 443 if parts.scheme == "https" else 80
    await guard.pin(parts.hostname, usual if port is None else port)


class _Seen:
    """The status of the last answer to a message."""

    def __init__(self) -> None:
        self.status = 0

    def look(self, request: httpx2.Request, response: httpx2.Response) -> None:
        """A server that is away is not asked in other words. Raises `Busy`."""
        if request.method != "POST":
            return
        self.status = response.status_code
        if self.status in TRANSIENT:
            raise Busy(f"the server answered {self.status}", retry_after(response.headers))


async def _asked(client: Client, operation: Operation, context: Context) -> dict[str, Any]:
    params = operation.params
    match operation.name:
        case "list_tools":
            return await _all(lambda cursor: client.list_tools(cursor=cursor), "tools")
        case "list_resources":
            return await _all(lambda cursor: client.list_resources(cursor=cursor), "resources")
        case "list_prompts":
            return await _all(lambda cursor: client.list_prompts(cursor=cursor), "prompts")
        case "call_tool":
            return _plain(
                await client.call_tool(
                    params["name"], params["arguments"], meta=params["_meta"],
                    progress_callback=_teller(context),
                )
            )  # fmt: skip
        case "read_resource":
            return _plain(await client.read_resource(params["uri"]))
        case _:
            return _plain(await client.get_prompt(params["name"], params["arguments"]))


async def _all(page: Callable[[str | None], Awaitable[BaseModel]], name: str) -> dict[str, Any]:
    pages, cursor = Pages(name), None
    while True:
        cursor = pages.add(_plain(await page(cursor)))
        if cursor is None:
            return pages.answer()


def _plain(answer: BaseModel) -> dict[str, Any]:
    return answer.model_dump(by_alias=True, mode="json", exclude_none=True)


def _teller(context: Context) -> ProgressFnT:
    far = 0.0

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        nonlocal far
        found = fraction(progress, total)
        far = far if found is None else found
        await context.progress(far, message or "")

    return tell


def _told(error: BaseException, failure: Exception | None, seen: _Seen) -> BaseException:
    """What happened, in our words: the cause below the SDK counts more than what it makes of it."""
    for found in (failure, *_leaves(error)):
        match found:
            case ApflowError() | Busy():
                return found
            case httpx2.InvalidURL() | UnicodeError():
                return TargetRefused("its URL is none")
            case TooLarge():
                return NotUnderstood(str(found))
            case httpx2.ConnectError() | httpx2.ConnectTimeout():
                return _unreached(found)
            case httpx2.TransportError():
                return ServerGone("the connection to the server broke off")
            case MCPError() if seen.status >= 300 and found.code in _BY_STATUS:
                hint = "; it redirects: give the address it redirects to"
                return Rejected(f"the server answered {seen.status}{hint * (seen.status < 400)}")
            case MCPError():
                return ServerRefused(found.code, found.message)
            case ValidationError():
                return NotUnderstood("the server's answer does not fit the protocol")
            case _:
                continue
    return error


def _unreached(error: BaseException) -> Exception:
    if (why := distrust(error)) is not None:
        return Untrusted(f"its certificate is not trusted: {why}")
    unresolved = (str(each) for each in causes(error) if isinstance(each, Unresolved))
    return ServerGone(next(unresolved, "no connection to the server"))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
