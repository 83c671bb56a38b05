"""The parser of requests, with an end to its patience: slow and endless headers are cut off."""

import asyncio
import secrets
import socket
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .answers import ProblemResponse, told

HEADER_SECONDS: Final = 10.0
"""So long may the head of a request take, from its first byte, or from the connection's start; and
so long may a body still come that nobody reads any more."""
HEADER_BYTES: Final = 64 * 1024
LINGER: Final = 10.0
"""Seconds for who was dropped to take what was sent before."""


def _answer(status: int, detail: str) -> bytes:
    """A problem document, and the end of the connection."""
    problem = ProblemResponse(told(status, detail, trace=secrets.token_hex(16)))
    head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\n".encode()]
    head += [name + b": " + value + b"\r\n" for name, value in problem.raw_headers]
    return b"".join([*head, b"\r\n", bytes(problem.body)])


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's, which has no limit of its own for what is no body."""

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _quiet = 0
    """Bytes since the last that was of use: of a head, of trailers, between the parts of a body."""
    _fields = 0
    """Bytes of names and values in a request."""

    def connection_made(self, transport: Any) -> None:
        """A connection that says nothing is as slow as one that says little.

        What is written leaves at once: asyncio does not see to that for sockets that uvicorn made,
        and the second of two small packets would wait 40 ms for the first one's receipt.
        """
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._head_is_there()
        self._body_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes that are of no use."""
        self._quiet += len(data)
        super().data_received(data)
        if self._quiet > HEADER_BYTES and self.parser is not None:
            self._too_large()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        self._cut(_answer(400, "what was sent is no HTTP request"))

    def on_message_begin(self) -> None:
        """The first byte of a further request."""
        super().on_message_begin()
        self._fields = 0
        if self._deadline is None:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Those behind a body come here too."""
        self._fields += len(name) + len(value)
        if self._fields > HEADER_BYTES:
            self._too_large()
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_is_there()
        super().on_headers_complete()
        self.scope["apflow.last_words"] = self.last_words  # type: ignore[typeddict-unknown-key]

    def last_words(self, body: bytes) -> None:
        """The end of an answer, behind all that lies in buffers; it is waited for so long only."""
        if self.transport.is_closing():
            return
        part = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        self.transport.write(part + b"0\r\n\r\n" if self.cycle.chunked_encoding else body)
        self.cycle.disconnected = True  # for uvicorn: that is the end
        self.transport.close()
        self.loop.call_later(LINGER, self.transport.abort)

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._quiet = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._quiet = 0
        self._body_is_there()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """What still comes of a request that was answered is not waited for without end."""
        super().on_response_complete()
        if self.cycle.more_body and not self.pipeline and not self.transport.is_closing():
            self._unread = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _head_is_there(self) -> None:
        self._quiet = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _body_is_there(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _too_slow(self) -> None:
        self._cut(_answer(408, f"the head of a request took more than {HEADER_SECONDS:.0f} s"))

    def _too_large(self) -> None:
        kib = HEADER_BYTES >> 10
        self._cut(_answer(431, f"the header fields are larger than {kib} KiB, which is the limit"))

    def _cut(self, answer: bytes) -> None:
        self._head_is_there()
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(answer)  # not into the middle of another one
        self.transport.close()


class BoundedSocket(WebSocketsSansIOProtocol):
    """uvicorn's, which would wait for its reader for ever."""

    def handle_connect(self, event: Any) -> None:
        """The scope is there after it."""
        super().handle_connect(event)
        if (scope := getattr(self, "scope", None)) is not None:
            scope["apflow.last_words"] = self.last_words

    async def send(self, message: Any) -> None:
        """A refusal is an answer, too: uvicorn would complain that there was none."""
        await super().send(message)
        self.handshake_complete = self.handshake_complete or self.close_sent

    def last_words(self, code: int, reason: str) -> None:
        """See `BoundedProtocol.last_words`."""
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
        self.loop.call_later(LINGER, self.transport.abort)
