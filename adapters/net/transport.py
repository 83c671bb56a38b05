"""The guard below httpx: every connection goes to an address that was judged."""

import asyncio
import ssl
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final

import httpcore
import httpx

from ...domain.errors import TargetRefused
from .guard import Guard, Unresolved
from .pool import Pool
from .quiet import hush
from .trust import trusting

CONNECT: Final = 10.0
"""Seconds for one address of a target."""

hush("httpx", "httpcore")


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections to addresses that the guard has judged, and to nothing else.
    ``private_only`` as for `Guard.pin`.
    """

    def __init__(self, guard: Guard, *, private_only: bool = False) -> None:
        self._guard = guard
        self._private_only = private_only
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name for it
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore. TLS still goes by ``host``. Raises `TargetRefused`, `InvalidInput`."""
        try:
            async with asyncio.timeout(timeout):
                pinned = await self._guard.pin(host, port, private_only=self._private_only)
        except Unresolved as error:
            raise httpcore.ConnectError(str(error)) from error
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the name was not resolved in time") from error

        async def connect(address: str) -> httpcore.AsyncNetworkStream:
            return await self._network.connect_tcp(
                address, port, timeout, local_address, socket_options
            )

        return await pinned.first(connect, httpcore.ConnectError, httpcore.ConnectTimeout)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name for it
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Never. Raises `TargetRefused`."""
        raise TargetRefused("it is a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await asyncio.sleep(seconds)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """A transport for clients that follow redirects by themselves: each is judged as well."""

    def __init__(self, guard: Guard, *, tls: ssl.SSLContext | None = None, most: int = 100) -> None:
        context = tls or _usual()
        super().__init__(verify=context, trust_env=False)
        self._pool: Any = Pool(
            GuardedBackend(guard), context, most=most,
            private=GuardedBackend(guard, private_only=True),
        )  # fmt: skip


def guarded_client(
    guard: Guard, *, tls: ssl.SSLContext | None = None, most: int = 100
) -> httpx.AsyncClient:
    """A client whose every connection goes through the guard. It follows no redirects."""
    return httpx.AsyncClient(
        transport=GuardedTransport(guard, tls=tls, most=most),
        trust_env=False, follow_redirects=False,
        timeout=httpx.Timeout(None, connect=CONNECT),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )  # fmt: skip


def trusted(file: Path | str | None) -> ssl.SSLContext | None:
    """See `trusting`."""
    return trusting(file, _usual)


def written(file: Path | str | None) -> bytes | None:
    """The same in PEM, for libraries that take no context."""
    if file is None or trusted(file) is None:
        return None
    usual = _usual().get_ca_certs(binary_form=True)
    further = Path(file).expanduser().read_bytes()
    return "".join(map(ssl.DER_cert_to_PEM_cert, usual)).encode() + further


def _usual() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
