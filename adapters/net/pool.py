"""Connections that are kept for the next request to the same origin."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import httpcore

KEEP: Final = 5.0
"""Seconds for which a connection that nobody uses is kept."""

Key = tuple[bytes, bytes, int]
Connection = httpcore.AsyncHTTPConnection


class Pool:
    """At most ``most`` connections, in use or kept. Belongs to one loop; close it by `aclose`.

    Each step takes the same time however many connections there are. That of httpcore looks
    through all of them at each step, and lets requests that begin together contend for one: with
    fifty of them that is as much work as all the rest of a call.
    """

    def __init__(
        self, backend: httpcore.AsyncNetworkBackend, tls: ssl.SSLContext, *, most: int
    ) -> None:
        self._backend = backend
        self._tls = tls
        self._most = most
        self._room = asyncio.Semaphore(most)
        self._used: set[Connection] = set()
        self._kept: dict[Connection, tuple[Key, float]] = {}
        """With the origin, and since when by the loop's clock: in that order."""
        self._of: dict[Key, deque[Connection]] = {}

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """See `httpcore.AsyncConnectionPool`. Raises `httpcore.PoolTimeout` where there is no room
        in time. The connection comes back when the stream of the answer is closed.
        """
        patience = request.extensions.get("timeout", {}).get("pool")
        try:
            async with asyncio.timeout(patience):
                await self._room.acquire()
        except TimeoutError as error:
            raise httpcore.PoolTimeout from error
        try:
            connection = await self._connection(request.url.origin)
        except BaseException:
            self._room.release()
            raise
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._back(connection, request.url.origin)
            raise
        response.stream = _Lent(self, response.stream, connection, request.url.origin)
        return response

    async def __aenter__(self) -> "Pool":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all connections, those in use as well."""
        ended = [*self._used, *self._kept]
        self._kept.clear()
        self._of.clear()
        for connection in ended:
            await connection.aclose()

    async def _connection(self, origin: httpcore.Origin) -> Connection:
        """One that was kept and still holds, the last first; else a new one."""
        await self._sweep()
        kept = self._of.get(_key(origin))
        while kept:
            connection = kept.pop()
            self._forget(connection, kept)
            if not connection.has_expired():
                self._used.add(connection)
                return connection
            await connection.aclose()
        if len(self._used) + len(self._kept) >= self._most:
            await self._drop_oldest()
        connection = Connection(
            origin, ssl_context=self._tls, keepalive_expiry=KEEP, network_backend=self._backend
        )
        self._used.add(connection)
        return connection

    async def _back(self, connection: Connection, origin: httpcore.Origin) -> None:
        """Nobody uses it any more: it is kept where it can be used again."""
        self._used.discard(connection)
        try:
            if connection.is_closed():
                return
            if not connection.is_idle():
                await connection.aclose()
                return
            key = _key(origin)
            self._kept[connection] = key, asyncio.get_running_loop().time()
            self._of.setdefault(key, deque()).append(connection)
        finally:
            self._room.release()

    async def _sweep(self) -> None:
        """End what was kept for long enough."""
        before = asyncio.get_running_loop().time() - KEEP
        while self._kept and next(iter(self._kept.values()))[1] < before:
            await self._drop_oldest()

    async def _drop_oldest(self) -> None:
        connection, (key, _) = next(iter(self._kept.items()))
        self._of[key].popleft()
        self._forget(connection, self._of[key])
        await connection.aclose()

    def _forget(self, connection: Connection, others: deque[Connection]) -> None:
        key, _ = self._kept.pop(connection)
        if not others:
            del self._of[key]


class _Lent:
    """The body of an answer. Closing it gives the connection back."""

    def __init__(
        self, pool: Pool, stream: Any, connection: Connection, origin: httpcore.Origin
    ) -> None:
        self._pool = pool
        self._stream = stream
        self._connection: Connection | None = connection
        self._origin = origin

    def __aiter__(self) -> AsyncIterator[bytes]:
        parts: AsyncIterator[bytes] = aiter(self._stream)
        return parts

    async def aclose(self) -> None:
        """Once is enough."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await self._stream.aclose()
            finally:
                await self._pool._back(connection, self._origin)


def _key(origin: httpcore.Origin) -> Key:
    return origin.scheme, origin.host, origin.port
