"""The engine's rhythm: decide, append, and only then act."""

import asyncio
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import (
    InvalidGraph,
    Released,
    StaleVersion,
    StoreUnavailable,
)
from aipartnerupflow.domain.evolve import fold
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, chain, fan
from tests.support.works import nothing


async def test_a_task_is_started_durably_before_its_executor_is_called(bench: Bench) -> None:
    seen: list[bool] = []

    async def look(call: Call) -> None:
        stored = [r.event for r in bench.journal.read("r")]
        seen.append(any(isinstance(x, e.TaskStarted) and x.task == call.task for x in stored))

    bench.on("look", look)
    await bench.run([{"id": "r", "name": "look"}])
    assert seen == [True]


async def test_submission_claim_and_first_starts_are_one_transaction(bench: Bench) -> None:
    await bench.run(fan(3))
    first = [recorded.event.topic for recorded in bench.journal.commits[0]]
    assert first[:3] == ["tree.created", "tree.submitted", "tree.claimed"]
    assert first.count("task.started") == 4  # three tasks and their group


async def test_completion_and_the_start_of_the_dependent_are_one_transaction(bench: Bench) -> None:
    await bench.run(chain(3))
    second = [recorded.event.topic for recorded in bench.journal.commits[1]]
    assert second == ["task.completed", "task.started"]


async def test_a_chain_costs_one_commit_a_hop(bench: Bench) -> None:
    await bench.run(chain(50))
    assert len(bench.journal.commits) == 51


async def test_what_arrives_together_is_committed_together_over_all_trees(bench: Bench) -> None:
    trees = [[{"id": f"r{i}", "name": "noop"}] for i in range(20)]
    await asyncio.gather(*(bench.run(tree) for tree in trees))
    assert len(bench.journal.commits) == 2


async def test_the_log_folds_to_the_state_that_ran(bench: Bench) -> None:
    actor = await bench.submit(chain(5))
    await actor.waiter()
    again = fold("r", (recorded.event for recorded in bench.journal.read("r")))
    assert again.settled == actor.tree.settled == "completed"
    assert again.version == actor.tree.version


async def test_a_task_that_raises_fails_and_the_engine_goes_on(bench: Bench) -> None:
    async def broken(call: Call) -> None:
        raise ValueError("no")

    bench.on("broken", broken)
    tasks = [*fan(1), {"id": "x", "name": "broken", "parent_id": "r"}]
    assert await bench.run(tasks) == "failed"
    errors = [r.event for r in bench.journal.read("r") if isinstance(r.event, e.TaskFailed)]
    assert [(error.task, error.error.type) for error in errors] == [
        ("x", "ValueError"),
        ("r", "child_failed"),
    ]


async def test_a_refused_graph_stores_nothing(bench: Bench) -> None:
    with pytest.raises(InvalidGraph, match="cycle"):
        await bench.run(
            [
                {"id": "r", "name": "root"},
                {"id": "a", "name": "noop", "parent_id": "r", "dependencies": ["b"]},
                {"id": "b", "name": "noop", "parent_id": "r", "dependencies": ["a"]},
            ]
        )
    assert bench.journal.log == []
    assert bench.engine.actors == {}


async def test_without_a_registered_executor_a_task_fails_and_names_what_there_is(
    bench: Bench,
) -> None:
    actor = await bench.submit([{"id": "r", "name": "cook"}], strict=False)
    assert await actor.waiter() == "failed"
    failed = next(r.event for r in bench.journal.log if isinstance(r.event, e.TaskFailed))
    assert failed.error.type == "executor_not_found"
    assert "noop" in failed.error.message


async def test_a_stale_owner_drops_its_work_and_writes_nothing(bench: Bench) -> None:
    started = asyncio.Event()

    async def long(call: Call) -> None:
        started.set()
        await asyncio.sleep(60)

    bench.on("long", long)
    actor = await bench.submit([*fan(1), {"id": "a", "name": "long", "parent_id": "r"}])
    waiter = actor.waiter()
    bench.journal.fail_next = StaleVersion("r", 5)
    with pytest.raises(StaleVersion):
        await waiter
    await asyncio.sleep(0.01)
    assert bench.backend.running == {}
    assert bench.topics().count("task.completed") == 0


async def test_releasing_interrupts_what_runs_and_frees_the_tree(bench: Bench) -> None:
    async def long(call: Call) -> None:
        await asyncio.sleep(60)

    bench.on("long", long)
    actor = await bench.submit([{"id": "r", "name": "long"}])
    waiter = actor.waiter()
    await bench.engine.release([actor])
    assert bench.topics()[-2:] == ["task.interrupted", "tree.released"]
    assert bench.backend.running == {}
    with pytest.raises(Released, match="resume"):
        await waiter


async def test_a_closed_engine_takes_no_commands(bench: Bench) -> None:
    await bench.engine.close()
    with pytest.raises(StoreUnavailable):
        await bench.run(fan(1))
    assert bench.alive == set()


async def test_progress_is_stored_once_a_second_and_its_last_value_is_kept(bench: Bench) -> None:
    async def work(call: Call) -> None:
        assert call.port is not None
        for step in range(5):
            await call.port.progress(step / 10, f"step {step}")
        await asyncio.sleep(1.2)

    bench.on("work", work)
    await bench.run([{"id": "r", "name": "work"}])
    told = [r.event for r in bench.journal.log if isinstance(r.event, e.TaskProgressed)]
    assert [(x.progress, x.message) for x in told] == [(0.0, "step 0"), (0.4, "step 4")]


async def test_a_saved_checkpoint_is_durable_when_save_returns_and_reaches_the_next_attempt(
    bench: Bench,
) -> None:
    saved = asyncio.Event()
    got: list[Any] = []

    async def work(call: Call) -> None:
        got.append(None if call.checkpoint is None else bytes(call.checkpoint))
        if call.attempt == 1:
            assert call.port is not None
            await call.port.save(Raw(b'{"at":7}'))
            assert bench.topics()[-1] == "task.saved"
            saved.set()
            await asyncio.sleep(60)

    bench.on("work", work)
    await bench.submit([{"id": "r", "name": "work"}])
    await saved.wait()
    bench.crash("engine-2")
    await bench.resume_all()
    assert got == [None, b'{"at":7}']


async def test_five_hundred_trees_at_once_complete(bench: Bench) -> None:
    async def brief(call: Call) -> None:
        await asyncio.sleep(0.01)

    bench.on("noop", brief)
    trees = [[{"id": f"r{i}", "name": "noop"}] for i in range(500)]
    assert set(await asyncio.gather(*(bench.run(tree) for tree in trees))) == {"completed"}


async def test_ids_that_are_taken_are_replaced_and_keys_kept(bench: Bench) -> None:
    bench.on("noop", nothing)
    first = await bench.submit(chain(3))
    await first.waiter()
    second = await bench.submit(chain(3))
    assert await second.waiter() == "completed"
    assert second.tree.id != "r"
    assert [task.spec.label for task in second.tree.live()] == ["r", "t0", "t1", "t2"]
