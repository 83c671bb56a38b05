"""A store with many trees, and how long the newest are looked for: URL TREES, for rest.py."""

import asyncio
import json
import sys
import time
import uuid

from aipartnerupflow import Flow
from aipartnerupflow.api.stores import Store
from aipartnerupflow.api.wiring import open_store
from aipartnerupflow.domain.events import TreeCreated
from aipartnerupflow.domain.specs import TaskSpec
from aipartnerupflow.engine.ports import Append
from benchmarks.machine import percentile
from benchmarks.trees import fanout

AT_ONCE = 5_000
LONG = 5_000
"""Tasks of the tree ``long``: twice as many events, and some."""


def fill(store: Store, trees: int) -> None:
    """Drafts of one task each."""
    for first in range(0, trees, AT_ONCE):
        units = []
        for _ in range(first, min(first + AT_ONCE, trees)):
            id = str(uuid.uuid4())
            made = TreeCreated(
                at=store.now(), uid=str(uuid.uuid4()), name="listed", owner="local",
                specs=(TaskSpec(id=id, name="noop"),),
            )  # fmt: skip
            units.append([Append(id, 0, [made], {id: 0})])
        store.journal.append(units)


async def long(store: Store) -> int:
    """Run a tree whose history is long; its version."""
    async with Flow(store.url) as flow:
        tree = await flow.submit(fanout("long", LONG), user_id="local")
        await tree.settled()
        return tree.view().version


def main(url: str, trees: str) -> None:
    """Print what was found."""
    store = open_store(url)
    version = asyncio.run(long(store))
    fill(store, int(trees))
    took = []
    for _ in range(300):
        began = time.perf_counter()
        assert len(store.reads.trees(limit=20)) == 20
        took.append(time.perf_counter() - began)
    print(json.dumps({"version": version, "p50_ms": percentile(took[50:], 0.5) * 1e3}))


if __name__ == "__main__":
    main(*sys.argv[1:])
