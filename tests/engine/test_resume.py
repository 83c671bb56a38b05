"""Taking up interrupted trees: by claim and replay, with nothing done twice."""

import asyncio

import msgspec
import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import ExecutorMissing, OwnedElsewhere
from aipartnerupflow.engine.lifecycle import resume
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, chain, fan, until


class Killable:
    """Work that blocks once it comes to the task named."""

    def __init__(self, at: str) -> None:
        self.at: str | None = at
        self.reached = asyncio.Event()

    async def __call__(self, call: Call) -> str:
        if call.task == self.at:
            self.at = None
            self.reached.set()
            await asyncio.sleep(60)
        return call.task


async def interrupted(bench: Bench, at: str, tasks: list[dict[str, object]]) -> None:
    """Submit and crash while ``at`` runs."""
    work = Killable(at)
    bench.on("noop", work)
    await bench.submit(tasks)
    await work.reached.wait()
    bench.crash("engine-2")


async def test_completed_tasks_do_not_run_again_and_the_interrupted_one_does_once(
    bench: Bench,
) -> None:
    await interrupted(bench, "t5", chain(10))
    before = bench.journal.position()
    await bench.resume_all()
    assert bench.started() == ["t5", "t6", "t7", "t8", "t9"]
    again = [r.event for r in bench.journal.read_all(after=before)]
    assert [x.topic for x in again[:3]] == ["tree.claimed", "task.interrupted", "task.started"]
    assert bench.topics()[-1] == "tree.settled"


async def test_the_next_attempt_has_the_same_idempotency_key(bench: Bench) -> None:
    await interrupted(bench, "t1", chain(3))
    first = "unknown"
    work = Killable("")
    bench.on("noop", work)
    await bench.resume_all()
    started = [r.event for r in bench.journal.log if isinstance(r.event, e.TaskStarted)]
    attempts = [x.attempt for x in started if x.task == "t1"]
    call = bench.backend.calls[0]
    assert attempts == [1, 2]
    assert (call.task, call.attempt) == ("t1", 2)
    assert len(call.idempotency_key) == 36
    assert call.idempotency_key != first


async def test_the_idempotency_key_is_the_same_over_attempts(bench: Bench) -> None:
    keys: list[str] = []

    async def work(call: Call) -> None:
        keys.append(call.idempotency_key)
        if call.attempt == 1:
            await asyncio.sleep(60)

    bench.on("noop", work)
    await bench.submit([{"id": "r", "name": "noop"}])
    await until(lambda: bool(keys))
    bench.crash("engine-2")
    await bench.resume_all()
    assert len(keys) == 2
    assert keys[0] == keys[1]


async def test_claim_interruption_and_restart_are_one_transaction(bench: Bench) -> None:
    await interrupted(bench, "t0", fan(1))
    await bench.resume_all()
    taken = next(c for c in bench.journal.commits if c[0].event.topic == "tree.claimed")
    assert [r.event.topic for r in taken] == ["tree.claimed", "task.interrupted", "task.started"]


async def test_the_epoch_rises_with_each_claim(bench: Bench) -> None:
    await interrupted(bench, "t0", fan(1))
    await bench.resume_all()
    claims = [r.event for r in bench.journal.log if isinstance(r.event, e.TreeClaimed)]
    assert [(c.engine, c.epoch) for c in claims] == [("engine-1", 1), ("engine-2", 2)]


async def test_a_tree_of_a_living_engine_is_left_alone(bench: Bench) -> None:
    await interrupted(bench, "t0", fan(1))
    bench.alive.add("engine-1")
    resumed = await resume(bench.engine)
    assert resumed.taken == []
    assert isinstance(resumed.refused["r"], OwnedElsewhere)
    assert "engine-1" in str(resumed.refused["r"])


