"""Connections that are kept for the next request to the same origin."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import httpcore

from .connection import Connection

KEEP: Final = 3.0
"""Seconds for which a connection that nobody uses is kept. Many servers end one after 5: what is
sent just then is lost.
"""
REPEATABLE: Final = "repeatable"
"""An extension of a request: it may be sent twice, and its body is not a stream."""
PRIVATE_ONLY: Final = "private_only"
"""An extension of a request: it may go only where `Guard.pin` lets secrets go in clear."""

Key = tuple[bool, bytes, bytes, int]


class Silent(httpcore.RemoteProtocolError):
    """The other side ended the connection without one byte of an answer."""


class Pool:
    """At most ``most`` connections, in use or kept. Belongs to one loop; close it by `aclose`.
    ``private`` opens those of requests that are `PRIVATE_ONLY`: no other serves them.

    Each step takes the same time however many connections there are. That of httpcore looks
    through all of them at each step, and lets requests that begin together contend for one: with
    fifty of them that is as much work as all the rest of a call.
    """

    def __init__(
        self,
        backend: httpcore.AsyncNetworkBackend,
        tls: ssl.SSLContext,
        *,
        most: int,
        private: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._backends = {False: backend} if private is None else {False: backend, True: private}
        self._tls = tls
        self._most = most
        self._room = asyncio.Semaphore(most)
        self._used: set[Connection] = set()
        self._kept: dict[Connection, tuple[Key, float]] = {}
        """With the origin, and since when by the loop's clock: in that order."""
        self._of: dict[Key, deque[Connection]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """See `httpcore.AsyncConnectionPool`. Raises `httpcore.PoolTimeout` where there is no room
        in time, and `Silent`. The connection comes back when the stream of the answer is closed.
        """
        patience = request.extensions.get("timeout", {}).get("pool")
        try:
            async with asyncio.timeout(patience):
                await self._room.acquire()
        except TimeoutError as error:
            raise httpcore.PoolTimeout from error
        try:
            connection, response = await self._answered(request)
        except BaseException:
            self._room.release()
            raise
        response.stream = _Lent(self, response.stream, connection, _key(request))
        return response

    async def _answered(self, request: httpcore.Request) -> tuple[Connection, httpcore.Response]:
        """By a kept connection, and by a new one where that had been ended meanwhile: nobody can
        know until something is sent. What may not be sent twice is not.
        """
        key = _key(request)
        connection = await self._kept_for(key)
        again = connection is not None and bool(request.extensions.get(REPEATABLE))
        while True:
            connection = connection or await self._new(key, request.url.origin)
            connection.listen()
            try:
                return connection, await connection.handle_async_request(request)
            except (httpcore.ReadError, httpcore.RemoteProtocolError) as error:
                await self._put(connection, key)
                if connection.heard:
                    raise
                if not again:
                    raise Silent("closed without an answer") from error
            except BaseException:
                await self._put(connection, key)
                raise
            connection, again = None, False

    async def __aenter__(self) -> "Pool":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all connections, those in use as well."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ended = [*self._used, *self._kept]
        self._kept.clear()
        self._of.clear()
        for connection in ended:
            await connection.aclose()
        if self._sweeping is not None:
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def _kept_for(self, key: Key) -> Connection | None:
        """One that was kept and still holds, the last first."""
        kept = self._of.get(key)
        while kept:
            connection = kept.pop()
            self._forget(connection, kept)
            if not connection.has_expired():
                self._used.add(connection)
                return connection
            await connection.aclose()
        return None

    async def _new(self, key: Key, origin: httpcore.Origin) -> Connection:
        if len(self._used) + len(self._kept) >= self._most:
            await self._drop_oldest()
        connection = Connection(origin, self._tls, self._backends[key[0]], KEEP)
        self._used.add(connection)
        return connection

    async def _back(self, connection: Connection, key: Key) -> None:
        try:
            await self._put(connection, key)
        finally:
            self._room.release()

    async def _put(self, connection: Connection, key: Key) -> None:
        """Nobody uses it any more: it is kept where it can be used again."""
        self._used.discard(connection)
        if connection.is_closed():
            return
        if not connection.is_idle():
            await connection.aclose()
            return
        self._kept[connection] = key, asyncio.get_running_loop().time()
        self._of.setdefault(key, deque()).append(connection)
        self._watch()

    def _watch(self) -> None:
        """Look again when the oldest of what is kept has been kept for long enough."""
        if self._timer is None and self._kept:
            since = next(iter(self._kept.values()))[1]
            self._timer = asyncio.get_running_loop().call_at(since + KEEP, self._due)

    def _due(self) -> None:
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        """End what was kept for long enough."""
        before = asyncio.get_running_loop().time() - KEEP
        while self._kept and next(iter(self._kept.values()))[1] <= before:
            await self._drop_oldest()
        self._timer = None
        self._watch()

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

    def __init__(self, pool: Pool, stream: Any, connection: Connection, key: Key) -> None:
        self._pool = pool
        self._stream = stream
        self._connection: Connection | None = connection
        self._key = key

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
                await self._pool._back(connection, self._key)


def _key(request: httpcore.Request) -> Key:
    """Requests of the same key may use the same connections."""
    origin = request.url.origin
    private = bool(request.extensions.get(PRIVATE_ONLY))
    return private, origin.scheme, origin.host, origin.port
