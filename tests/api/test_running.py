"""Running one tree from several places at once."""

import asyncio
import threading

import pytest

from aipartnerupflow import Flow, TaskManager, task
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.api.running import Before, run_to_end
from aipartnerupflow.api.wiring import owners_alive
from tests.support.places import started, until


@pytest.fixture(autouse=True)
def slow(executors: None) -> None:
    @task
    async def slow(seconds: float = 0.1) -> None:
        await asyncio.sleep(seconds)


async def test_of_callers_in_one_moment_one_drives_the_tree(
    manager: TaskManager, db: Session
) -> None:
    await manager.task_repository.create_task("slow", id="r")
    callers = asyncio.gather(*(run_to_end(db.store, "r") for _ in range(3)))
    assert sorted(await asyncio.wait_for(callers, 10)) == [False, False, True]
    assert started(db, "r") == ["slow"]


async def test_of_callers_in_one_moment_one_takes_an_interrupted_tree_up(
    manager: TaskManager, db: Session
) -> None:
    await manager.task_repository.create_task("slow", id="r", inputs={"seconds": 0.3})
    first = asyncio.create_task(run_to_end(db.store, "r"))
    await until(lambda: started(db, "r"))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    callers = asyncio.gather(*(run_to_end(db.store, "r") for _ in range(3)))
    assert sorted(await asyncio.wait_for(callers, 10)) == [False, False, True]
    assert started(db, "r") == ["slow", "slow"]


def test_of_two_loops_in_one_moment_one_drives_the_tree(manager: TaskManager, db: Session) -> None:
    """Many times, because who is quicker is left to chance."""
    for n in range(20):
        id = f"r{n}"
        asyncio.run(manager.task_repository.create_task("slow", id=id, inputs={"seconds": 0.02}))
        ready = threading.Barrier(2)
        drove: list[bool] = []

        async def before(ready: threading.Barrier = ready) -> None:
            ready.wait(10)

        def run(id: str = id, drove: list[bool] = drove, before: Before = before) -> None:
            drove.append(asyncio.run(run_to_end(db.store, id, before=before)))

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(drove) == [False, True]
        assert started(db, id) == ["slow"]


@pytest.fixture
def stubborn(slow: None) -> list[str]:
    """A task that takes its time to end when it is cancelled; says here when it has."""
    ended: list[str] = []

    @task
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.3)
            ended.append("stubborn")
            raise

    return ended


async def cancelled(run: "asyncio.Task[object]", times: int) -> None:
    """Cancel again and again while it stops, which it does not do any faster for that."""
    for _ in range(times):
        run.cancel()
        await asyncio.sleep(0.02)
    assert not run.done()
    with pytest.raises(asyncio.CancelledError):
        await run


@pytest.mark.parametrize("times", [1, 2, 4])
async def test_a_cancelled_run_frees_its_tree_when_what_ran_has_ended(
    manager: TaskManager, db: Session, stubborn: list[str], times: int
) -> None:
    await manager.task_repository.create_task("stubborn", id="r")
    async with db.store.engine():  # others use it too: it is not closed yet
        run = asyncio.create_task(run_to_end(db.store, "r"))
        await until(lambda: started(db, "r"))
        await cancelled(run, times)
        assert stubborn == ["stubborn"]
        assert db.store.tree("r").released


@pytest.mark.parametrize("times", [1, 2, 4])
async def test_an_engine_is_closed_to_the_end_however_often_its_user_is_cancelled(
    db: Session, stubborn: list[str], times: int
) -> None:
    async def use() -> None:
        async with Flow(db.url) as flow:
            await flow.submit([{"id": "r", "name": "stubborn"}])
            await asyncio.sleep(60)

    run = asyncio.create_task(use())
    await until(lambda: started(db, "r"))
    await cancelled(run, times)
    assert stubborn == ["stubborn"]
    view = db.store.tree("r")
    assert view.released
    assert not db.store.busy
    assert owners_alive(db.store, [view.engine]) == {view.engine: False}


async def test_a_settled_tree_is_not_driven(manager: TaskManager, db: Session) -> None:
    await manager.task_repository.create_task("slow", id="r", inputs={"seconds": 0})
    assert await run_to_end(db.store, "r") is True
    assert await run_to_end(db.store, "r") is False


async def test_before_is_awaited_once_and_only_for_a_draft(
    manager: TaskManager, db: Session
) -> None:
    phases = []

    async def before() -> None:
        phases.append(db.store.tree("r").phase)

    await manager.task_repository.create_task("slow", id="r")
    await asyncio.gather(*(run_to_end(db.store, "r", before=before) for _ in range(3)))
    await run_to_end(db.store, "r", before=before)
    assert phases == ["draft"]
