"""Pauses of trees and of whole engines: nothing starts, what runs goes on."""

import asyncio

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import InvalidTransition
from tests.support.bench import Bench, MakeBench, chain, fan, one, until
from tests.support.works import Flaky, Gate


async def test_in_a_pause_what_runs_finishes_and_nothing_starts(bench: Bench) -> None:
    gate = Gate()
    bench.on("noop", gate)
    actor = await bench.submit(chain(3))
    await bench.ask("pause", reason="hold on")
    gate.open()
    await asyncio.sleep(1_000)
    assert bench.started() == ["t0"]
    assert bench.topics()[-1] == "task.completed"
    await bench.ask("unpause")
    assert await actor.waiter() == "completed"
    assert bench.started() == ["t0", "t1", "t2"]
    assert bench.facts(e.TreePaused)[0].reason == "hold on"


async def test_what_waits_for_a_slot_waits_on_and_others_get_it(make_bench: MakeBench) -> None:
    bench = make_bench(slots=1)
    bench.on("noop", lambda call: asyncio.sleep(1))
    first = await bench.submit(fan(4))
    await bench.ask("pause")
    assert await bench.run([{"id": "other", "name": "noop"}]) == "completed"
    assert bench.started() == ["t0", "other"]
    await bench.ask("unpause")
    assert await first.waiter() == "completed"
    assert bench.started() == ["t0", "other", "t1", "t2", "t3"]


async def test_a_pause_survives_a_crash_and_is_ended_by_the_next_engine(bench: Bench) -> None:
    gate = Gate()
    bench.on("noop", gate)
    await bench.submit(chain(3))
    await bench.ask("pause")
    bench.crash("engine-2")
    gate.open()
    actor = await bench.take()
    await asyncio.sleep(1_000)
    assert bench.started() == []
    assert bench.topics()[-2:] == ["tree.claimed", "task.interrupted"]
    await bench.ask("unpause")
    assert await actor.waiter() == "completed"


async def test_a_retry_that_falls_due_in_a_pause_waits_for_its_end(bench: Bench) -> None:
    work = Flaky(1)
    bench.on("flaky", work)
    actor = await bench.submit(one("flaky", retry={}))
    await bench.ask("pause")
    await asyncio.sleep(30)
    await bench.ask("unpause")
    await actor.waiter()
    assert work.at == [0, 30]


async def test_a_retry_that_is_not_due_at_the_end_of_a_pause_keeps_its_time(bench: Bench) -> None:
    work = Flaky(1)
    bench.on("flaky", work)
    actor = await bench.submit(one("flaky", retry={"initial_delay": 60}))
    await bench.ask("pause")
    await asyncio.sleep(30)
    await bench.ask("unpause")
    await actor.waiter()
    assert work.at == [0, 60]


async def test_twice_changes_nothing(bench: Bench) -> None:
    bench.on("noop", Gate())
    await bench.submit(fan(1))
    first = await bench.ask("pause")
    assert await bench.ask("pause") == first
    second = await bench.ask("unpause")
    assert await bench.ask("unpause") == second
    assert second.version == first.version + 1


async def test_what_has_settled_is_not_paused(bench: Bench) -> None:
    await bench.run(one("noop"))
    with pytest.raises(InvalidTransition):
        await bench.ask("pause")


async def test_a_paused_tree_is_cancelled_and_settles(bench: Bench) -> None:
    gate = Gate()
    bench.on("noop", gate)
    actor = await bench.submit(chain(2))
    await bench.ask("pause")
    await bench.ask("cancel")
    assert await actor.waiter() == "cancelled"


async def test_groups_end_and_trees_settle_in_a_pause(bench: Bench) -> None:
    gate = Gate()
    bench.on("noop", gate)
    actor = await bench.submit(fan(3))
    await bench.ask("pause")
    gate.open()
    assert await actor.waiter() == "completed"


async def test_a_hook_that_takes_its_time_starts_nothing_in_the_pause(bench: Bench) -> None:
    bench.executors.changed = {"n": 1}
    actor = await bench.submit(one("noop"))
    assert bench.started() == []
    await bench.ask("pause")
    await asyncio.sleep(100)
    assert bench.started() == []
    await bench.ask("unpause")
    assert await actor.waiter() == "completed"
    assert bench.started() == ["r"]


async def test_an_engine_that_is_held_starts_nothing_before_it_goes(bench: Bench) -> None:
    bench.engine.hold()
    actor = await bench.submit([*chain(2), {"id": "w", "name": "wait", "parent_id": "r",
                                            "inputs": {"seconds": 5}}])  # fmt: skip
    await asyncio.sleep(100)
    assert bench.topics() == ["tree.created", "tree.submitted", "tree.claimed"]
    bench.engine.go()
    assert await actor.waiter() == "completed"
    assert bench.times(e.TaskCompleted, "w") == [105]


async def test_an_engine_that_is_held_lets_go_on_what_runs_and_cancels(bench: Bench) -> None:
    gate = Gate()
    bench.on("noop", gate)
    actor = await bench.submit(chain(2))
    bench.engine.hold()
    gate.open()
    await until(lambda: bench.facts(e.TaskCompleted))
    await bench.ask("cancel", task="t1")
    assert await actor.waiter() == "cancelled"


async def test_an_engine_goes_also_when_it_is_told_so_during_a_commit(bench: Bench) -> None:
    bench.engine.hold()
    actor = await bench.submit(one("noop"))
    bench.committer.mode, bench.committer.takes = "thread", 5
    paused = asyncio.create_task(bench.submit([{"id": "other", "name": "noop"}]))
    await asyncio.sleep(1)
    bench.engine.go()
    await paused
    assert await asyncio.wait_for(actor.waiter(), 60) == "completed"
