"""A connection of httpcore that knows whether the other side has said anything."""

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore


class Connection(httpcore.AsyncHTTPConnection):
    """``keep``: seconds for which it may be used again."""

    def __init__(
        self,
        origin: httpcore.Origin,
        tls: ssl.SSLContext,
        backend: httpcore.AsyncNetworkBackend,
        keep: float,
    ) -> None:
        self._ear = _Ear(backend)
        super().__init__(
            origin, ssl_context=tls, keepalive_expiry=keep, network_backend=self._ear
        )  # fmt: skip

    @property
    def heard(self) -> bool:
        """Whether a byte has come since `listen`."""
        return self._ear.heard

    def listen(self) -> None:
        """A request begins: nothing was heard of its answer."""
        self._ear.heard = False


class _Ear(httpcore.AsyncNetworkBackend):
    """The backend of one connection."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self._backend = backend
        self.heard = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name for it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        opened = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(self, opened)


class _Stream(httpcore.AsyncNetworkStream):
    """What goes over a connection. Of TLS only what is inside counts as said."""

    def __init__(self, ear: _Ear, stream: httpcore.AsyncNetworkStream) -> None:
        self._ear = ear
        self._stream = stream

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name for it
    ) -> bytes:
        data = await self._stream.read(max_bytes, timeout)
        if data:
            self._ear.heard = True
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name for it
    ) -> None:
        await self._stream.write(buffer, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name for it
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(
            self._ear, await self._stream.start_tls(ssl_context, server_hostname, timeout)
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    async def aclose(self) -> None:
        await self._stream.aclose()
