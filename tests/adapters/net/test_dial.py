"""Sockets through the guard."""

import asyncio
import socket
from collections.abc import Sequence

import pytest

from aipartnerupflow.adapters.net.dial import Unreached, dial
from aipartnerupflow.adapters.net.guard import Guard, Resolve
from aipartnerupflow.domain.errors import TargetRefused


def answers(*rounds: Sequence[str]) -> Resolve:
    """A resolver that says something else each time."""
    left = list(rounds)

    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(0)
        return left.pop(0)

    return resolve


async def test_the_first_address_that_takes_a_connection_is_used() -> None:
    guard = Guard(["127.0.0.0/8", "::1"], resolve=answers(["::1", "127.0.0.2", "127.0.0.1"]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        made = await dial(guard, "inside", port)
        with made:
            assert made.getpeername() == ("127.0.0.1", port)
            assert not made.getblocking()


async def test_a_target_that_takes_none_may_do_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreached) as caught:
        await dial(Guard(["127.0.0.1"]), "127.0.0.1", port)
    assert caught.value.transient


async def test_no_connection_is_made_where_one_address_is_refused() -> None:
    guard = Guard(["127.0.0.1"], resolve=answers(["127.0.0.1", "10.0.0.1"]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        with pytest.raises(TargetRefused):
            await dial(guard, "inside", server.getsockname()[1])
        with pytest.raises(BlockingIOError):
            server.accept()
