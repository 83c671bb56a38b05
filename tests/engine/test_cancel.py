"""Cancelling: what is pending ends at once, what runs is told to, and cancelled once it has."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from aipartnerupflow.engine.mail import decision_of
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, MakeBench, chain, fan, one, until
from tests.support.works import Gate, deaf, endless, finishes, slow_to_stop


def ends(bench: Bench, task: str) -> list[tuple[float, int, bool]]:
    """When the task was cancelled, in which attempt, and whether it had really stopped."""
    found = bench.facts(e.TaskCancelled, task)
    return [(bench.seconds(fact.at), fact.attempt, fact.stopped) for fact in found]


async def test_what_is_pending_is_cancelled_at_once(bench: Bench) -> None:
    bench.on("noop", endless)
    actor = await bench.submit(chain(4))
    await bench.ask("cancel", task="t2", reason="not wanted")
    assert ends(bench, "t2") == [(0, 0, True)]
    assert bench.facts(e.TaskCancelled, "t2")[0].reason == "not wanted"
    assert bench.backend.stops == []
    assert actor.tree.task("t3").blocked  # type: ignore[union-attr]  # it is there


async def test_a_tree_is_cancelled_with_all_that_is_in_it(bench: Bench) -> None:
    bench.on("endless", endless)
    tasks = [*chain(3), {"id": "x", "name": "endless", "parent_id": "r"}]
    tasks.append({"id": "w", "name": "wait", "parent_id": "r", "inputs": {"seconds": 60}})
    tasks.append({"id": "s", "name": "signal", "parent_id": "r"})
    bench.on("noop", endless)
    actor = await bench.submit(tasks)
    await asyncio.sleep(5)
    await bench.ask("cancel", reason="enough")
    assert await actor.waiter() == "cancelled"
    assert {task.status for task in actor.tree.live()} == {"cancelled"}
    assert [ends(bench, id) for id in ("t0", "t1", "x", "w", "s")] == [
        [(5, 1, True)], [(5, 0, True)], [(5, 1, True)], [(5, 1, True)], [(5, 1, True)],
    ]  # fmt: skip
    assert asyncio.get_running_loop().time() == 5


async def test_the_request_is_durable_before_anything_is_told_to_stop(bench: Bench) -> None:
    seen: list[str] = []

    async def watch(call: Call) -> None:
        try:
            await asyncio.sleep(1e7)
        finally:
            seen.append(bench.topics()[-1])

    bench.on("watch", watch)
    actor = await bench.submit(one("watch"))
    bench.committer.mode, bench.committer.takes = "thread", 0.3
    await bench.ask("cancel")
    await actor.waiter()
    assert seen == ["tree.cancel_requested"]


async def test_a_running_task_is_cancelled_when_it_has_really_ended(bench: Bench) -> None:
    bench.on("slow_to_stop", slow_to_stop)
    actor = await bench.submit([*fan(0), {"id": "a", "name": "slow_to_stop", "parent_id": "r"}])
    await asyncio.sleep(5)
    await bench.ask("cancel", task="a")
    assert bench.story("a")[-1] == "task.cancel_requested"
    assert await actor.waiter() == "cancelled"
    assert ends(bench, "a") == [(7, 1, True)]


@pytest.mark.parametrize("whole", [True, False])
async def test_a_result_that_was_there_before_the_end_completes_the_task(
    bench: Bench, whole: bool
) -> None:
    bench.on("finishes", finishes)
    actor = await bench.submit(one("finishes"))
    await asyncio.sleep(5)
    await bench.ask("cancel", **({} if whole else {"task": "r"}))
    assert await actor.waiter() == "completed"
    assert bytes(bench.facts(e.TaskCompleted)[0].result or b"") == b'"just done"'


async def test_an_error_after_the_request_cancels_and_is_not_retried(bench: Bench) -> None:
    async def breaks(call: Call) -> None:
        try:
            await asyncio.sleep(1e7)
        except asyncio.CancelledError:
            raise ValueError("broken off") from None

    bench.on("breaks", breaks)
    actor = await bench.submit(one("breaks", retry={}))
    await asyncio.sleep(5)
    await bench.ask("cancel")
    assert await actor.waiter() == "cancelled"
    assert ends(bench, "r") == [(5, 1, True)]
    assert bench.facts(e.AttemptFailed) == []


async def test_what_ignores_it_is_given_up_and_its_late_report_changes_nothing(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(slots=1)
    bench.on("deaf", deaf)
    actor = await bench.submit(one("deaf"))
    await asyncio.sleep(5)
    await bench.ask("cancel")
    assert await actor.waiter() == "cancelled"
    assert ends(bench, "r") == [(15, 1, False)]
    assert await bench.run([{"id": "other", "name": "noop"}]) == "completed"
    await asyncio.sleep(100)
    assert bench.topics()[-1] == "tree.settled"


async def test_a_backoff_ends_with_its_task(bench: Bench) -> None:
    async def broken(call: Call) -> None:
        raise ValueError

    bench.on("broken", broken)
    retry = {"backoff": "fixed", "initial_delay": 60}
    actor = await bench.submit(one("broken", retry=retry))
    await asyncio.sleep(10)
    await bench.ask("cancel")
    assert await actor.waiter() == "cancelled"
    assert ends(bench, "r") == [(10, 1, True)]
    await asyncio.sleep(100)
    assert len(bench.backend.calls) == 1
    assert len(bench.engine.timers) == 0


async def test_a_group_is_cancelled_with_what_is_below_it_and_the_rest_goes_on(
    bench: Bench,
) -> None:
    bench.on("endless", endless)
    actor = await bench.submit(
        [
            *fan(2),
            {"id": "g", "name": "group", "parent_id": "r"},
            {"id": "a", "name": "endless", "parent_id": "g"},
            {"id": "b", "name": "noop", "parent_id": "g", "dependencies": ["a"]},
            {"id": "after", "name": "noop", "parent_id": "r", "dependencies": ["g"]},
            {"id": "anyway", "name": "noop", "parent_id": "r",
             "dependencies": [{"key": "g", "required": False}]},
        ]
    )  # fmt: skip
    await bench.ask("cancel", task="g")
    assert await actor.waiter() == "cancelled"
    found = {task.spec.id: task.status for task in actor.tree.live()}
    assert found == {
        "r": "cancelled", "t0": "completed", "t1": "completed", "g": "cancelled",
        "a": "cancelled", "b": "cancelled", "after": "pending", "anyway": "completed",
    }  # fmt: skip


async def test_after_the_request_nothing_starts_any_more(make_bench: MakeBench) -> None:
    bench = make_bench(slots=1)
    bench.on("noop", slow_to_stop)
    actor = await bench.submit(fan(5))
    await bench.ask("cancel")
    assert await actor.waiter() == "cancelled"
    assert bench.started() == ["t0"]
    assert ends(bench, "t0") == [(2, 1, True)]


async def together(bench: Bench, gate: Gate, said: dict[str, Any]) -> None:
    """Let work end, and a cancel come, while a commit is in flight: both are decided after it."""
    bench.committer.mode, bench.committer.takes = "thread", 0.4
    pause = bench.engine.post(decision_of(bench.engine, bench.command("pause"), left=False))
    await asyncio.sleep(0.1)
    gate.open()
    await asyncio.sleep(0.1)
    command = bench.command("cancel", **said)
    await bench.engine.post(decision_of(bench.engine, command, left=False))
    assert pause.done()


@pytest.mark.parametrize("said", [{}, {"task": "b"}])
async def test_a_request_in_the_turn_of_a_completion_ends_what_would_have_started(
    bench: Bench, said: dict[str, Any]
) -> None:
    gate = Gate()
    bench.on("gated", gate)
    tasks = [*fan(0), {"id": "a", "name": "gated", "parent_id": "r"}]
    tasks.append({"id": "b", "name": "noop", "parent_id": "r", "dependencies": ["a"]})
    actor = await bench.submit(tasks)
    await together(bench, gate, said)
    assert await actor.waiter() == "cancelled"
    assert bench.story("a") == ["task.started", "task.completed"]
    assert bench.story("b") == ["task.cancelled"]


async def test_a_task_that_completed_in_the_turn_of_its_cancel_is_not_cancelled(
    bench: Bench,
) -> None:
    gate = Gate()
    bench.on("gated", gate)
    tasks = [*fan(0), {"id": "a", "name": "gated", "parent_id": "r"}]
    tasks.append({"id": "x", "name": "finishes", "parent_id": "r"})
    bench.on("finishes", finishes)
    actor = await bench.submit(tasks)
    with pytest.raises(InvalidTransition, match="task a has completed already"):
        await together(bench, gate, {"task": "a"})
    bench.committer.mode = "inline"
    await until(lambda: bench.facts(e.TaskCompleted, "a"))
    await bench.ask("cancel")
    assert await actor.waiter() == "completed"
    assert bench.story("a") == ["task.started", "task.completed"]


async def test_a_restart_between_request_and_end_finishes_it(bench: Bench) -> None:
    bench.on("slow_to_stop", slow_to_stop)
    await bench.submit([*fan(0), {"id": "a", "name": "slow_to_stop", "parent_id": "r"}])
    await asyncio.sleep(5)
    await bench.ask("cancel", reason="enough")
    bench.crash("engine-2")
    await asyncio.sleep(5)
    await bench.resume_all()
    assert ends(bench, "a") == [(10, 1, False)]
    assert bench.facts(e.TaskCancelled, "a")[0].reason == "enough"
    assert bench.backend.calls == []
    assert bench.topics()[-1] == "tree.settled"


async def test_a_release_between_request_and_end_finishes_it(bench: Bench) -> None:
    bench.on("slow_to_stop", slow_to_stop)
    actor = await bench.submit([*fan(0), {"id": "a", "name": "slow_to_stop", "parent_id": "r"}])
    await asyncio.sleep(5)
    await bench.ask("cancel", task="a")
    await bench.engine.release([actor])
    assert ends(bench, "a") == [(5, 1, True)]
    assert "task.interrupted" not in bench.topics()


@pytest.mark.parametrize("said", [{}, {"task": "a"}, {"task": "r"}])
async def test_asked_twice_it_changes_nothing(bench: Bench, said: dict[str, Any]) -> None:
    bench.on("slow_to_stop", slow_to_stop)
    actor = await bench.submit([*fan(0), {"id": "a", "name": "slow_to_stop", "parent_id": "r"}])
    first = await bench.ask("cancel", **said)
    assert (await bench.ask("cancel", **said)).version == first.version
    await actor.waiter()
    assert len(bench.backend.stops) == 1


async def test_what_has_ended_or_never_was_cannot_be_cancelled(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.submit([*fan(1), {"id": "a", "name": "endless", "parent_id": "r"}])
    await until(lambda: bench.facts(e.TaskCompleted, "t0"))
    before = bench.topics()
    with pytest.raises(InvalidTransition, match="task t0 has completed already"):
        await bench.ask("cancel", task="t0")
    with pytest.raises(InvalidInput, match="has no task 'nobody'"):
        await bench.ask("cancel", task="nobody")
    assert bench.topics() == before


async def test_a_timeout_during_a_cancel_and_a_cancel_during_a_timeout_end_it_once(
    bench: Bench,
) -> None:
    bench.on("slow_to_stop", slow_to_stop)
    actor = await bench.submit(one("slow_to_stop", timeout=10, retry={}))
    await asyncio.sleep(9)
    await bench.ask("cancel")
    assert await actor.waiter() == "cancelled"
    assert ends(bench, "r") == [(11, 1, True)]
    actor = await bench.submit([{"id": "s", "name": "slow_to_stop", "timeout": 10, "retry": {}}])
    await asyncio.sleep(11)
    await bench.ask("cancel", "s")
    assert await actor.waiter() == "cancelled"
    assert ends(bench, "s") == [(23, 1, True)]
    assert [call.task for call in bench.backend.stops] == ["r", "s"]
