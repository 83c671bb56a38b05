"""So many at once of each kind."""

import asyncio

import pytest

from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.adapters.net.http import Http, Unanswered
from aipartnerupflow.adapters.net.turns import Turns
from tests.support.http_target import http_target
from tests.support.places import until


async def test_a_key_that_is_busy_holds_up_no_other_and_is_forgotten() -> None:
    turns: Turns[str] = Turns(2)
    go = asyncio.Event()
    inside: list[str] = []

    async def take(key: str) -> None:
        async with turns.of(key):
            inside.append(key)
            await go.wait()

    tasks = [asyncio.create_task(take(key)) for key in "aaaab"]
    await until(lambda: len(inside) >= 3)
    assert sorted(inside) == ["a", "a", "b"]
    tasks[3].cancel()
    go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(inside) == ["a", "a", "a", "b"]
    assert len(turns) == 0


async def test_a_slow_origin_leaves_connections_to_the_others() -> None:
    http = Http(Guard(["127.0.0.1"]), most=3, each=2)
    with http_target() as slow, http_target() as quick:
        waiting = [
            asyncio.create_task(http.call("GET", f"{slow.url}/hang", seconds=30)) for _ in range(4)
        ]
        await until(lambda: slow.hanging == 2)
        assert (await http.call("GET", f"{quick.url}/", seconds=5)).status == 200
        with pytest.raises(Unanswered):
            await http.call("GET", f"{slow.url}/", seconds=0.1)
        assert slow.hanging == 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        slow.released.set()
    await http.close()
