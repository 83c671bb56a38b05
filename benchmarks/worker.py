"""One measured step in a process of its own, so that its memory is its own: STEP {parameters}.

Prints what it measured as one JSON object.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aipartnerupflow import TaskRepository
from aipartnerupflow.api.stores import Store
from aipartnerupflow.api.wiring import open_store
from aipartnerupflow.engine.lifecycle import load
from benchmarks.commits import CommitClock
from benchmarks.filling import fill, task_id, tree_id
from benchmarks.machine import percentile, rss_mb
from benchmarks.raw import raw
from benchmarks.sampling import Sampler
from benchmarks.trees import documents, timed

try:
    import psycopg
except ModuleNotFoundError:
    psycopg = None  # type: ignore[assignment]

Measures = dict[str, Any]

LOOKUPS = 5_000
COLD = 100
"""Lookups, or calls, before those that count."""


@contextmanager
def _store(url: str, writer: str = "auto", durability: str = "power") -> Iterator[Store]:
    store = open_store(url, durability=durability, writer=writer)
    try:
        yield store
    finally:
        store.close()


def run_trees(url: str, shape: str, n: int, writer: str, limit: int | None) -> Measures:
    """Run trees of ``n`` tasks in all; what each task waited is read from the log afterwards."""
    with _store(url, writer) as store:
        clock = CommitClock(store)
        took, worked = asyncio.run(timed(store, documents(shape, n), limit, clock.start))
        rss = rss_mb()
        seen = clock.seen()
    return {
        "tasks_per_s": n / took,
        **_percentiles(seen.waits),
        "rss_mb": rss,
        "commits": clock.commits,
        "cpu_us": worked / n * 1e6,
        "event_bytes": seen.event_bytes,
    }


def sample_trees(url: str, shape: str, n: int, writer: str, limit: int | None) -> Measures:
    """Run the same trees, looking on where the time goes."""
    sampler = Sampler()
    with _store(url, writer) as store:
        took, worked = asyncio.run(timed(store, documents(shape, n), limit, sampler.start))
        groups = sampler.stop()
    return {"tasks_per_s": n / took, "cpu_us": worked / n * 1e6, "groups": groups}


def fill_store(url: str, trees: int, per_tree: int) -> Measures:
    """Make what `replay` and `status` read; on PostgreSQL do at once what autovacuum would do."""
    with _store(url, durability="process") as store:
        fill(store, trees, per_tree)
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
    return {}


def replay(url: str, n: int) -> Measures:
    """Load the state of one tree of ``n`` tasks."""
    with _store(url) as store:
        began, worked = time.perf_counter(), time.process_time()
        tree = load(store.journal, tree_id(0))
        took, worked = time.perf_counter() - began, time.process_time() - worked
        if tree.settled != "completed" or len(tree.tasks) != n + 1:
            raise RuntimeError("the state that was loaded is not the one that was stored")
        return _operations([took], worked, n)


def status(url: str, trees: int, per_tree: int) -> Measures:
    """Look up single tasks by id, picked at random among all."""
    chance = random.Random(0)

    with _store(url) as store:
        repository = TaskRepository(store)

        async def look_up() -> None:
            id = task_id(chance.randrange(trees), chance.randrange(per_tree))
            task = await repository.get_task_by_id(id)
            if task is None or task.status != "completed":
                raise RuntimeError(f"task {id} has not completed")

        took, worked = asyncio.run(_repeated(look_up, LOOKUPS))
        return _operations(took, worked, LOOKUPS)


def create(url: str, n: int) -> Measures:
    """Call `create_task` ``n`` times, all below one root."""
    with _store(url) as store:
        repository = TaskRepository(store)
        root = asyncio.run(repository.create_task("root"))

        async def add() -> None:
            await repository.create_task("noop", parent_id=root.id)

        took, worked = asyncio.run(_repeated(add, n))
        return {**_operations(took, worked, n), "commits": n}


async def _repeated(call: Callable[[], Awaitable[None]], n: int) -> tuple[list[float], float]:
    """Seconds of each of ``n`` calls, and the processor seconds of all."""
    for _ in range(COLD):
        await call()
    took = []
    worked = time.process_time()
    for _ in range(n):
        began = time.perf_counter()
        await call()
        took.append(time.perf_counter() - began)
    return took, time.process_time() - worked


def _operations(took: list[float], worked: float, tasks: int) -> Measures:
    return {
        "tasks_per_s": tasks / sum(took),
        **_percentiles(took),
        "rss_mb": rss_mb(),
        "commits": 0,
        "cpu_us": worked / tasks * 1e6,
    }


def _percentiles(seconds: list[float]) -> Measures:
    return {
        "p50_ms": percentile(seconds, 0.5) * 1e3,
        "p99_ms": percentile(seconds, 0.99) * 1e3,
    }


STEPS: dict[str, Callable[..., Measures]] = {
    "create": create,
    "fill": fill_store,
    "raw": raw,
    "replay": replay,
    "run": run_trees,
    "sample": sample_trees,
    "status": status,
}

if __name__ == "__main__":
    step, parameters = sys.argv[1:]
    print(json.dumps(STEPS[step](**json.loads(parameters))))
