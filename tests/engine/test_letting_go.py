"""Letting go of a tree: whatever goes wrong, nobody waits for ever and no slot is lost."""

import asyncio
import gc
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import InvalidTransition, Released, StoreFull
from aipartnerupflow.engine import actor as actor_module
from aipartnerupflow.engine.actor import Actor
from aipartnerupflow.engine.finishing import to_the_end
from aipartnerupflow.engine.mail import decision_of
from aipartnerupflow.engine.ports import Call, Kind
from tests.support.bench import Bench, MakeBench, fan, until
from tests.support.works import Gate, endless, finishes


async def test_large_results_that_are_let_go_meanwhile_still_reach_their_dependent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_module, "KEPT_BYTES", 150_000)
    got: list[int] = []

    async def give(call: Call) -> str:
        return call.task * 50_000

    async def take(call: Call) -> None:
        got.append(len(call.inputs))

    bench.on("give", give)
    bench.on("take", take)
    names = [f"g{i}" for i in range(8)]
    givers = [{"id": name, "name": "give", "parent_id": "r"} for name in names]
    takers = [
        {
            "id": f"t{i}",
            "name": "take",
            "parent_id": "r",
            "dependencies": [f"g{k}" for k in range(i + 1)],
        }
        for i in range(8)
    ]
    status = await asyncio.wait_for(bench.run([*fan(0), *givers, *takers]), 20)
    assert status == "completed"
    assert sorted(got) == list(range(1, 9))


@pytest.mark.parametrize("error", [asyncio.CancelledError(), RuntimeError("no"), GeneratorExit()])
async def test_a_pre_hook_that_breaks_fails_its_task(bench: Bench, error: BaseException) -> None:
    async def before(call: Call) -> Mapping[str, Any] | None:
        raise error

    bench.executors.changed = {}
    bench.executors.before = before  # type: ignore[method-assign]
    assert await asyncio.wait_for(bench.run(fan(1)), 5) == "failed"
    failed = next(r.event for r in bench.journal.log if isinstance(r.event, e.TaskFailed))
    assert failed.error.type == type(error).__name__


async def test_a_refused_commit_gives_back_the_slots_of_tasks_in_preparation(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(kinds={"noop": Kind("noop", limit=1)})
    bench.on("noop", lambda call: asyncio.sleep(0))
    bench.executors.changed = {"n": 1}
    for _ in range(3):
        bench.journal.fail_next = StoreFull("no space left")
        with pytest.raises(StoreFull):
            await bench.submit(fan(2))
    assert await asyncio.wait_for(bench.run(fan(2)), 5) == "completed"


def actors() -> set[int]:
    gc.collect()
    return {id(each) for each in gc.get_objects() if isinstance(each, Actor)}


async def test_a_refused_tree_is_not_kept(bench: Bench) -> None:
    before = actors()
    for _ in range(5):
        bench.journal.fail_next = StoreFull("no space left")
        with suppress(StoreFull):  # pytest.raises would keep the error, and with it the frames
            await bench.submit(fan(3), limit=1)
    assert bench.journal.log == []
    await asyncio.sleep(0)
    assert actors() <= before


async def test_cancelling_a_release_again_and_again_still_stores_it(bench: Bench) -> None:
    stopping = asyncio.Event()

    async def stubborn(call: Call) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopping.set()
            await asyncio.sleep(0.2)
            raise

    bench.on("stubborn", stubborn)
    actor = await bench.submit([{"id": "r", "name": "stubborn"}])
    await until(lambda: "r" in bench.backend.running)
    releasing = asyncio.create_task(to_the_end(bench.engine.release([actor])))
    await stopping.wait()
    for _ in range(3):
        releasing.cancel()
        await asyncio.sleep(0.01)
    await asyncio.wait({releasing})
    assert bench.topics()[-2:] == ["task.interrupted", "tree.released"]
    with pytest.raises(Released):
        await actor.waiter()


async def test_an_engine_whose_closing_is_cut_short_gives_up_its_name(bench: Bench) -> None:
    async def stubborn(call: Call) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.2)
            raise

    bench.on("stubborn", stubborn)
    await bench.submit([{"id": "r", "name": "stubborn"}])
    await until(lambda: "r" in bench.backend.running)
    closing = asyncio.create_task(bench.engine.close())
    await asyncio.sleep(0.01)
    closing.cancel()
    await asyncio.wait({closing})
    assert bench.alive == set()
    assert bench.topics()[-1] == "tree.released"


async def test_what_was_reported_before_a_release_counts(bench: Bench) -> None:
    """Also where it could not be decided yet, because a commit was in flight."""
    gate = Gate()
    bench.on("gated", gate)
    bench.on("endless", endless)
    tasks = [*fan(0), {"id": "a", "name": "gated", "parent_id": "r"}]
    tasks.append({"id": "b", "name": "endless", "parent_id": "r"})
    actor = await bench.submit(tasks)
    bench.committer.mode, bench.committer.takes = "thread", 0.4
    bench.engine.post(decision_of(bench.engine, bench.command("pause"), left=False))
    await asyncio.sleep(0.1)
    gate.open()
    await asyncio.sleep(0.1)
    await bench.engine.release([actor])
    assert bench.story("a") == ["task.started", "task.completed"]
    assert bench.story("b") == ["task.started", "task.interrupted"]


async def test_what_returns_on_being_stopped_by_a_release_counts(bench: Bench) -> None:
    bench.on("finishes", finishes)
    tasks = [*fan(0), {"id": "a", "name": "finishes", "parent_id": "r"}]
    tasks.append({"id": "b", "name": "noop", "parent_id": "r", "dependencies": ["a"]})
    actor = await bench.submit(tasks)
    await until(lambda: bench.backend.running)
    await bench.engine.release([actor])
    assert bench.story("a") == ["task.started", "task.completed"]
    assert bench.topics()[-1] == "tree.released"
    assert bench.started() == ["a"]


async def test_who_saves_after_the_tree_was_let_go_is_told_that_it_is_over(bench: Bench) -> None:
    calls: list[Call] = []

    async def work(call: Call) -> None:
        calls.append(call)
        await asyncio.sleep(60)

    bench.on("work", work)
    actor = await bench.submit([{"id": "r", "name": "work"}])
    await until(lambda: calls)
    await bench.engine.release([actor])
    before = bench.topics()
    assert calls[0].port is not None
    with pytest.raises(InvalidTransition, match="attempt 1 of r is over"):
        await calls[0].port.save(Raw(b"{}"))
    await calls[0].port.progress(0.5, "late")
    assert bench.topics() == before


@pytest.mark.parametrize("rounds", range(8))
async def test_a_release_at_any_moment_of_a_preparation_gives_its_slot_back(
    make_bench: MakeBench, rounds: int
) -> None:
    bench = make_bench(slots=1)
    bench.executors.changed = {"n": 1}
    actor = await bench.submit([{"id": "r", "name": "noop"}])
    for _ in range(rounds):
        await asyncio.sleep(0)
    await bench.engine.release([actor])
    await asyncio.sleep(1)
    assert bench.topics()[-1] in ("tree.released", "tree.settled")
    assert bench.engine.starter.active == 0
    bench.executors.changed = None
    assert await bench.run([{"id": "s", "name": "noop"}]) == "completed"
