"""Tasks that wait for a time: without a slot, over crashes, never early, once."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import InvalidGraph
from aipartnerupflow.domain.time import to_text
from aipartnerupflow.engine.lifecycle import resume
from aipartnerupflow.engine.ports import Kind
from tests.support.bench import Bench, MakeBench, fan, one
from tests.support.works import nothing


def wait(id: str = "w", **inputs: Any) -> dict[str, Any]:
    return {"id": id, "name": "wait", "parent_id": "r", "inputs": inputs}


def real() -> float:
    """What the clock on nobody's wall says."""
    return round(asyncio.get_running_loop().time(), 3)


async def test_a_wait_ends_after_its_seconds_and_tells_until_when(bench: Bench) -> None:
    assert await bench.run(one("wait", inputs={"seconds": 90})) == "completed"
    assert real() == 90
    assert bench.story("r") == ["task.started", "task.waiting", "task.completed"]
    assert [fact.called for fact in bench.facts(e.TaskStarted)] == [False]
    (completed,) = bench.facts(e.TaskCompleted)
    assert bytes(completed.result or b"") == b'{"waited_until":"2026-01-01T00:01:30.000000Z"}'
    assert bench.backend.calls == []


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        ("2026-01-01T00:30:00Z", 1_800),
        ("2026-01-01T01:00:00+00:30", 1_800),
        ("2026-01-01T00:00:00Z", 0),
        ("2025-12-31T00:00:00Z", 0),
        ("2026-01-02T00:00:00Z", 86_400),
    ],
)
async def test_a_wait_ends_at_the_time_that_was_named(
    bench: Bench, until: str, seconds: float
) -> None:
    assert await bench.run(one("wait", inputs={"until": until})) == "completed"
    assert real() == seconds


async def test_how_long_may_come_from_a_dependency(bench: Bench) -> None:
    async def give(call: object) -> dict[str, float]:
        return {"pause": 45}

    bench.on("give", give)
    after = wait(seconds={"$from": "g", "pointer": "/pause"}) | {"dependencies": ["g"]}
    await bench.run([*fan(0), {"id": "g", "name": "give", "parent_id": "r"}, after])
    assert bench.times(e.TaskCompleted, "w") == [45]


async def test_ten_thousand_wait_with_a_pool_of_one_slot(make_bench: MakeBench) -> None:
    bench = make_bench(slots=1)
    bench.on("brief", lambda call: asyncio.sleep(1))
    tasks = [*fan(0), *(wait(f"w{i}", seconds=60) for i in range(10_000))]
    tasks.append({"id": "b", "name": "brief", "parent_id": "r"})
    actor = await bench.submit(tasks)
    await asyncio.sleep(30)
    assert len(actor.tree.waiting) == 10_000
    assert bench.times(e.TaskCompleted, "b") == [1]
    assert await actor.waiter() == "completed"
    assert real() == 60


@pytest.mark.parametrize(("away", "end"), [(5, 60), (39, 60), (500, 520)])
async def test_a_wait_survives_a_crash_and_is_not_interrupted_by_it(
    bench: Bench, away: float, end: float
) -> None:
    await bench.submit(one("wait", inputs={"seconds": 60}))
    await asyncio.sleep(20)
    bench.crash("engine-2")
    await asyncio.sleep(away)
    await bench.resume_all()
    assert real() == end
    assert bench.story("r") == ["task.started", "task.waiting", "task.completed"]


async def test_one_of_many_crashes_later_it_still_ends_once_and_on_time(bench: Bench) -> None:
    await bench.submit([*fan(0), *(wait(f"w{i}", seconds=100) for i in range(20))])
    for n in range(2, 12):
        await asyncio.sleep(7.3)
        bench.crash(f"engine-{n}")
        await resume(bench.engine)
    await bench.engine.actors["r"].waiter()
    assert real() == 100
    ends = bench.times(e.TaskCompleted)
    assert ends == [100] * 21


async def test_in_a_pause_a_wait_ends_but_none_begins(bench: Bench) -> None:
    after = wait("after", seconds=10) | {"dependencies": ["w"]}
    actor = await bench.submit([*fan(0), wait(seconds=10), after])
    await bench.ask("pause")
    await asyncio.sleep(100)
    assert bench.times(e.TaskCompleted, "w") == [10]
    assert bench.story("after") == []
    await bench.ask("unpause")
    assert await actor.waiter() == "completed"
    assert bench.times(e.TaskCompleted, "after") == [110]


async def test_a_deadline_holds_for_waits_too(bench: Bench) -> None:
    await bench.run(one("wait", inputs={"seconds": 60}, deadline=30))
    (failed,) = bench.facts(e.TaskFailed)
    assert (bench.seconds(failed.at), failed.error.type) == (30, "deadline_exceeded")


async def test_a_wait_whose_inputs_are_wrong_is_refused_with_its_tree(bench: Bench) -> None:
    bench.executors.wrong = ("/seconds: must be a number",)
    with pytest.raises(InvalidGraph, match="/seconds: must be a number"):
        await bench.submit(one("wait", inputs={"seconds": "long"}))
    assert bench.journal.log == []


async def test_a_wait_whose_computed_inputs_are_wrong_fails_before_it_waits(bench: Bench) -> None:
    bench.executors.wrong = ("/seconds: must be a number",)
    bench.on("give", nothing)
    tasks = [*fan(0), {"id": "a", "name": "give", "parent_id": "r"}]
    wait = {"id": "w", "name": "wait", "parent_id": "r", "dependencies": ["a"]}
    tasks.append(wait | {"inputs": {"seconds": {"$from": "a"}}})
    bench.executors.kinds["give"] = Kind("give", checked=False)
    assert await bench.run(tasks) == "failed"
    failed = {fact.task: fact.error.type for fact in bench.facts(e.TaskFailed)}
    assert failed["w"] == "invalid_inputs"


async def test_a_release_leaves_waits_as_they_are(bench: Bench) -> None:
    actor = await bench.submit(one("wait", inputs={"seconds": 60}))
    await asyncio.sleep(20)
    await bench.engine.release([actor])
    assert bench.topics()[-1] == "tree.released"
    await bench.take()
    assert await bench.engine.actors["r"].waiter() == "completed"
    assert real() == 60
    assert bench.story("r") == ["task.started", "task.waiting", "task.completed"]


async def test_a_wait_that_is_over_during_a_commit_ends_right_after_it(bench: Bench) -> None:
    """The timer rings while nothing can be decided."""
    actor = await bench.submit([*fan(0), wait(seconds=10)])
    bench.on("long", lambda call: asyncio.sleep(5))
    await bench.submit([{"id": "s", "name": "long"}])
    bench.committer.mode, bench.committer.takes = "thread", 20
    await asyncio.sleep(6)
    bench.committer.takes = 0
    assert await asyncio.wait_for(actor.waiter(), 60) == "completed"
    assert bench.times(e.TaskCompleted, "w") == [25]


async def test_what_is_due_at_the_same_time_is_one_transaction(bench: Bench) -> None:
    until = to_text(bench.began + 300)
    actor = await bench.submit([*fan(0), *(wait(f"w{i}", until=until) for i in range(50))])
    await actor.waiter()
    ends = [r.event.topic for r in bench.journal.commits[-1]]
    assert ends == ["task.completed"] * 51 + ["tree.settled"]
