"""The guard for clients of httpx2, the successor of httpx, on which the SDK of MCP is built.

As in `http`: every connection goes to an address that was judged; no proxy of the environment is
used, no cookie kept; an answer has a bounded size and comes unpacked or not at all.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Final

import httpcore2
import httpx2

from ...domain.errors import TargetRefused
from .guard import Guard, Unresolved
from .quiet import hush
from .trust import trusting

CONNECT: Final = 10.0
"""Seconds for one address of a target."""

Look = Callable[[httpx2.Request, httpx2.Response], None]
"""Sees each answer's head before anybody else; what it raises is raised to the caller."""

hush("httpx2", "httpcore2")


class TooLarge(httpx2.TransportError):
    """The answer is larger than is read, or packed although that was not asked for."""


class _Backend(httpcore2.AsyncNetworkBackend):
    """Opens connections to addresses that the guard has judged, and to nothing else."""

    def __init__(self, guard: Guard, *, private_only: bool) -> None:
        self._guard = guard
        self._private_only = private_only
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name for it
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See httpcore2. TLS still goes by ``host``. Raises `TargetRefused`, `InvalidInput`."""
        try:
            async with asyncio.timeout(timeout):
                pinned = await self._guard.pin(host, port, private_only=self._private_only)
        except Unresolved as error:
            raise httpcore2.ConnectError(str(error)) from error
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout("the name was not resolved in time") from error

        async def connect(address: str) -> httpcore2.AsyncNetworkStream:
            return await self._network.connect_tcp(
                address, port, timeout, local_address, socket_options
            )

        return await pinned.first(connect, httpcore2.ConnectError, httpcore2.ConnectTimeout)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name for it
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never. Raises `TargetRefused`."""
        raise TargetRefused("it is a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """See httpcore2."""
        await asyncio.sleep(seconds)


class _Bounded(httpx2.AsyncByteStream):
    """A body of at most so many bytes."""

    def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
        self._stream = stream
        self._left = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            self._left -= len(part)
            if self._left < 0:
                raise TooLarge("the target's answer is longer than is read")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """``limit``: bytes of one answer; ``private_only`` as for `Guard.pin`. What went wrong last
    stands in ``failure``: a library in between may tell of it in its own words, or not at all.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        limit: int,
        look: Look,
        private_only: bool = False,
        ca_file: Path | str | None = None,
    ) -> None:
        context = trusting(ca_file, _usual) or _usual()
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context, http1=True, http2=False,
            network_backend=_Backend(guard, private_only=private_only),
        )  # fmt: skip
        self._limit = limit
        self._look = look
        self.failure: Exception | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx2."""
        try:
            response = await super().handle_async_request(request)
            try:
                self._look(request, response)
                if response.headers.get("content-encoding", "identity").lower() != "identity":
                    raise TooLarge("the target's answer is packed, which was not asked for")
            except Exception:
                await response.aclose()
                raise
        except Exception as error:
            self.failure = error
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream, self._limit)
        return response


def _usual() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)


def guarded_client(transport: GuardedTransport, headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """A client that sends these headers with every request. It follows no redirects."""
    return httpx2.AsyncClient(
        transport=transport, trust_env=False, follow_redirects=False,
        headers={**headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(None, connect=CONNECT),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )  # fmt: skip
