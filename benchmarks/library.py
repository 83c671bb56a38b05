"""Trees of ten tasks through the library: URL CLIENTS TREES, for rest.py."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

from aipartnerupflow import Flow
from benchmarks import trees
from benchmarks.machine import percentile
from benchmarks.wire import ten

__all__ = ["trees"]


async def load(url: str, clients: int, count: int) -> dict[str, float]:
    """As many callers at once as there are clients."""
    async with Flow(url) as flow:

        async def caller(left: Iterator[int]) -> None:
            for _ in left:
                began = time.perf_counter()
                await (await flow.submit(ten())).settled()
                took.append(time.perf_counter() - began)

        async def several(number: int) -> None:
            left = iter(range(number))
            await asyncio.gather(*(caller(left) for _ in range(clients)))

        took: list[float] = []
        await several(50)
        took.clear()
        cpu, began = time.process_time(), time.perf_counter()
        await several(count)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "trees_per_s": count / seconds, "p50_ms": percentile(took, 0.5) * 1e3,
        "p99_ms": percentile(took, 0.99) * 1e3, "cpu_ms": cpu / count * 1e3,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
