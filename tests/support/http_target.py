"""An HTTP server to be called, of the standard library: it shares no code with our client."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Target:
    """What it was asked, and how it answers: ``answers`` by path are (status, headers, body)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[dict[str, Any]] = []
        self.answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}
        self.connections = 0
        self.hanging = 0
        self.released = threading.Event()
        self.arrived = threading.Event()
        self.broken_off = threading.Event()

    def will(
        self, path: str, status: int, body: bytes = b"", times: int = 1, **headers: str
    ) -> None:
        """Answer so, so many times; afterwards as usual."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(path, []).extend([(status, named, body)] * times)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: Target

    def setup(self) -> None:
        super().setup()
        self.target.connections += 1

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _any(self) -> None:
        parts = urlsplit(self.path)
        size = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(size)
        asked = {
            "method": self.command, "path": parts.path, "query": parse_qs(parts.query),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode("latin-1"),
        }  # fmt: skip
        self.target.asked.append(asked)
        self.target.arrived.set()
        if parts.path in ("/slow", "/hang"):
            self._slow(parts.path == "/hang")
            return
        planned = self.target.answers.get(parts.path)
        if planned:
            self._answer(*planned.pop(0))
        else:
            kind = {"Content-Type": "application/json"}
            self._answer(200, kind, json.dumps(asked).encode())

    do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = _any

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _slow(self, hangs: bool) -> None:
        """Say something now and then until nobody listens, which is noted, or it is let go."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.target.hanging += hangs
        try:
            for _ in range(3_000):
                self.wfile.write(b".")
                self.wfile.flush()
                if hangs and self.target.released.wait(0.02):
                    break
                if not hangs:
                    time.sleep(0.02)
        except OSError:
            self.target.broken_off.set()
        self.target.hanging -= hangs
        self.close_connection = True


@contextmanager
def http_target() -> Iterator[Target]:
    """One on 127.0.0.1, as long as the block lasts."""

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    target = Handler.target = Target(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield target
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
