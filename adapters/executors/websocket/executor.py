"""Messages over WebSockets (RFC 6455) of other services."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
)

from ...net.dial import dial
from ...net.guard import Guard
from ...net.trust import CA_FILE, distrust, trusting
from ...net.waits import retry_after
from ..base import BaseTask, Inputs
from ..configured import with_attributes
from ..errors import TransientError
from ..http_rules import in_clear, split
from .received import Received
from .schemas import INPUTS, OUTPUTS
from .talk import Talk

MAX_MESSAGE: Final = 1 << 20
"""Bytes of one message that comes."""
MAX_TEXT: Final = 8 * 1024
"""Characters that are kept of what comes with a refused handshake."""
PARTING: Final = 2.0
"""Seconds for the server to answer when an attempt is broken off."""
KEEPALIVE: Final = 20.0
"""Seconds between pings, and for the answer to one."""
BUSY: Final = frozenset({429, 502, 503, 504})
PASSING: Final = frozenset({1001, 1006, 1011, 1012, 1013})
"""Close codes of what may pass by itself: away, broken off, failed, restarting, overloaded."""
_FAULTS: Final = {
    1002: "the target does not speak WebSocket as it should",
    1007: "the target sent text that is no UTF-8",
    1009: "the target sent a message that is larger than 1 MiB",
}
_silent = logging.getLogger(f"{__name__}.library")
"""The library would write headers and messages into its log."""
_silent.setLevel(logging.CRITICAL + 1)


class Refused(TransientError):
    """The target is busy or away, as it says itself."""


class Unanswered(TransientError):
    """The target is away, broke off, took too long. It may answer later."""


class NoWebSocket(Exception):
    """What answers is no server of WebSockets, or none that can be trusted."""


class _Connect(connect):
    """Without redirects, which would lead past the guard."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebsocketExecutor(BaseTask):
    """Connects, sends, waits for what the task wants to hear, closes."""

    id = "websocket_executor"
    name = "WebSocket"
    description = "Sends messages over a WebSocket and returns what comes back"
    tags = ("websocket",)
    cancelable = True
    examples = (
        {"url": "wss://echo.example.com/", "message": {"say": "hello"}},
        {
            "url": "wss://jobs.example.com/", "message": {"start": "report"},
            "until": {"pointer": "/status", "equals": "done"},
            "headers": {"Authorization": {"$secret": "EXAMPLE_TOKEN"}},
        },
    )  # fmt: skip
    inputs_schema = INPUTS
    outputs_schema = OUTPUTS
    by_name: ClassVar[bool] = False

    guard: ClassVar[Guard] = Guard()
    tls: ClassVar[ssl.SSLContext | None] = None
    """How certificates are checked; None: as this machine does."""

    def __init__(self, headers: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._usual = dict(headers or {})
        self.judge, self.checks = self.guard, self.tls

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Callable[..., "WebsocketExecutor"]:
        """A factory whose executors reach what the operator allows."""
        guard = Guard(settings.get("APFLOW_PRIVATE_TARGETS", ()))
        tls = trusting(settings.get(CA_FILE))
        return with_attributes(cls, judge=guard, checks=tls)

    def get_demo_result(self, task: Any, inputs: Inputs) -> dict[str, Any]:
        """What a friendly server might say."""
        waits = bool(inputs.get("wait_response", True))
        answer = {"response": '{"demo":true}', "json": {"demo": True}} if waits else {}
        return {
            "success": True, "url": "wss://echo.example.com/", "wait_response": waits,
            **answer, "close_code": 1000, "close_reason": "",
        }  # fmt: skip

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """``{success, url, message_sent, response, json, …}``; see `OUTPUTS`."""
        talk = Talk(inputs, self._usual, self.context)
        try:
            async with asyncio.timeout(talk.seconds):
                return await self._held(talk)
        except TimeoutError as error:
            raise Unanswered(f"not over within {talk.seconds:g} s") from error

    async def _held(self, talk: Talk) -> dict[str, Any]:
        received = Received(self.context.scrub)
        try:
            connection = await self._open(talk)
        except InvalidStatus as error:
            return self._declined(talk, error)
        try:
            await self._exchange(connection, talk, received)
        except ConnectionClosed as error:
            return self._closed_early(talk, received, error)
        finally:
            await _part(connection)
        found = talk.result(received) | {
            "close_code": connection.close_code, "close_reason": connection.close_reason,
        }  # fmt: skip
        if connection.subprotocol is not None:
            found["subprotocol"] = connection.subprotocol
        return {"success": True, **found}

    async def _open(self, talk: Talk) -> ClientConnection:
        hidden = in_clear(split(talk.url), [talk.given])
        sock = await dial(self.judge, talk.host, talk.port, private_only=hidden)
        tls = (self.checks or _usual_tls()) if talk.secure else None
        try:
            return await _Connect(
                talk.url, sock=sock, proxy=None, compression=None, logger=_silent,
                additional_headers=talk.headers, subprotocols=talk.subprotocols,
                origin=talk.origin, max_size=MAX_MESSAGE, open_timeout=None,
                ping_interval=KEEPALIVE, ping_timeout=KEEPALIVE, close_timeout=10, ssl=tls,
            )  # fmt: skip
        except BaseException as error:
            sock.close()
            raise _explained(error) from error

    async def _exchange(self, connection: ClientConnection, talk: Talk, received: Received) -> None:
        """Sends and hears at the same time: a server may say much before it has heard all."""
        sending = asyncio.create_task(_send(connection, talk.messages))
        try:
            while not talk.satisfied(received):
                message = await connection.recv()
                received.add(message)
                talk.look_at(message)
                if talk.several:
                    await self.context.progress(talk.fraction(received), f"{received.count} came")
            await sending
            await _close(connection, 1000)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def _declined(self, talk: Talk, error: InvalidStatus) -> dict[str, Any]:
        """The result where the handshake was answered by anything but a WebSocket."""
        response = error.response
        status = response.status_code
        if status in BUSY and status not in self.context.accept:
            headers = {name.lower(): value for name, value in response.headers.raw_items()}
            raise Refused(f"the target answered {status}", retry_after(headers))
        text = self.context.scrub(bytes(response.body or b"").decode("utf-8", "replace"))[:MAX_TEXT]
        why = f"the target answered {status} to the handshake"
        if 300 <= status < 400:
            why += ": it redirects, which is not followed. Give the place itself as `url`"
        return {
            "success": False, "error": why, "status_code": status, "reason": text,
            "url": talk.place, "wait_response": talk.waits,
        }  # fmt: skip

    def _closed_early(
        self, talk: Talk, received: Received, error: ConnectionClosed
    ) -> dict[str, Any]:
        """The result where it was closed before all that was waited for had come."""
        theirs = error.rcvd if error.rcvd_then_sent is not False else None
        ended = theirs or error.sent
        code = 1006 if ended is None else ended.code
        accepted = theirs is not None and code in self.context.accept
        if code in PASSING and not accepted:
            raise Unanswered(f"the target closed the connection with code {code}")
        why = f"the target closed the connection with code {code} before all had come"
        if theirs is None:
            why = _FAULTS.get(code, "the connection broke off")
        reason = theirs.reason if theirs is not None else ""
        found = {"success": accepted, **talk.result(received), "code": code, "reason": reason}
        return found if accepted else found | {"error": why}


@cache
def _usual_tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def _send(connection: ClientConnection, messages: Sequence[str]) -> None:
    for message in messages:
        await connection.send(message)


async def _close(connection: ClientConnection, code: int) -> None:
    """Says goodbye, and hears out what the server says before it answers that."""
    closing = asyncio.create_task(connection.close(code))
    try:
        while True:
            await connection.recv()
    except ConnectionClosed:
        await closing
    finally:
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)


async def _part(connection: ClientConnection) -> None:
    """Close what is still open, so that the server learns of it."""
    try:
        async with asyncio.timeout(PARTING):
            await _close(connection, 1001)
    except TimeoutError:
        pass  # it will not answer; what follows does not ask it
    finally:
        connection.transport.abort()


def _explained(error: BaseException) -> BaseException:
    """What a task is told when no connection comes about, without anything that it gave."""
    match error:
        case InvalidStatus():
            return error
        case ssl.SSLCertVerificationError():
            return NoWebSocket(f"its certificate is not trusted: {distrust(error)}")
        case InvalidMessage() if isinstance(error.__cause__, EOFError | OSError):
            return Unanswered("the target closed the connection without an answer")
        case InvalidHandshake():
            return NoWebSocket("the target does not agree to the WebSocket that was asked for")
        case TimeoutError():
            return error
        case OSError():
            return Unanswered("the connection to the target broke off")
        case _:
            return error
