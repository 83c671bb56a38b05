"""Attempts whose engine ended: run again under the same key, but not for ever."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, fan, one, until
from tests.support.works import Flaky, endless


async def killed(bench: Bench, times: int) -> None:
    """The engine dies of the task again and again."""
    for n in range(times):
        await until(lambda: bench.backend.running)
        bench.crash(f"engine-{n + 2}")
        await bench.take()


@pytest.mark.parametrize(("policy", "most"), [({}, 5), ({"max_interruptions": 2}, 2),
                                              ({"max_interruptions": 0}, 0)])  # fmt: skip
async def test_a_task_that_kills_its_engine_each_time_fails_in_the_end(
    bench: Bench, policy: dict[str, Any], most: int
) -> None:
    bench.on("endless", endless)
    await bench.submit(one("endless", **policy))
    await killed(bench, most + 1)
    assert bench.topics()[-1] == "tree.settled"
    assert len(bench.facts(e.TaskStarted)) == most + 1
    assert len(bench.facts(e.TaskInterrupted)) == most
    (failed,) = bench.facts(e.TaskFailed)
    assert failed.error.type == "interrupted_too_often"
    assert f"{most + 1} times" in failed.error.message


async def test_a_task_may_say_that_it_must_not_run_again(bench: Bench) -> None:
    bench.on("endless", endless)
    tasks = [*fan(0), {"id": "a", "name": "endless", "parent_id": "r", "on_interrupt": "fail"}]
    tasks.append({"id": "b", "name": "noop", "parent_id": "r",
                  "dependencies": [{"key": "a", "required": False}]})  # fmt: skip
    await bench.submit(tasks)
    bench.crash("engine-2")
    await bench.resume_all()
    (failed,) = bench.facts(e.TaskFailed, "a")
    assert failed.error.type == "interrupted"
    assert bench.started() == ["b"]


async def test_a_shutdown_interrupts_by_the_same_rules(bench: Bench) -> None:
    bench.on("endless", endless)
    tasks = [*fan(0), {"id": "a", "name": "endless", "parent_id": "r", "on_interrupt": "fail"}]
    tasks.append({"id": "b", "name": "endless", "parent_id": "r"})
    actor = await bench.submit(tasks)
    await bench.engine.release([actor])
    assert bench.story("a") == ["task.started", "task.failed"]
    (interrupted,) = bench.facts(e.TaskInterrupted)
    assert (interrupted.task, interrupted.interruption) == ("b", "shutdown")


async def test_a_shutdown_after_which_nothing_is_left_to_run_settles_the_tree(
    bench: Bench,
) -> None:
    bench.on("endless", endless)
    actor = await bench.submit(one("endless", on_interrupt="fail"))
    await bench.engine.release([actor])
    assert bench.topics()[-1] == "tree.settled"
    assert bench.journal.open_work() == []


async def test_interruptions_do_not_count_as_attempts_that_failed(bench: Bench) -> None:
    calls: list[Call] = []

    async def work(call: Call) -> None:
        calls.append(call)
        if call.attempt in (1, 3):
            raise ValueError
        if call.attempt in (2, 4):
            await asyncio.sleep(1e6)

    bench.on("work", work)
    await bench.submit(one("work", retry={"max_attempts": 3}))
    for n in (2, 4):
        await until(lambda n=n: calls[-1].attempt == n)  # type: ignore[misc]
        bench.crash(f"engine-{n}")
        await bench.take()
    await until(lambda: bench.topics()[-1] == "tree.settled")
    assert [call.attempt for call in calls] == [1, 2, 3, 4, 5]
    assert len({call.idempotency_key for call in calls}) == 1
    assert bench.topics().count("task.completed") == 1


async def test_a_re_run_forgets_interruptions_and_failures(bench: Bench) -> None:
    work = Flaky(1)
    bench.on("endless", endless)
    bench.on("flaky", work)
    tasks = [*fan(0), {"id": "x", "name": "endless", "parent_id": "r"}]
    tasks.append({"id": "a", "name": "endless", "parent_id": "r", "max_interruptions": 1})
    await bench.submit(tasks)
    for n in (2, 3):
        bench.crash(f"engine-{n}")
        await bench.take()
    assert bench.story("a")[-1] == "task.failed"
    await bench.ask("rerun", way="from", tasks=["a"])
    await until(lambda: "a" in bench.backend.running)
    bench.crash("engine-4")
    await bench.take()
    assert bench.story("a")[-2:] == ["task.interrupted", "task.started"]
