"""Tasks that ended are run again in place: in trees that have settled, and in those that run."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow.domain import decide
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import (
    ExecutorMissing,
    InvalidInput,
    InvalidTransition,
    OwnedElsewhere,
)
from aipartnerupflow.engine.lifecycle import load, reopen
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, chain, fan, until
from tests.support.works import Flaky, Gate, broken, endless, nothing


async def rerun(bench: Bench, way: str = "failed", *tasks: str) -> str:
    """Of a tree that has settled; the status that it comes to."""
    await reopen(bench.engine, bench.command("rerun", way=way, tasks=tasks))
    return await bench.engine.actors["r"].waiter()


def graph() -> list[dict[str, Any]]:
    """``a``, then ``b``, then ``c``; ``g`` holds them; ``clean`` comes after, whatever happens."""
    return [
        {"id": "r", "name": "root"},
        {"id": "g", "name": "group", "parent_id": "r"},
        {"id": "a", "name": "noop", "parent_id": "g"},
        {"id": "b", "name": "flaky", "parent_id": "g", "dependencies": ["a"]},
        {"id": "c", "name": "noop", "parent_id": "g", "dependencies": ["b"]},
        {"id": "clean", "name": "noop", "parent_id": "r",
         "dependencies": [{"key": "g", "required": False}]},
    ]  # fmt: skip


async def failed(bench: Bench) -> None:
    """The graph has run, and ``b`` failed."""
    bench.on("flaky", Flaky(1))
    assert await bench.run(graph()) == "failed"
    assert bench.started() == ["a", "b", "clean"]


async def test_what_failed_runs_again_and_what_it_blocked_after_it(bench: Bench) -> None:
    await failed(bench)
    assert await rerun(bench) == "completed"
    assert bench.started() == ["a", "b", "clean", "b", "c"]
    assert [(fact.task, fact.generation) for fact in bench.facts(e.TaskReopened)] == [
        ("r", 2), ("g", 2), ("b", 2),
    ]  # fmt: skip


async def test_a_settled_tree_is_reopened_and_claimed_in_one_transaction(bench: Bench) -> None:
    await failed(bench)
    before = len(bench.journal.commits)
    await rerun(bench)
    first = [recorded.event.topic for recorded in bench.journal.commits[before]]
    assert first == [
        "task.reopened", "task.reopened", "task.reopened", "tree.reopened", "tree.claimed",
        "task.started", "task.started", "task.started",
    ]  # fmt: skip
    assert bench.facts(e.TreeClaimed)[-1].epoch == 2


@pytest.mark.parametrize(
    ("way", "tasks", "ran"),
    [
        ("failed", [], ["b", "c"]),
        ("from", ["b"], ["b", "c", "clean"]),
        ("from", ["clean"], ["clean"]),
        ("from", ["a"], ["a", "b", "c", "clean"]),
        ("from", ["g"], ["a", "b", "c", "clean"]),
        ("all", [], ["a", "b", "c", "clean"]),
    ],
)
async def test_the_plan_says_what_will_run(
    bench: Bench, way: str, tasks: list[str], ran: list[str]
) -> None:
    await failed(bench)
    before = len(bench.backend.calls)
    plan = decide.plan(load(bench.journal, "r"), way, tasks)
    await rerun(bench, way, *tasks)
    assert [call.task for call in bench.backend.calls[before:]] == ran == list(plan.runs)
    assert {fact.task for fact in bench.facts(e.TaskReopened)} == set(plan.reopened)
    assert set(plan.kept) == {"a", "clean"} - set(ran)


async def test_a_new_generation_has_a_key_and_attempts_of_its_own(bench: Bench) -> None:
    work = Flaky(3)
    bench.on("flaky", work)
    await bench.run([*fan(0), {"id": "a", "name": "flaky", "parent_id": "r",
                               "retry": {"max_attempts": 2}}])  # fmt: skip
    assert await rerun(bench) == "completed"
    assert [(call.generation, call.attempt) for call in work.calls] == [
        (1, 1), (1, 2), (2, 1), (2, 2),
    ]  # fmt: skip
    keys = [call.idempotency_key for call in work.calls]
    assert keys[0] == keys[1] != keys[2] == keys[3]


async def test_in_a_tree_that_runs_only_what_is_named_begins_again(bench: Bench) -> None:
    work = Flaky(1)
    bench.on("flaky", work)
    gate = Gate()
    bench.on("gated", gate)
    tasks = [*graph(), {"id": "x", "name": "gated", "parent_id": "r"}]
    actor = await bench.submit(tasks)
    await until(lambda: bench.facts(e.TaskFailed, "b"))
    await bench.ask("rerun")
    await until(lambda: bench.facts(e.TaskCompleted, "c"))
    gate.open()
    assert await actor.waiter() == "completed"
    assert bench.started().count("x") == 1
    assert len(bench.facts(e.TreeClaimed)) == 1


async def test_who_waits_for_the_tree_hears_of_the_end_of_its_second_life(bench: Bench) -> None:
    work = Flaky(1)
    bench.on("flaky", work)
    actor = await bench.submit([*fan(0), {"id": "a", "name": "flaky", "parent_id": "r"}])
    assert await actor.waiter() == "failed"
    await reopen(bench.engine, bench.command("rerun"))
    again = bench.engine.actors["r"]
    assert again is not actor
    assert await again.waiter() == "completed"


async def test_what_runs_is_not_run_again_before_it_ends(bench: Bench) -> None:
    bench.on("noop", endless)
    await bench.submit(fan(1))
    before = bench.topics()
    with pytest.raises(InvalidTransition, match="t0 of tree r is in progress"):
        await bench.ask("rerun", way="all")
    await bench.ask("pause")
    with pytest.raises(InvalidTransition, match="nothing of tree r"):
        await bench.ask("rerun")
    assert bench.topics() == [*before, "tree.paused"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"way": "some"}, InvalidInput),
        ({"way": "from"}, InvalidInput),
        ({"way": "failed", "tasks": ["a"]}, InvalidInput),
        ({"way": "from", "tasks": ["nobody"]}, InvalidInput),
        ({}, InvalidTransition),
    ],
)
async def test_what_cannot_be_repeated_is_refused_and_nothing_is_written(
    bench: Bench, said: dict[str, Any], error: type[Exception]
) -> None:
    await bench.run(chain(2))
    before = bench.topics()
    with pytest.raises(error):
        await reopen(bench.engine, bench.command("rerun", **said))
    assert bench.topics() == before
    assert bench.engine.actors == {}


async def test_a_cancelled_tree_runs_again_from_where_it_was(bench: Bench) -> None:
    bench.on("noop", endless)
    actor = await bench.submit(chain(3))
    await bench.ask("cancel")
    assert await actor.waiter() == "cancelled"
    bench.on("noop", nothing)
    assert await rerun(bench) == "completed"
    assert bench.started() == ["t0", "t0", "t1", "t2"]


async def test_a_tree_that_is_being_cancelled_is_not_run_again_before_it_has_settled(
    bench: Bench,
) -> None:
    bench.on("noop", endless)
    await bench.submit(fan(1))
    await bench.ask("cancel")
    with pytest.raises(InvalidTransition):
        await bench.ask("rerun")


async def test_without_its_executors_a_settled_tree_stays_settled(bench: Bench) -> None:
    await failed(bench)
    before = bench.topics()
    del bench.executors.work["flaky"]
    with pytest.raises(ExecutorMissing, match="needs executor flaky"):
        await rerun(bench)
    assert bench.topics() == before
    assert bench.engine.actors == {}


async def test_of_two_who_reopen_a_tree_one_drives_it(bench: Bench) -> None:
    await failed(bench)
    commands = [bench.command("rerun") for _ in range(2)]
    done = await asyncio.gather(
        *(reopen(bench.engine, command) for command in commands), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ["Done", "OwnedElsewhere"]
    assert await bench.engine.actors["r"].waiter() == "completed"
    assert isinstance(next(each for each in done if not hasattr(each, "version")), OwnedElsewhere)


async def test_who_comes_second_does_not_take_it_from_an_engine_that_lives(bench: Bench) -> None:
    """One task is still failed then, so that there would be something to repeat."""
    bench.on("broken", broken)
    tasks = [{"id": id, "name": "broken", "parent_id": "r"} for id in "ab"]
    assert await bench.run([*fan(0), *tasks]) == "failed"
    slow, quick = bench.node, bench.boot("engine-2")
    slow.committer.mode, slow.committer.takes = "thread", 1
    second = asyncio.create_task(reopen(slow.engine, bench.command("rerun")))
    await asyncio.sleep(0.5)
    bench.on("broken", endless)
    await reopen(quick.engine, bench.command("rerun", way="from", tasks=["a"]))
    with pytest.raises(OwnedElsewhere, match="engine-2"):
        await second
    assert [fact.engine for fact in bench.facts(e.TreeClaimed)] == ["engine-1", "engine-2"]


async def test_a_crash_right_after_the_re_run_loses_nothing_of_it(bench: Bench) -> None:
    await failed(bench)
    await reopen(bench.engine, bench.command("rerun"))
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.topics()[-1] == "tree.settled"
    assert bench.facts(e.TreeSettled)[-1].status == "completed"


async def test_what_was_given_up_reports_to_no_later_generation(bench: Bench) -> None:
    """An executor that ignored its end returns when the task is in its next life."""
    calls: list[Call] = []

    async def stubborn(call: Call) -> str:
        calls.append(call)
        if call.generation == 1:
            end = asyncio.get_running_loop().time() + 60
            while (left := end - asyncio.get_running_loop().time()) > 0:
                try:
                    await asyncio.sleep(left)
                except asyncio.CancelledError:
                    continue
            return "of the first"
        await asyncio.sleep(200)
        return "of the second"

    bench.on("stubborn", stubborn)
    actor = await bench.submit([*fan(0), {"id": "a", "name": "stubborn", "parent_id": "r"}])
    await bench.ask("cancel", task="a")
    assert await actor.waiter() == "cancelled"
    assert await rerun(bench) == "completed"
    (completed,) = bench.facts(e.TaskCompleted, "a")
    assert bytes(completed.result or b"") == b'"of the second"'


async def test_a_failure_that_comes_again_fails_the_tree_again(bench: Bench) -> None:
    bench.on("flaky", broken)
    assert await bench.run(graph()) == "failed"
    for _ in range(3):
        assert await rerun(bench) == "failed"
    assert [fact.generation for fact in bench.facts(e.TaskReopened, "b")] == [2, 3, 4]
