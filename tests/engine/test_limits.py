"""Who runs first, and how many at once: by pool, executor and tree."""

import asyncio

from aipartnerupflow.engine.ports import Call, Kind
from tests.support.bench import Bench, MakeBench, chain, fan, until


async def test_priority_zero_runs_first_and_age_decides_within_a_priority(bench: Bench) -> None:
    tasks = fan(0)
    for i, priority in enumerate([3, 2, 1, 0, 0]):
        tasks.append({"id": f"t{i}", "name": "noop", "parent_id": "r", "priority": priority})
    await bench.run(tasks, limit=1)
    assert bench.started() == ["t3", "t4", "t2", "t1", "t0"]


async def test_a_tree_never_runs_more_at_once_than_its_limit(bench: Bench) -> None:
    async def brief(call: Call) -> None:
        await asyncio.sleep(0.001)

    bench.on("noop", brief)
    await bench.run(fan(20), limit=3)
    assert bench.backend.most == 3


async def test_an_executor_kind_never_runs_more_at_once_than_its_limit(
    make_bench: MakeBench,
) -> None:
    async def brief(call: Call) -> None:
        await asyncio.sleep(0.001)

    bench = make_bench(kinds={"noop": Kind("noop", limit=2)})
    bench.on("noop", brief)
    first, second = fan(10), [dict(task) for task in fan(10)]
    for task in second:
        task["id"] = "s" + task["id"]
        if "parent_id" in task:
            task["parent_id"] = "sr"
    await asyncio.gather(bench.run(first), bench.run(second))
    assert bench.backend.most == 2


async def test_the_engine_never_runs_more_at_once_than_its_pool(make_bench: MakeBench) -> None:
    async def brief(call: Call) -> None:
        await asyncio.sleep(0)

    bench = make_bench(slots=7)
    bench.on("noop", brief)
    await bench.run(fan(50))
    assert bench.backend.most == 7


async def test_one_task_that_runs_long_does_not_hold_up_the_others(bench: Bench) -> None:
    gate = asyncio.Event()

    async def wait(call: Call) -> None:
        await gate.wait()

    bench.on("waits", wait)
    actor = await bench.submit([*chain(30), {"id": "x", "name": "waits", "parent_id": "r"}])
    await until(lambda: len(bench.started()) == 31)
    gate.set()
    assert await actor.waiter() == "completed"
