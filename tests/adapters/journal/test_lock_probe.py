"""A loop does not stand still for another process that holds the writers' lock."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aipartnerupflow import Flow, task
from aipartnerupflow.api.wiring import open_store
from tests.support.places import executors

__all__ = ["executors"]

pytestmark = pytest.mark.usefixtures("executors")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    opened = open_store(str(tmp_path / "s.db"))
    yield opened
    opened.close()


def test_a_store_is_free_unless_somebody_writes(store: Any) -> None:
    recorder = store.journal.recorder
    assert recorder.is_free()
    with closing(sqlite3.connect(store.url, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert not recorder.is_free()
        assert time.monotonic() - began < 1
        other.execute("ROLLBACK")
    assert recorder.is_free()
    store.close()
    assert not recorder.is_free()


@pytest.mark.slow
async def test_a_lock_held_by_another_process_shows_within_a_second_and_blocks_no_loop(
    store: Any,
) -> None:
    @task
    async def work() -> int:
        return 1

    async with Flow(store.url) as flow:
        await (await flow.submit([{"id": "first", "name": "work"}])).settled()
        with closing(sqlite3.connect(store.url, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            asked = asyncio.create_task(flow.submit([{"id": "second", "name": "work"}]))
            while not flow.health.degraded:
                await asyncio.sleep(0.01)
                assert time.monotonic() - began < 2, "the loop stood still"
            assert time.monotonic() - began < 1
            assert flow.tree("first").status == "completed"
            other.execute("ROLLBACK")
        assert await (await asked).settled() == "completed"
