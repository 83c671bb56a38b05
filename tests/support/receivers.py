"""HTTP servers that tests call: they answer as they are told, and remember what they were asked."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from msgspec import Struct


class Request(Struct):
    """What came. Names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(Struct):
    """What goes back: with ``body``, or whatever ``write`` sends instead of an answer."""

    status: int = 204
    headers: dict[str, str] = {}
    body: bytes = b""
    write: Callable[[Any], None] | None = None


Answer = Callable[[Request], Reply]


class Receiver:
    """A server on 127.0.0.1. ``answer`` may be changed while it runs."""

    def __init__(
        self, answer: Answer | None = None, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.answer: Answer = answer or (lambda request: Reply())
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

            def do_POST(self) -> None:
                receiver._serve(self)

            do_GET = do_PUT = do_HEAD = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        self.scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, handler.path, headers, body)
        with self._lock:
            self.requests.append(request)
        reply = self.answer(request)
        if reply.write is not None:
            handler.close_connection = True
            reply.write(handler.wfile)
            return
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.status != 204:
            handler.send_header("content-length", str(len(reply.body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(reply.body)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def receiver(
    answer: Answer | None = None, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """A server as long as the block."""
    made = Receiver(answer, port=port, tls=tls)
    made.start()
    try:
        yield made
    finally:
        made.stop()
