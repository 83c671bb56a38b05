"""Flow in several loops of one process, each with an engine of its own on the same store."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aipartnerupflow import Flow, task
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain.errors import InvalidInput, OwnedElsewhere
from tests.support.places import topics


@pytest.fixture(autouse=True)
def work(executors: None) -> None:
    @task
    async def endless() -> None:
        await asyncio.sleep(1e6)


def tree(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": "r", "name": "r"}, *({"parent_id": "r", **each} for each in tasks)]


async def soon(awaitable: Awaitable[str]) -> str:
    return await asyncio.wait_for(awaitable, 10)


class Elsewhere:
    """Another loop, in a thread, with a flow on the same store until `leave`."""

    def __init__(self, url: str, act: Callable[[Flow], Awaitable[None]]) -> None:
        self._left = threading.Event()
        self.ready = threading.Event()

        async def live() -> None:
            async with Flow(url) as flow:
                await act(flow)
                self.ready.set()
                await asyncio.to_thread(self._left.wait)

        self.thread = threading.Thread(target=lambda: asyncio.run(live()))
        self.thread.start()

    async def leave(self) -> None:
        self._left.set()
        await asyncio.to_thread(self.thread.join)


async def test_the_engine_of_another_loop_is_asked_through_the_inbox(db: Session) -> None:
    async def submit(flow: Flow) -> None:
        await flow.submit(tree({"name": "endless"}, {"id": "s", "name": "signal"}))

    elsewhere = Elsewhere(db.url, submit)
    try:
        await asyncio.to_thread(elsewhere.ready.wait)
        async with Flow(db.url) as flow:
            handle = flow.tree("r")
            await handle.signal("s", 7)
            with pytest.raises(InvalidInput, match="has no task 'nobody'"):
                await handle.cancel("nobody")
            await handle.cancel()
            assert await soon(handle.settled()) == "cancelled"
    finally:
        await elsewhere.leave()
    assert topics(db, "r").count("tree.claimed") == 1


async def test_a_flow_that_resumes_takes_up_what_another_lets_go(db: Session) -> None:
    async def submit(flow: Flow) -> None:
        await flow.submit(tree({"name": "wait", "inputs": {"seconds": 1}}))

    elsewhere = Elsewhere(db.url, submit)
    await asyncio.to_thread(elsewhere.ready.wait)
    async with Flow(db.url, resume=True) as flow:
        assert set(flow.refused) == {"r"}
        await elsewhere.leave()
        assert await soon(flow.tree("r").settled()) == "completed"


async def test_in_a_store_of_this_process_only_another_loop_cannot_be_asked(
    place: object, executors: None
) -> None:
    async def submit(flow: Flow) -> None:
        await flow.submit(tree({"name": "endless"}))

    elsewhere = Elsewhere("memory://two-loops", submit)
    try:
        await asyncio.to_thread(elsewhere.ready.wait)
        async with Flow("memory://two-loops") as flow:
            with pytest.raises(OwnedElsewhere):
                await flow.tree("r").cancel()
    finally:
        await elsewhere.leave()
