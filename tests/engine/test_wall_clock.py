"""The wall clock is set while something waits: spans stay as long as they are, named times move."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.time import to_text
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, fan, one, until
from tests.support.works import Flaky, broken, endless

HOUR, DAY = 3_600.0, 86_400.0
JUMPS = [HOUR, -HOUR, DAY, -DAY]


def real() -> float:
    """What the clock on nobody's wall says."""
    return round(asyncio.get_running_loop().time(), 3)


async def ends(bench: Bench, tasks: Sequence[dict[str, Any]], jump: float) -> float:
    """When the tree ends that sees the wall clock jump after 20 seconds."""
    actor = await bench.submit(tasks)
    await asyncio.sleep(20)
    bench.clock.jump(jump)
    await actor.waiter()
    return real()


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_backoff_lasts_as_long_as_it_was_said_to(bench: Bench, jump: float) -> None:
    async def flaky(call: Call) -> None:
        if call.attempt == 1:
            raise ValueError

    bench.on("flaky", flaky)
    retry = {"backoff": "fixed", "initial_delay": 60}
    assert await ends(bench, one("flaky", retry=retry), jump) == 60
    assert len(bench.backend.calls) == 2


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("again", [["pause", "unpause"], ["rerun"]])
async def test_also_where_its_tree_is_looked_through_again(
    bench: Bench, again: list[str], jump: float
) -> None:
    """An unpause and a re-run find the backoff, and by the wall clock it may seem to be over."""
    bench.on("broken", broken)
    flaky = Flaky(1)
    bench.on("flaky", flaky)
    retry = {"backoff": "fixed", "initial_delay": 60}
    tasks = [*fan(0), {"id": "a", "name": "flaky", "parent_id": "r", "retry": retry}]
    tasks.append({"id": "b", "name": "broken", "parent_id": "r"})
    actor = await bench.submit(tasks)
    await asyncio.sleep(20)
    bench.clock.jump(jump)
    for command in again:
        await bench.ask(command)
    await actor.waiter()
    assert flaky.at == [0, 60]


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_wait_of_seconds_does_too(bench: Bench, jump: float) -> None:
    assert await ends(bench, one("wait", inputs={"seconds": 60}), jump) == 60
    assert len(bench.facts(e.TaskCompleted)) == 1


@pytest.mark.parametrize("jump", JUMPS)
async def test_and_the_timeout_of_a_signal(bench: Bench, jump: float) -> None:
    assert await ends(bench, one("signal", inputs={"timeout": 60}), jump) == 60


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("more", [{"deadline": 60}, {"timeout": 60}, {"heartbeat": 60}])
async def test_and_what_bounds_an_attempt(bench: Bench, more: dict[str, Any], jump: float) -> None:
    bench.on("endless", endless)
    assert await ends(bench, one("endless", **more), jump) == 60


@pytest.mark.parametrize("jump", JUMPS)
async def test_the_timer_of_one_thing_does_not_end_another_that_seems_to_be_over(
    bench: Bench, jump: float
) -> None:
    """By the wall clock the deadline may have passed long ago when the wait ends."""
    assert await ends(bench, one("wait", inputs={"seconds": 60}, deadline=100), jump) == 60
    assert bench.facts(e.TaskFailed) == []


@pytest.mark.parametrize("jump", JUMPS)
async def test_nor_where_it_was_set_only_after_the_jump(bench: Bench, jump: float) -> None:
    bench.engine.hold()
    actor = await bench.submit(one("wait", inputs={"seconds": 60}, deadline=1_000))
    bench.clock.jump(jump)
    bench.engine.go()
    assert await actor.waiter() == "completed"
    assert real() == 60


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_retry_after_a_jump_keeps_to_the_deadline(bench: Bench, jump: float) -> None:
    async def broken(call: Call) -> None:
        await asyncio.sleep(30)
        raise ValueError

    bench.on("broken", broken)
    retry = {"backoff": "fixed", "initial_delay": 40, "max_attempts": 9}
    end = await ends(bench, one("broken", deadline=200, retry=retry), jump)
    assert end <= 200


@pytest.mark.parametrize(
    ("jump", "end"), [(60, 240), (-60, 360), (DAY, 80), (-DAY, DAY + 300), (1, 299)]
)
async def test_a_time_that_was_named_moves_with_the_wall_clock(
    bench: Bench, jump: float, end: float
) -> None:
    """A jump forward is seen within a minute."""
    until = to_text(bench.began + 300)
    assert await ends(bench, one("wait", inputs={"until": until}), jump) == pytest.approx(
        end, abs=60
    )
    assert bench.clock.now() >= bench.began + 300
    assert len(bench.facts(e.TaskCompleted)) == 1


@pytest.mark.parametrize("jump", [-HOUR, -DAY])
@pytest.mark.parametrize(
    "timed",
    [
        {"name": "wait", "inputs": {"seconds": 60}},
        {"name": "signal", "inputs": {"timeout": 60}},
        {"name": "endless", "deadline": 60},
    ],
)
async def test_the_first_time_of_a_task_does_not_end_its_second(
    bench: Bench, timed: dict[str, Any], jump: float
) -> None:
    """A clock that was set back gives both the same times in the log."""
    bench.on("endless", endless)
    tasks = [{**timed, "id": "a", "parent_id": "r"}]
    tasks.append({"id": "b", "name": "endless", "parent_id": "r"})
    actor = await bench.submit([*fan(0), *tasks])
    bench.clock.jump(jump)
    await asyncio.sleep(20)
    await bench.ask("cancel", task="a")
    await until(lambda: actor.tree.cancelled)
    again = real()
    await bench.ask("rerun", way="from", tasks=["a"])
    await until(lambda: bench.topics()[-1] in {"task.completed", "task.failed"})
    assert real() == pytest.approx(again + 60, abs=1.5)


@pytest.mark.parametrize("jump", [-HOUR, -DAY])
async def test_after_a_restart_no_span_is_longer_than_it_was(bench: Bench, jump: float) -> None:
    async def flaky(call: Call) -> None:
        if call.attempt == 1:
            raise ValueError

    bench.on("flaky", flaky)
    retry = {"backoff": "fixed", "initial_delay": 60}
    tasks = [*fan(0), {"id": "a", "name": "flaky", "parent_id": "r", "retry": retry}]
    tasks.append({"id": "b", "name": "wait", "parent_id": "r", "inputs": {"seconds": 60}})
    await bench.submit(tasks)
    await asyncio.sleep(20)
    bench.clock.jump(jump)
    bench.crash("engine-2")
    await bench.resume_all()
    assert real() == 80


async def test_a_clock_that_is_set_again_and_again_ends_everything_once(bench: Bench) -> None:
    async def flaky(call: Call) -> None:
        if call.attempt < 4:
            raise ValueError

    bench.on("flaky", flaky)
    wait = {"name": "wait", "parent_id": "r", "inputs": {"seconds": 20}}
    retry = {"max_attempts": 4}
    tasks = [*fan(0), {"id": "a", "name": "flaky", "parent_id": "r", "retry": retry}]
    tasks.extend(wait | {"id": f"w{n}"} for n in range(10))
    actor = await bench.submit(tasks)
    for n in range(40):
        bench.clock.jump(JUMPS[n % 4] * (n + 1))
        await asyncio.sleep(0.5)
    assert await actor.waiter() == "completed"
    assert real() == 20
    assert len(bench.facts(e.TaskCompleted)) == 12
