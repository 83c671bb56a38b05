"""MCP over the standard streams of a program: a client of our own, which needs no library.

One process for each attempt: a cancel ends the work of that attempt, whatever the server makes of
it, and no task meets what another has left behind.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Final

import msgspec

from ..context import Context
from .operations import NotUnderstood, Operation, Pages, ServerGone, ServerRefused, fraction
from .process import Child

VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Of the protocol that are spoken, the newest first, which is offered."""
METHOD_NOT_FOUND: Final = -32601
LAST_WORD: Final = 0.5
"""Seconds for telling a server that its work is not wanted any more."""

Message = dict[str, Any]


@asynccontextmanager
async def session(
    argv: tuple[str, ...], env: Mapping[str, str], cwd: str, context: Context
) -> AsyncIterator["Session"]:
    """A server that has been greeted; it is gone after the block, with all its processes.

    Raises OSError where it cannot start, `ServerGone`, `NotUnderstood`.
    """
    child = await Child.start(argv, env, cwd)
    try:
        made = Session(child, context)
        await made.greet()
        yield made
    finally:
        await child.end()


class Session:
    """Asks one thing after the other."""

    def __init__(self, child: Child, context: Context) -> None:
        self._child = child
        self._context = context
        self._ids = count(1)
        self._offers: Mapping[str, Any] = {}
        self._far = 0.0

    async def greet(self) -> None:
        """Agree on a version and learn what the server offers."""
        said = await self._ask(
            "initialize",
            {
                "protocolVersion": VERSIONS[0],
                "capabilities": {},
                "clientInfo": {"name": "aipartnerupflow", "version": "1"},
            },
        )
        if said.get("protocolVersion") not in VERSIONS:
            raise NotUnderstood(
                "the server speaks another version of the protocol; spoken here are "
                + ", ".join(VERSIONS)
            )
        offers = said.get("capabilities")
        self._offers = offers if isinstance(offers, dict) else {}
        await self._send({"method": "notifications/initialized"})

    async def perform(self, operation: Operation) -> Message:
        """The answer of the server. Raises `ServerRefused`, `ServerGone`, `NotUnderstood`."""
        if operation.offer not in self._offers:
            raise NotUnderstood(f"the server offers no {operation.offer}")
        if not operation.pages:
            return await self._ask(operation.method, operation.params)
        pages, params = Pages(operation.keeps[0]), Message()
        while True:
            cursor = pages.add(await self._ask(operation.method, params))
            if cursor is None:
                return pages.answer()
            params = {"cursor": cursor}

    async def _ask(self, method: str, params: Message) -> Message:
        id = next(self._ids)
        meta = {**params.get("_meta", {}), "progressToken": id}
        greeting = method == "initialize"
        said = params if greeting else {**params, "_meta": meta}
        try:
            await self._send({"id": id, "method": method, "params": said})
            while True:
                for message in _messages(await self._child.line()):
                    if message.get("id") == id and "method" not in message:
                        return _result(message)
                    await self._other(message, id)
        except asyncio.CancelledError:
            if not greeting:  # which must not be cancelled
                await self._take_back(id)
            raise

    async def _other(self, message: Message, id: int) -> None:
        """What comes in between: how far it is, or a question of the server."""
        method, params = message.get("method"), message.get("params")
        if method == "notifications/progress" and isinstance(params, dict):
            if params.get("progressToken") == id:
                await self._tell(params)
        elif method == "ping" and "id" in message:
            await self._send({"id": message["id"], "result": {}})
        elif isinstance(method, str) and "id" in message:
            error = {"code": METHOD_NOT_FOUND, "message": "this client offers nothing of the kind"}
            await self._send({"id": message["id"], "error": error})

    async def _tell(self, params: Message) -> None:
        found = fraction(params.get("progress"), params.get("total"))
        self._far = self._far if found is None else found
        await self._context.progress(self._far, str(params.get("message") or ""))

    async def _take_back(self, id: int) -> None:
        with suppress(TimeoutError, ServerGone):
            async with asyncio.timeout(LAST_WORD):
                params = {"requestId": id, "reason": "the task was ended"}
                await self._send({"method": "notifications/cancelled", "params": params})

    async def _send(self, message: Message) -> None:
        await self._child.send(msgspec.json.encode({"jsonrpc": "2.0", **message}))


def _messages(line: bytes) -> Iterator[Message]:
    """Those of a line; more than one in a batch. What is no message is passed over."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    for message in found if isinstance(found, list) else [found]:
        if isinstance(message, dict):
            yield message


def _result(message: Message) -> Message:
    error, result = message.get("error"), message.get("result")
    if isinstance(error, dict):
        code = error.get("code")
        raise ServerRefused(code if isinstance(code, int) else 0, str(error.get("message") or ""))
    if not isinstance(result, dict):
        raise NotUnderstood("the server's answer is neither a result nor an error")
    return result
