"""Attempts that take too long, or fall silent, are stopped and then told as failed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec import Raw

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.engine.ports import AttemptPort, Call, Raised, Stopped
from tests.support.bench import Bench, MakeBench, fan, one
from tests.support.works import deaf, endless, slow_to_stop


def errors(bench: Bench) -> list[str]:
    """The types of the errors of all attempts, in order."""
    found = bench.facts(e.AttemptFailed) + bench.facts(e.TaskFailed)
    return [fact.error.type for fact in found]


async def test_an_attempt_that_takes_too_long_is_stopped_and_tried_again(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.run(one("endless", timeout=5, retry={"max_attempts": 3}))
    assert bench.times(e.TaskStarted) == [0, 6, 13]
    assert bench.times(e.AttemptFailed) == [5, 11]
    assert bench.times(e.TaskFailed) == [18]
    assert errors(bench) == ["attempt_timeout"] * 3
    (failed,) = bench.facts(e.TaskFailed)
    assert failed.error.bases == ("TimeoutError", "TransientError")
    assert [call.attempt for call in bench.backend.stops] == [1, 2, 3]


@pytest.mark.parametrize(("safe", "times"), [(None, 1), (False, 1), (True, 3)])
async def test_without_a_policy_a_timeout_is_repeated_where_the_call_is_safe(
    bench: Bench, safe: bool | None, times: int
) -> None:
    bench.on("endless", endless)
    if safe is not None:
        bench.executors.repeatable["endless"] = safe
    await bench.run(one("endless", timeout=5))
    assert len(bench.backend.calls) == times


async def test_the_end_is_recorded_when_the_attempt_has_really_ended(bench: Bench) -> None:
    bench.on("slow_to_stop", slow_to_stop)
    await bench.run(one("slow_to_stop", timeout=5))
    assert bench.times(e.TaskFailed) == [7]


async def test_what_does_not_end_is_given_up_after_its_grace_and_frees_its_slot(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(slots=1)
    bench.on("deaf", deaf)
    tasks = [*fan(0), {"id": "a", "name": "deaf", "parent_id": "r", "timeout": 5, "priority": 0}]
    tasks.append({"id": "b", "name": "noop", "parent_id": "r"})
    assert await bench.run(tasks) == "failed"
    assert bench.times(e.TaskFailed, "a") == [15]
    assert bench.times(e.TaskStarted, "b") == [15]
    await asyncio.sleep(100)
    assert bench.story("a") == ["task.started", "task.failed"]


async def test_an_attempt_that_ends_in_time_is_left_alone(bench: Bench) -> None:
    bench.on("brief", lambda call: asyncio.sleep(4, call.attempt))
    await bench.run(one("brief", timeout=5, heartbeat=4.5))
    await asyncio.sleep(10)
    assert bench.story("r") == ["task.started", "task.completed"]
    assert bench.backend.stops == []


async def test_each_attempt_has_all_of_the_time(bench: Bench) -> None:
    async def work(call: Call) -> None:
        await asyncio.sleep(4)
        if call.attempt < 3:
            raise ValueError

    bench.on("work", work)
    assert await bench.run(one("work", timeout=5, retry={"backoff": "none"})) == "completed"


async def test_an_attempt_after_a_restart_has_all_of_the_time(bench: Bench) -> None:
    bench.on("work", lambda call: asyncio.sleep(4))
    await bench.submit(one("work", timeout=5))
    await asyncio.sleep(3)
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.times(e.TaskCompleted) == [7]


async def test_silence_is_no_sign_of_life(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.run(one("endless", heartbeat=5, retry={"max_attempts": 2}))
    assert bench.times(e.AttemptFailed) == [5]
    assert bench.times(e.TaskFailed) == [11]
    assert errors(bench) == ["heartbeat_timeout"] * 2


async def beat(port: AttemptPort) -> None:
    port.beat()


async def progress(port: AttemptPort) -> None:
    await port.progress(0.5, "half")


async def save(port: AttemptPort) -> None:
    await port.save(Raw(b"{}"))


@pytest.mark.parametrize("sign", [beat, progress, save])
async def test_every_sign_of_life_keeps_an_attempt_alive(
    bench: Bench, sign: Callable[[AttemptPort], Awaitable[None]]
) -> None:
    async def work(call: Call) -> None:
        assert call.port is not None
        for _ in range(5):
            await asyncio.sleep(4)
            await sign(call.port)
        await asyncio.sleep(100)

    bench.on("work", work)
    await bench.run(one("work", heartbeat=5))
    assert bench.times(e.TaskFailed) == [25]
    assert errors(bench) == ["heartbeat_timeout"]


async def test_a_thousand_attempts_that_beat_keep_one_timer_each(bench: Bench) -> None:
    async def work(call: Call) -> None:
        assert call.port is not None
        for _ in range(20):
            await asyncio.sleep(1)
            call.port.beat()

    bench.on("noop", work)
    actor = await bench.submit(fan(1_000, heartbeat=5))
    await asyncio.sleep(18)
    watched = bench.engine.supervisor._watched.values()
    assert {len(each.timers) for each in watched} == {1}
    assert await actor.waiter() == "completed"


async def test_of_timeout_and_heartbeat_the_first_one_counts(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.run(one("endless", heartbeat=5, timeout=3))
    assert errors(bench) == ["attempt_timeout"]
    assert len(bench.backend.stops) == 1


async def test_a_slow_stop_of_what_had_reported_already_does_not_touch_its_successor(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(slots=1)

    async def slowly(call: Call) -> Stopped:
        if call.attempt == 1:
            bench.engine._report(call, Raised(ErrorInfo("ValueError", "just before")))
            await asyncio.sleep(3)
        return await stop(call)

    stop, bench.backend.stop = bench.backend.stop, slowly  # type: ignore[method-assign]
    bench.on("endless", endless)
    await bench.run(one("endless", timeout=5, retry={"backoff": "none", "max_attempts": 2}))
    assert bench.times(e.TaskStarted) == [0, 5]
    assert errors(bench) == ["ValueError", "attempt_timeout"]
    assert bench.times(e.TaskFailed) == [10]
    assert await bench.run([{"id": "s", "name": "noop"}]) == "completed"
