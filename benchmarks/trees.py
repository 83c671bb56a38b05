"""The trees that are run, their executor, and the running of them."""

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from aipartnerupflow import BaseTask, Flow, executor_register
from aipartnerupflow.api.stores import Store

CHAIN = 10
"""Tasks in each tree of the workload ``trees``."""

WARM_UP = 10

Document = dict[str, Any]


@executor_register()
class Noop(BaseTask):
    """Does nothing."""

    id = "noop"
    name = "noop"

    async def execute(self, inputs: dict[str, Any]) -> None:
        """Return at once."""


def chain(root: str, n: int) -> list[Document]:
    """A group of ``n`` tasks, each of which waits for the one before."""
    tasks = fanout(root, n)
    for before, task in pairwise(tasks[1:]):
        task["dependencies"] = [before["id"]]
    return tasks


def fanout(root: str, n: int) -> list[Document]:
    """A group of ``n`` independent tasks; task i is called ``root.i``."""
    top: Document = {"id": root, "name": root}
    below = ({"id": f"{root}.{i}", "name": "noop", "parent_id": root} for i in range(n))
    return [top, *below]


def documents(shape: str, n: int, prefix: str = "bench") -> list[list[Document]]:
    """Trees of one shape with ``n`` tasks in all, groups not counted."""
    if shape == "chain":
        return [chain(prefix, n)]
    if shape == "fanout":
        return [fanout(prefix, n)]
    starts = range(0, n, CHAIN)
    return [chain(f"{prefix}{k}", min(CHAIN, n - k)) for k in starts]


async def run(flow: Flow, trees: Sequence[Sequence[Document]], limit: int | None) -> None:
    """Submit all at once and wait for all."""

    async def one(tree: Sequence[Document]) -> str:
        return await (await flow.submit(tree, limit=limit)).settled()

    statuses = await asyncio.gather(*map(one, trees))
    if set(statuses) != {"completed"}:
        raise RuntimeError(f"not all trees completed: {sorted(set(statuses))}")


async def timed(
    store: Store,
    trees: Sequence[Sequence[Document]],
    limit: int | None,
    begin: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Seconds and processor seconds from the first submit to the last settled.

    One small tree is run before, so that what is imported and opened with first use is not
    measured; then ``begin`` is called.
    """
    async with Flow(store.url) as flow:
        await run(flow, [chain("warm-up", WARM_UP)], None)
        gc.collect()
        begin()
        began, worked = time.perf_counter(), time.process_time()
        await run(flow, trees, limit)
        return time.perf_counter() - began, time.process_time() - worked
