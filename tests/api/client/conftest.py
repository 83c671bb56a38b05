"""A server on a socket for each test, and both clients to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from aipartnerupflow import AsyncClient, Client
from tests.api.http.conftest import socket_server, work
from tests.support.places import executors, place
from tests.support.servers import Threaded

__all__ = ["executors", "place", "socket_server", "work"]

Ask = Callable[..., Any]


@pytest.fixture
def server(socket_server: Threaded) -> Threaded:
    """A server over a store in memory."""
    return socket_server


@pytest.fixture
def client(server: Threaded) -> Iterator[Client]:
    """With the token of the first start."""
    with Client(server.url, server.token, patience=5) as made:
        yield made


@pytest.fixture(params=["Client", "AsyncClient"])
def ask(request: pytest.FixtureRequest, server: Threaded) -> Iterator[Ask]:
    """Calls a method by its name, on either client; what is iterated over comes as a list."""
    if request.param == "Client":
        with Client(server.url, server.token, patience=5) as client:
            yield lambda method, /, *args, **given: _whole(getattr(client, method)(*args, **given))
        return

    def asked(method: str, /, *args: Any, **given: Any) -> Any:
        return asyncio.run(_asked(server, method, *args, **given))

    yield asked


def _whole(found: Any) -> Any:
    return list(found) if isinstance(found, Iterator) else found


async def _asked(server: Threaded, method: str, /, *args: Any, **given: Any) -> Any:
    async with AsyncClient(server.url, server.token, patience=5) as client:
        found = getattr(client, method)(*args, **given)
        if isinstance(found, AsyncIterator):
            return [item async for item in found]
        assert isinstance(found, Coroutine)
        return await found
