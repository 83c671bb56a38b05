"""What tasks are given: results of others, checked inputs, and what hooks make of them."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, chain, fan, one, until


async def test_results_reach_dependents_by_key_and_are_fresh_copies(bench: Bench) -> None:
    got: list[Any] = []

    async def give(call: Call) -> Any:
        return {"items": [1, 2]}

    async def take(call: Call) -> None:
        got.append(call.inputs)
        call.inputs["a"]["items"].append(3)

    bench.on("give", give)
    bench.on("take", take)
    await bench.run(
        [
            {"id": "r", "name": "root"},
            {"id": "a", "name": "give", "parent_id": "r"},
            {"id": "b", "name": "take", "parent_id": "r", "dependencies": ["a"]},
            {"id": "c", "name": "take", "parent_id": "r", "dependencies": ["a", "b"]},
        ]
    )
    assert got[1] == {"a": {"items": [1, 2, 3]}, "b": None}


async def test_a_large_result_is_a_blob_and_reaches_dependents_also_after_a_crash(
    bench: Bench,
) -> None:
    big = "x" * 100_000
    got: list[Any] = []
    gate = asyncio.Event()

    async def give(call: Call) -> Any:
        return big

    async def wait(call: Call) -> None:
        await gate.wait()

    async def take(call: Call) -> None:
        got.append(call.inputs["a"])

    bench.on("give", give)
    bench.on("waits", wait)
    bench.on("take", take)
    await bench.submit(
        [
            {"id": "r", "name": "root"},
            {"id": "a", "name": "give", "parent_id": "r"},
            {"id": "b", "name": "waits", "parent_id": "r", "dependencies": ["a"]},
            {"id": "c", "name": "take", "parent_id": "r", "dependencies": ["a", "b"]},
        ]
    )
    await until(lambda: "b" in bench.backend.running)
    completed = next(r.event for r in bench.journal.log if isinstance(r.event, e.TaskCompleted))
    assert completed.blob is not None
    assert completed.size == 100_002
    bench.crash("engine-2")
    gate.set()
    await bench.resume_all()
    assert got == [big]


async def test_invalid_effective_inputs_fail_the_task_before_its_executor_is_called(
    bench: Bench,
) -> None:
    bench.executors.wrong = ("/n: must be a number",)
    assert await bench.run(fan(1)) == "failed"
    assert bench.started() == []
    started = next(r.event for r in bench.journal.log if isinstance(r.event, e.TaskStarted))
    assert not started.called


async def test_a_pointer_that_finds_nothing_fails_the_task_uncalled(bench: Bench) -> None:
    tasks = chain(2)
    tasks[2]["inputs"] = {"x": {"$from": "t0", "pointer": "/absent"}}
    assert await bench.run(tasks) == "failed"
    assert bench.started() == ["t0"]
    failed = next(r.event for r in bench.journal.log if isinstance(r.event, e.TaskFailed))
    assert failed.error.type == "empty_pointer"


async def test_what_a_pre_hook_changes_is_stored_with_the_start(bench: Bench) -> None:
    bench.executors.changed = {"added": 1}
    await bench.run(fan(1))
    started = [r.event for r in bench.journal.log if isinstance(r.event, e.TaskStarted)]
    assert [bytes(x.inputs) for x in started if x.called and x.inputs] == [b'{"added":1}']
    assert bench.backend.calls[0].inputs == {"added": 1}


@pytest.mark.parametrize("lacking", ["violations", "kind", "module_of"])
async def test_an_executor_that_turns_out_to_be_unusable_fails_its_task_with_the_reason(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    def lacks(*args: Any) -> Any:
        raise InvalidInput("noop needs asyncssh: pip install it")

    async def first(call: Call) -> None:
        monkeypatch.setattr(bench.executors, lacking, lacks)

    bench.on("first", first)
    tasks = [*fan(1, dependencies=["f"]), {"id": "f", "name": "first", "parent_id": "r"}]
    assert await asyncio.wait_for(bench.run(tasks), 5) == "failed"
    failed = bench.facts(e.TaskFailed, "t0")[0]
    assert failed.error == ErrorInfo("executor_not_found", "noop needs asyncssh: pip install it")
    assert bench.started() == ["f"]


@pytest.mark.parametrize("waits", [{"seconds": 5}, {"until": "2026-01-01T00:00:05Z"}])
async def test_no_pre_hook_runs_for_a_task_that_only_waits(
    bench: Bench, waits: dict[str, Any]
) -> None:
    bench.executors.changed = {"wrapped": 1}
    assert await asyncio.wait_for(bench.run(one("wait", inputs=waits)), 20) == "completed"


async def test_nor_for_one_that_waits_for_a_signal(bench: Bench) -> None:
    bench.executors.changed = {"wrapped": 1}
    actor = await bench.submit(one("signal", inputs={"name": "go"}))
    await until(lambda: "task.waiting" in bench.topics())
    await bench.ask("signal", name="go")
    assert await asyncio.wait_for(actor.waiter(), 20) == "completed"
