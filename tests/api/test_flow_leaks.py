"""An engine that runs for long: trees come, are cancelled and go, and leave nothing behind."""

import asyncio
import gc
import heapq
import os
import threading
import tracemalloc
from typing import Any

import pytest

from aipartnerupflow import Flow, task
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.engine.engine import Engine

AT_ONCE = 50
BYTES_A_CYCLE = 300
"""Noise of the allocator; one forgotten tree weighs some twenty times that."""
MOST_TIMERS = 200
"""Those of trees that have gone are swept out now and then."""
MOST_THREADS = 32 + 10
"""The pool for executors that block, and a few for the loop and the store."""


@pytest.fixture(autouse=True)
def work(executors: None) -> None:
    @task
    async def endless() -> None:
        await asyncio.sleep(1e6)

    @task
    async def broken() -> None:
        raise RuntimeError("it broke")

    @task
    def in_a_thread() -> None:
        threading.Event().wait(0.001)


def tree(n: int) -> list[dict[str, Any]]:
    """A tree with all that has to be looked after: slots, timers, keys, waits, backoffs."""
    spec: list[dict[str, Any]] = [
        {"name": "endless", "timeout": 1e6, "heartbeat": 1e6, "concurrency": {"key": f"key {n}"}},
        {"name": "broken", "retry": {"backoff": "fixed", "initial_delay": 1e6, "max_delay": 1e6}},
        {"name": "in_a_thread"},
        {"name": "signal", "inputs": {"timeout": 1e6}},
        {"name": "endless", "deadline": 1e6},
    ]
    return [{"id": f"r{n}", "name": "r"}, *({"parent_id": f"r{n}", **each} for each in spec)]


async def cycles(flow: Flow, numbers: range) -> None:
    async def cycle(n: int) -> None:
        handle = await flow.submit(tree(n), limit=3)
        await asyncio.sleep(0.002)
        await handle.cancel()
        assert await handle.settled() == "cancelled"

    for first in numbers[::AT_ONCE]:
        await asyncio.gather(*map(cycle, range(first, first + AT_ONCE)))


def held(engine: Engine) -> dict[str, int]:
    """How much there is of what might be forgotten."""
    return {
        "files": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "trees": len(engine.actors),
        "attempts": engine.starter.active,
        "watched": len(engine.supervisor._watched),
        "background": len(engine._background),
        "limits": len(engine._dispatch._limits),
        "slots": len(engine._dispatch._used),
    }


def sweep(engine: Engine) -> None:
    """Alarms of trees that have gone hold these until they are swept out: here at once, since how
    many are left at a given moment is a matter of chance.
    """
    live = [entry for entry in engine.timers._heap if entry[2].driven]
    engine.timers._heap[:] = live
    heapq.heapify(engine.timers._heap)
    gc.collect()


async def growth(flow: Flow, engine: Engine, numbers: range) -> tuple[int, str]:
    """By how many bytes the second half of these cycles makes memory grow, and where."""
    half = len(numbers) // 2
    tracemalloc.start()
    try:
        await cycles(flow, numbers[:half])
        sweep(engine)
        before = tracemalloc.take_snapshot()
        await cycles(flow, numbers[half:])
        sweep(engine)
        grown = tracemalloc.take_snapshot().compare_to(before, "lineno")
    finally:
        tracemalloc.stop()
    return sum(each.size_diff for each in grown), "\n".join(map(str, grown[:8]))


@pytest.mark.slow
async def test_a_thousand_trees_that_are_cancelled_leave_nothing_behind(db: Session) -> None:
    async with Flow(db.url) as flow:
        engine = db.store.running_engine()
        assert engine is not None
        await cycles(flow, range(200))
        gc.collect()
        before = held(engine)
        await cycles(flow, range(200, 600))
        total, where = await growth(flow, engine, range(600, 1_000))
        after = held(engine)
        assert {name: after[name] for name in before if after[name] > before[name]} == {}
        assert len(engine.timers) <= MOST_TIMERS
        assert threading.active_count() <= MOST_THREADS
        assert total < 200 * BYTES_A_CYCLE, f"{total} bytes\n{where}"
