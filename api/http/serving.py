"""The server on its socket: uvicorn with our limits, and an end in good order."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from socket import socket
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from ..problems import Interrupted
from ..settings import Settings
from ..stores import Store
from .app import create_app
from .opening import hosts_of, local_token, opened, require_safe
from .protocol import BoundedProtocol, BoundedSocket
from .server import Server

BACKLOG: Final = 2_048
KEEP_ALIVE: Final = 60
GRACE: Final = 15
"""Seconds for requests that are under way when the server is told to stop."""
MAX_MESSAGE: Final = 1 << 20


async def serve(
    settings: Settings,
    store: Store,
    begun: Callable[[str], None],
    *,
    folder: Path,
    engine: bool = True,
    paused: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM. ``begun`` is told the address once it answers.

    Raises `InvalidInput` where that would be unsafe, and `Interrupted` where it cannot listen.
    """
    token = local_token(folder) if settings.auth == "token" else None
    require_safe(settings, store)

    def opening() -> AbstractAsyncContextManager[Server]:
        return opened(settings, store, token, engine=engine, paused=paused)

    app = create_app(opening, hosts=hosts_of(settings))
    config = configured(app, settings)
    listening = _listen(config)
    try:
        await _Uvicorn(config, begun, _url(listening, settings.host)).serve(sockets=[listening])
    finally:
        listening.close()


def configured(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """uvicorn with our limits."""
    return uvicorn.Config(
        app, host=settings.host, port=settings.port, http=BoundedProtocol,
        ws=BoundedSocket, ws_max_size=MAX_MESSAGE, lifespan="on", log_config=None,
        access_log=False, server_header=False, proxy_headers=False, backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=GRACE,
    )  # fmt: skip


def _listen(config: uvicorn.Config) -> socket:
    try:
        return config.bind_socket()
    except SystemExit as error:
        raise Interrupted(
            f"port {config.port} of {config.host} cannot be listened on: something else does, or "
            "you may not. Choose another with --port."
        ) from error


def _url(listening: socket, host: str) -> str:
    """By which it can be called from here."""
    port = listening.getsockname()[1]
    host = _from_here(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _from_here(host: str) -> str:
    """A server that listens on every address is called by the loopback one."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    loopback = "127.0.0.1" if address.version == 4 else "::1"
    return loopback if address.is_unspecified else host


class _Uvicorn(uvicorn.Server):
    """Tells when it answers, and ends streams before it waits for what is under way."""

    def __init__(self, config: uvicorn.Config, begun: Callable[[str], None], url: str) -> None:
        super().__init__(config)
        self._begun = begun
        self._url = url

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """An end that was asked for by SIGTERM is no accident: we return, and all is closed."""
        with super().capture_signals():
            yield
            self._captured_signals = [s for s in self._captured_signals if s != signal.SIGTERM]

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._begun(self._url)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        app: Any = self.config.app
        server: Server | None = getattr(app.state, "server", None)
        if server is not None:
            server.stop()
        await super().shutdown(sockets)
