"""What every way of telling living engines from dead ones must hold."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from aipartnerupflow.adapters.journal.postgres.leases import PostgresLeases
from aipartnerupflow.adapters.liveness import (
    FileLiveness,
    LocalLiveness,
    ProcessLiveness,
    engine_name,
)
from aipartnerupflow.engine.ports import Liveness
from aipartnerupflow.engine.takeover import beat
from aipartnerupflow.testing.fakes import FakeExecutors
from tests.support.journals import SQLiteStore, Store

Make = Callable[[], Liveness]


@pytest.fixture
def make(kind: str, store: Store) -> Iterator[Make]:
    """Makes engines on one store."""
    handle = store.open()
    with ExitStack() as ends:

        def made() -> Liveness:
            engine: Liveness
            if kind == "memory":
                engine = LocalLiveness()
            elif isinstance(store, SQLiteStore):
                engine = FileLiveness(store.path)
            else:
                engine = ProcessLiveness(PostgresLeases(handle.recorder), ["x"])
            ends.callback(engine.leave)
            return engine

        yield made


def test_an_engine_lives_until_it_leaves(make: Make) -> None:
    one, two = make(), make()
    assert one.name != two.name
    assert (one.alive(one.name), one.alive(two.name), two.alive(one.name)) == (True, True, True)
    two.leave()
    assert one.alive(two.name) is False
    assert one.alive(one.name) is True


def test_an_engine_that_never_was_is_dead(make: Make) -> None:
    assert make().alive(engine_name()) is False


def test_who_beats_in_time_is_told_that_it_lives(make: Make) -> None:
    engine = make()
    for _ in range(3):
        assert engine.beat(["x", "y"]) is True
    assert engine.alive(engine.name) is True


def test_leaving_twice_is_no_error(make: Make) -> None:
    engine = make()
    engine.leave()
    engine.leave()


def test_engines_beat_only_where_somebody_counts_on_it(kind: str, make: Make) -> None:
    assert make().beat_every == (3.0 if kind == "postgres" else None)


async def test_a_lease_is_prolonged_though_the_threads_of_the_loop_are_busy() -> None:
    loop = asyncio.get_running_loop()
    done = threading.Event()
    beaten = asyncio.Event()

    def prolong(executors: object) -> bool:
        loop.call_soon_threadsafe(beaten.set)
        return True

    loop.set_default_executor(ThreadPoolExecutor(1))
    loop.run_in_executor(None, done.wait)
    engine: Any = SimpleNamespace(
        loop=loop, name="a", executors=FakeExecutors(),
        liveness=SimpleNamespace(beat_every=0.01, beat=prolong),
    )  # fmt: skip
    beating = loop.create_task(beat(engine))
    try:
        async with asyncio.timeout(10):
            await beaten.wait()
    finally:
        done.set()
        beating.cancel()
    assert beaten.is_set()
