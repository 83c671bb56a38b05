"""One of several processes on a store: STEP URL ARGUMENT…, for engines.py."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

from aipartnerupflow import BaseTask, Flow, executor_register
from benchmarks.trees import documents, run


@executor_register()
class Hang(BaseTask):
    """Runs for ever; writes down when it began, where it was told to."""

    id = "hang"
    name = "hang"
    mark: Path | None = None

    async def execute(self, inputs: dict[str, Any]) -> None:
        """Never returns."""
        if Hang.mark is not None and not Hang.mark.exists():
            partial = Hang.mark.with_suffix(".part")
            partial.write_text(str(time.time()))
            partial.replace(Hang.mark)
        await asyncio.sleep(3600)


def _left(k: int) -> list[dict[str, Any]]:
    """A tree of five tasks of which the first runs for ever."""
    root = {"id": f"left{k}", "name": f"left{k}"}
    tasks: list[dict[str, Any]] = [
        {"id": f"left{k}.{i}", "name": "hang", "parent_id": root["id"]} for i in range(5)
    ]
    for before, task in pairwise(tasks):
        task["dependencies"] = [before["id"]]
    return [root, *tasks]


async def leave(url: str, trees: str) -> None:
    """Submit trees that do not end; say so, and wait to be killed."""
    async with Flow(url) as flow:
        await asyncio.gather(*(flow.submit(_left(k)) for k in range(int(trees))))
        print("left", flush=True)
        await asyncio.sleep(3600)


async def resume(url: str, mark: str) -> None:
    """Go on with all that was left."""
    Hang.mark = Path(mark)
    async with Flow(url, resume=True):
        await asyncio.sleep(3600)


async def share(url: str, trees: str, which: str) -> None:
    """Run a share of the trees once told to; print from when to when."""
    async with Flow(url) as flow:
        await run(flow, documents("trees", 10, f"warm{which}-"), None)
        work = documents("trees", int(trees) * 10, f"s{which}-")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        began = time.time()
        await run(flow, work, None)
        print(json.dumps([began, time.time()]), flush=True)


if __name__ == "__main__":
    step, *arguments = sys.argv[1:]
    steps: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
        "leave": leave,
        "resume": resume,
        "share": share,
    }
    asyncio.run(steps[step](*arguments))
