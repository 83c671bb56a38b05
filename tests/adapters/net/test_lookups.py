"""Names are looked up in threads of their own, each once however many ask."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aipartnerupflow.adapters.net.guard import Guard, Unresolved
from aipartnerupflow.adapters.net.lookups import (
    ALIKE,
    THREADS,
    WAITING,
    LookUps,
    TooMany,
    system_resolve,
)
from tests.support.places import until


class Resolver:
    """Answers with this machine; for names that begin with ``slow`` once it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()

    def __call__(self, host: str, *args: Any, **kwargs: Any) -> list[Any]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.released.wait(60)
        if host.startswith("none"):
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.released.set()


async def ended(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_names_that_hang_hold_up_no_thread_of_the_loop_and_no_other_name(
    resolver: Resolver,
) -> None:
    guard = Guard(["127.0.0.1"])
    hanging = [asyncio.create_task(guard.pin(f"slow{n}.example.org", 80)) for n in range(64)]
    await until(lambda: len(resolver.asked) >= ALIKE)
    began = time.monotonic()
    await asyncio.to_thread(lambda: None)
    assert (await guard.pin("other.example.com", 80)).addresses == ("127.0.0.1",)
    assert (await guard.pin("127.0.0.1", 80)).addresses == ("127.0.0.1",)
    assert time.monotonic() - began < 1
    assert sum(name.startswith("slow") for name in resolver.asked) == ALIKE
    await ended(*hanging)


async def test_who_asks_for_the_same_name_shares_one_look_up(resolver: Resolver) -> None:
    look = LookUps()
    asking = [asyncio.create_task(look("slow.example.org", port)) for port in (80, 443, 22)]
    await until(lambda: len(resolver.asked) == 1)
    await ended(asking.pop())
    await asyncio.sleep(0.05)
    resolver.released.set()
    assert await asyncio.gather(*asking) == [["127.0.0.1"]] * 2
    assert resolver.asked == ["slow.example.org"]


async def test_nobody_waits_for_longer_than_a_while(resolver: Resolver) -> None:
    guard = Guard(resolve=LookUps(0.05))
    for _ in range(2):
        with pytest.raises(Unresolved, match="not resolved in time") as caught:
            await guard.pin("slow.example.org", 80)
        assert caught.value.transient
    assert resolver.asked == ["slow.example.org"]


async def test_what_waits_for_a_thread_gets_one_once_there_is_one(resolver: Resolver) -> None:
    look = LookUps()
    names = [f"slow{n}.k{n % 8}.example" for n in range(THREADS + 40)]
    asking = [asyncio.create_task(look(name, 80)) for name in names]
    await until(lambda: len(resolver.asked) == THREADS)
    await asyncio.sleep(0.05)
    assert len(resolver.asked) == THREADS
    resolver.released.set()
    assert await asyncio.gather(*asking) == [["127.0.0.1"]] * len(names)
    assert sorted(resolver.asked) == sorted(names)
    assert await look("later.example", 80) == ["127.0.0.1"]


async def test_too_many_names_are_refused_at_once_and_who_leaves_makes_room(
    resolver: Resolver,
) -> None:
    look = LookUps()
    names = [f"slow{n}.example.org" for n in range(ALIKE + WAITING)]
    asking = [asyncio.create_task(look(name, 80)) for name in names]
    await until(lambda: len(resolver.asked) == ALIKE)
    await asyncio.sleep(0)
    with pytest.raises(TooMany):
        await look("one-more.example.com", 80)
    with pytest.raises(Unresolved, match="too many names are being looked up"):
        await Guard(resolve=look).pin("one-more.example.com", 80)
    await ended(asking.pop())
    assert await look("one-more.example.com", 80) == ["127.0.0.1"]
    await ended(*asking)


async def test_a_name_that_is_not_found_is_told_to_all_who_ask(resolver: Resolver) -> None:
    look = LookUps()
    found = await asyncio.gather(
        *(look("none.example", 80) for _ in range(3)), return_exceptions=True
    )
    assert [type(each) for each in found] == [socket.gaierror] * 3


async def test_a_machine_without_threads_says_so(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    look = LookUps()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(TooMany):
            await look("a.example", 80)
    assert await look("a.example", 80) == ["127.0.0.1"]


def test_a_loop_that_has_ended_is_told_nothing(resolver: Resolver) -> None:
    look = LookUps(0.05)

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await look("slow.example", 80)

    asyncio.run(leave())
    resolver.released.set()
    assert asyncio.run(look("slow.example", 80)) == ["127.0.0.1"]


async def test_a_fork_begins_anew(resolver: Resolver) -> None:
    hanging = asyncio.create_task(system_resolve("slow.example.org", 80))
    await until(lambda: len(resolver.asked) == 1)
    if (child := os.fork()) == 0:
        os._exit(len(system_resolve._known))
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    await ended(hanging)
