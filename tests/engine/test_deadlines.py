"""A deadline holds from ready to end, over all attempts, wherever the task is."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.time import to_seconds
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, MakeBench, fan, one, until
from tests.support.works import endless


def told(bench: Bench, task: str = "r") -> tuple[list[float], list[str]]:
    """When the task failed, and of what."""
    found = bench.facts(e.TaskFailed, task)
    return [bench.seconds(fact.at) for fact in found], [fact.error.type for fact in found]


async def test_a_task_that_finds_no_slot_in_time_fails_without_being_called(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(slots=1)
    bench.on("long", lambda call: asyncio.sleep(60))
    tasks = [*fan(0), {"id": "a", "name": "long", "parent_id": "r", "priority": 0}]
    tasks.append({"id": "b", "name": "noop", "parent_id": "r", "deadline": 10})
    assert await bench.run(tasks) == "failed"
    assert told(bench, "b") == ([10], ["deadline_exceeded"])
    assert [fact.called for fact in bench.facts(e.TaskStarted, "b")] == [False]
    assert bench.started() == ["a"]


async def test_a_running_attempt_is_stopped_at_the_deadline_and_not_repeated(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.run(one("endless", deadline=10, retry={}))
    assert told(bench) == ([10], ["deadline_exceeded"])
    assert len(bench.backend.stops) == 1


async def test_a_deadline_holds_over_all_attempts(bench: Bench) -> None:
    bench.on("endless", endless)
    retry = {"backoff": "none", "max_attempts": 9}
    await bench.run(one("endless", deadline=10, timeout=3, retry=retry))
    assert bench.times(e.TaskStarted) == [0, 3, 6, 9]
    assert told(bench) == ([10], ["deadline_exceeded"])


async def test_an_error_after_which_no_time_is_left_is_the_last_one(bench: Bench) -> None:
    async def broken(call: Call) -> None:
        raise ValueError

    bench.on("broken", broken)
    policy = {"backoff": "fixed", "initial_delay": 20, "max_attempts": 9}
    await bench.run(one("broken", deadline=50, retry=policy))
    assert bench.times(e.TaskStarted) == [0, 20, 40]
    assert told(bench) == ([40], ["ValueError"])


async def test_a_deadline_passes_in_a_pause_and_in_a_backoff(bench: Bench) -> None:
    async def broken(call: Call) -> None:
        raise ValueError

    bench.on("broken", broken)
    actor = await bench.submit(
        one("broken", deadline=30, retry={"backoff": "fixed", "initial_delay": 20})
    )
    await bench.ask("pause")
    assert await actor.waiter() == "failed"
    assert told(bench) == ([30], ["deadline_exceeded"])
    assert len(bench.backend.calls) == 1


async def test_the_time_runs_from_when_the_task_is_ready(bench: Bench) -> None:
    bench.on("long", lambda call: asyncio.sleep(20))
    bench.on("endless", endless)
    await bench.run(
        [
            *fan(0),
            {"id": "a", "name": "long", "parent_id": "r"},
            {"id": "b", "name": "endless", "parent_id": "r", "dependencies": ["a"], "deadline": 10},
        ]
    )
    assert told(bench, "b") == ([30], ["deadline_exceeded"])
    deadline = bench.backend.calls[-1].deadline
    assert deadline is not None
    assert bench.seconds(deadline) == 30


async def test_an_executor_is_told_its_deadline(bench: Bench) -> None:
    await bench.run(one("noop", deadline=90))
    deadline = bench.backend.calls[0].deadline
    assert deadline is not None
    assert to_seconds(deadline) == bench.began + 90


async def test_a_restart_keeps_the_deadline(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless", deadline=10))
    await asyncio.sleep(5)
    bench.crash("engine-2")
    await asyncio.sleep(2)
    await bench.resume_all()
    assert told(bench) == ([10], ["deadline_exceeded"])
    assert bench.times(e.TaskStarted) == [0, 7]


async def test_a_deadline_that_passed_while_no_engine_ran_calls_nothing_any_more(
    bench: Bench,
) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless", deadline=10))
    await asyncio.sleep(5)
    bench.crash("engine-2")
    await asyncio.sleep(60)
    await bench.resume_all()
    assert told(bench) == ([65], ["deadline_exceeded"])
    assert bench.backend.calls == []


@pytest.mark.parametrize("way", ["from", "failed"])
async def test_a_re_run_begins_its_time_anew(bench: Bench, way: str) -> None:
    """And the timer of the former generation ends nothing."""
    runs: list[int] = []

    async def work(call: Call) -> None:
        runs.append(call.generation)
        if call.generation == 1:
            await asyncio.sleep(4)
            raise ValueError
        await asyncio.sleep(8)

    bench.on("work", work)
    bench.on("endless", endless)
    await bench.submit(
        [
            *fan(0),
            {"id": "a", "name": "work", "parent_id": "r", "deadline": 10},
            {"id": "keeps_it_open", "name": "endless", "parent_id": "r"},
        ]
    )
    await until(lambda: bench.facts(e.TaskFailed))
    named: dict[str, Any] = {"tasks": ["a"]} if way == "from" else {}
    await bench.ask("rerun", way=way, **named)
    await until(lambda: bench.facts(e.TaskCompleted))
    assert runs == [1, 2]
    assert bench.backend.stops == []


async def test_a_cancelled_task_and_a_completed_one_leave_no_deadline_behind(bench: Bench) -> None:
    bench.on("endless", endless)
    actor = await bench.submit(
        [*fan(3, deadline=1_000), {"id": "x", "name": "endless", "parent_id": "r", "deadline": 90}]
    )
    await asyncio.sleep(1)
    await bench.ask("cancel", task="x")
    assert await actor.waiter() == "cancelled"
    await asyncio.sleep(2_000)
    assert bench.facts(e.TaskFailed) == []
    assert len(bench.engine.timers) == 0
