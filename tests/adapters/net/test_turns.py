"""So many at once of each kind."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.adapters.net.http import Http, Unanswered, Unsent
from aipartnerupflow.adapters.net.turns import Turns
from tests.support.http_target import http_target
from tests.support.places import until
from tests.support.receivers import Reply, Request, receiver


async def test_a_key_that_is_busy_holds_up_no_other_and_is_forgotten() -> None:
    turns: Turns[str] = Turns(6, each=2)
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


async def test_the_last_turns_are_for_keys_that_have_none() -> None:
    turns: Turns[str] = Turns(4, spare=2)
    go = asyncio.Event()
    inside: list[str] = []

    async def take(key: str) -> None:
        async with turns.of(key):
            inside.append(key)
            await go.wait()

    tasks = [asyncio.create_task(take(key)) for key in "aaabbcd"]
    await until(lambda: len(inside) >= 4)
    await asyncio.sleep(0)
    assert inside == ["a", "a", "b", "c"]
    go.set()
    await asyncio.gather(*tasks)
    assert (sorted(inside), len(turns), turns.total) == (list("aaabbcd"), 0, 0)


async def test_those_that_wait_come_in_turn_by_key() -> None:
    turns: Turns[str] = Turns(1)
    inside: list[str] = []

    async def take(key: str) -> None:
        async with turns.of(key):
            inside.append(key)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(key) for key in "aaabbc"))
    assert inside == ["a", "a", "b", "c", "a", "b"]


async def test_who_waits_too_long_or_is_cancelled_takes_no_turn_along() -> None:
    turns: Turns[str] = Turns(1)
    async with turns.of("a"):
        with pytest.raises(TimeoutError):
            async with turns.of("a", 0.01):
                raise AssertionError
        waiting = asyncio.create_task(turns._enter("b", None))
        await asyncio.sleep(0)
    waiting.cancel()  # just when it was given its turn
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (len(turns), turns.total) == (0, 0)


async def test_a_slow_origin_leaves_connections_to_the_others() -> None:
    http = Http(Guard(["127.0.0.1"]), most=3, each=2, patience=0.1)
    with http_target() as slow, http_target() as quick:
        waiting = [
            asyncio.create_task(http.call("GET", f"{slow.url}/hang", seconds=30)) for _ in range(4)
        ]
        await until(lambda: slow.hanging == 2)
        assert (await http.call("GET", f"{quick.url}/", seconds=5)).status == 200
        with pytest.raises(Unsent, match="it was not sent: 2 calls to this origin") as caught:
            await http.call("POST", f"{slow.url}/", seconds=0.1)
        assert caught.value.transient
        assert slow.hanging == 2
        await ended(*waiting)
        slow.released.set()
    await http.close()


async def test_a_few_slow_origins_cannot_take_all_connections() -> None:
    http = Http(Guard(["127.0.0.1"]), most=8, each=3, spare=2)
    with http_target() as one, http_target() as two, http_target() as three, http_target() as quick:
        slow = (one, two, three)
        waiting = [
            asyncio.create_task(http.call("GET", f"{each.url}/hang", seconds=30))
            for each in slow
            for _ in range(4)
        ]
        await until(lambda: sum(each.hanging for each in slow) == 7)
        assert (await http.call("GET", f"{quick.url}/", seconds=5)).status == 200
        await ended(*waiting)
        for each in slow:
            each.released.set()
    await http.close()


async def test_the_time_of_a_call_runs_from_its_turn_on() -> None:
    http = Http(Guard(["127.0.0.1"]), most=2)
    with receiver(slowly(Reply(200))) as server:
        found = await asyncio.gather(
            *(http.call("POST", server.url, seconds=0.5) for _ in range(10))
        )
        assert [each.status for each in found] == [200] * 10
    await http.close()


async def test_redirects_share_the_time_of_their_call() -> None:
    http = Http(Guard(["127.0.0.1"]))
    with receiver(slowly(Reply(302, {"location": "/on"}))) as server:
        with pytest.raises(Unanswered, match=r"no answer within 0\.5 s"):
            await http.call("GET", server.url, seconds=0.5)
        assert len(server.requests) == 3
    await http.close()


async def ended(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def slowly(reply: Reply) -> Callable[[Request], Reply]:
    def answer(request: Request) -> Reply:
        time.sleep(0.2)
        return reply

    return answer