async def test_a_tree_that_was_claimed_since_open_work_was_read_is_left_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await interrupted(bench, "t0", fan(1))
    stale = [msgspec.structs.replace(tree, released=True) for tree in bench.journal.open_work()]
    bench.alive.add("engine-1")
    monkeypatch.setattr(bench.journal, "open_work", lambda: stale)
    resumed = await resume(bench.engine)
    assert isinstance(resumed.refused["r"], OwnedElsewhere)
    assert bench.topics().count("tree.claimed") == 1


async def test_of_two_that_resume_at_once_one_gets_the_tree(bench: Bench) -> None:
    await interrupted(bench, "t0", fan(1))
    first = bench.engine
    bench.boot("engine-3")
    bench.alive |= {"engine-2", "engine-3"}
    both = await asyncio.gather(resume(first), resume(bench.engine))
    assert sorted(len(resumed.taken) for resumed in both) == [0, 1]
    (refused,) = [resumed.refused["r"] for resumed in both if resumed.refused]
    assert isinstance(refused, OwnedElsewhere)
    assert bench.topics().count("tree.claimed") == 2


async def test_take_over_fences_a_living_engine(bench: Bench) -> None:
    await interrupted(bench, "t0", fan(1))
    bench.alive.add("engine-1")
    resumed = await resume(bench.engine, {"r"}, take_over=True)
    assert await resumed.taken[0].waiter() == "completed"


async def test_a_released_tree_is_claimed_at_once(bench: Bench) -> None:
    work = Killable("t0")
    bench.on("noop", work)
    actor = await bench.submit(fan(1))
    await work.reached.wait()
    await bench.engine.release([actor])
    await bench.resume_all()
    assert bench.topics()[-1] == "tree.settled"


async def test_resuming_without_an_executor_fails_nothing_and_says_what_to_import(
    bench: Bench,
) -> None:
    await interrupted(bench, "t0", fan(1))
    before = bench.topics()
    work = bench.executors.work.pop("noop")
    resumed = await resume(bench.engine)
    error = resumed.refused["r"]
    assert isinstance(error, ExecutorMissing)
    assert "--import tests" in str(error)
    assert bench.topics() == before
    bench.executors.work["noop"] = work
    await bench.resume_all()


async def test_only_the_trees_named_are_taken(bench: Bench) -> None:
    await interrupted(bench, "t0", fan(1))
    assert (await resume(bench.engine, {"other"})).taken == []


async def test_settled_trees_and_drafts_are_no_open_work(bench: Bench) -> None:
    await bench.run(fan(2))
    bench.crash("engine-2")
    resumed = await resume(bench.engine)
    assert (resumed.taken, resumed.refused) == ([], {})


@pytest.mark.parametrize("position", range(1, 8))
async def test_a_crash_after_any_commit_resumes_to_the_same_end(
    bench: Bench, position: int
) -> None:
    runs: list[str] = []

    async def work(call: Call) -> str:
        runs.append(call.task)
        if len(bench.journal.commits) == position:
            await asyncio.sleep(60)
        return call.task

    bench.on("noop", work)
    actor = await bench.submit(chain(6))
    waiter = actor.waiter()
    await until(lambda: waiter.done() or len(bench.journal.commits) >= position)
    await asyncio.sleep(0)
    completed = [r.event.task for r in bench.journal.log if isinstance(r.event, e.TaskCompleted)]
    bench.crash("engine-2")
    runs.clear()
    bench.on("noop", Killable(""))
    await bench.resume_all()
    assert bench.topics()[-1] == "tree.settled"
    assert not set(bench.started()) & set(completed)


async def test_of_two_resumes_in_one_engine_one_takes_the_tree(bench: Bench) -> None:
    await interrupted(bench, "t0", fan(1))
    first, second = await asyncio.gather(resume(bench.engine), resume(bench.engine))
    taken = [*first.taken, *second.taken]
    assert len(taken) == 1
    assert await asyncio.wait_for(taken[0].waiter(), 5) == "completed"
    refused = {**first.refused, **second.refused}
    assert [type(error) for error in refused.values()] == [OwnedElsewhere]
    assert bench.started() == ["t0"]
