"""Work that outlives its engine is found again by the next one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import InvalidTransition, StoreUnavailable
from aipartnerupflow.engine.ports import Call
from tests.support.bench import Bench, MakeBench, fan, one, until
from tests.support.works import endless


class Outside:
    """Work beyond the engine, that takes ``seconds`` and is found until it ``is_lost``.

    A look for it takes ``look`` seconds.
    """

    def __init__(self, bench: Bench, seconds: float = 100, look: float = 0) -> None:
        self.bench = bench
        self.seconds, self.look = seconds, look
        self.lost = False
        self.calls: list[int] = []
        self.looks: list[int] = []
        self.end = 0.0
        bench.on("outside", self.begin)
        bench.executors.reattach["outside"] = self.find

    async def begin(self, call: Call) -> str:
        self.calls.append(call.attempt)
        self.end = asyncio.get_running_loop().time() + self.seconds
        return await self._follow()

    async def find(self, call: Call) -> Callable[[], Awaitable[str]] | None:
        self.looks.append(call.attempt)
        await asyncio.sleep(self.look)
        return None if self.lost else self._follow

    async def _follow(self) -> str:
        await asyncio.sleep(max(0.0, self.end - asyncio.get_running_loop().time()))
        return "done outside"


async def test_it_is_found_and_the_same_attempt_goes_on(bench: Bench) -> None:
    outside = Outside(bench)
    await bench.submit(one("outside"))
    await asyncio.sleep(30)
    bench.crash("engine-2")
    await asyncio.sleep(5)
    await bench.resume_all()
    assert bench.story("r") == ["task.started", "attempt.taken_over", "task.completed"]
    assert bench.times(e.TaskCompleted) == [100]
    assert (outside.calls, outside.looks) == ([1], [1])
    (taken,) = bench.facts(e.AttemptTakenOver)
    assert (taken.engine, taken.epoch) == ("engine-2", 2)


async def test_what_ended_while_no_engine_ran_has_its_result(bench: Bench) -> None:
    Outside(bench, seconds=10)
    await bench.submit(one("outside"))
    bench.crash("engine-2")
    await asyncio.sleep(500)
    await bench.resume_all()
    assert bytes(bench.facts(e.TaskCompleted)[0].result or b"") == b'"done outside"'
    assert bench.facts(e.TaskInterrupted) == []


async def test_what_is_not_found_is_an_interruption_and_runs_again(bench: Bench) -> None:
    outside = Outside(bench, seconds=10)
    await bench.submit(one("outside"))
    outside.lost = True
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.story("r") == ["task.started", "task.interrupted", "task.started",
                                "task.completed"]  # fmt: skip
    assert outside.calls == [1, 2]


async def test_what_is_not_found_and_must_not_run_again_fails(bench: Bench) -> None:
    outside = Outside(bench)
    await bench.submit(one("outside", on_interrupt="fail"))
    outside.lost = True
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.facts(e.TaskFailed)[0].error.type == "interrupted"


async def test_an_error_in_looking_tells_only_that_it_was_not_found(bench: Bench) -> None:
    async def find(call: Call) -> None:
        raise ConnectionError("the host is away")

    outside = Outside(bench, seconds=10)
    bench.executors.reattach["outside"] = find
    await bench.submit(one("outside"))
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.story("r")[1] == "task.interrupted"
    assert outside.calls == [1, 2]


async def test_it_holds_its_slot_while_it_is_looked_for(make_bench: MakeBench) -> None:
    bench = make_bench(slots=1)
    Outside(bench, seconds=100, look=20)
    tasks = [*fan(2), {"id": "a", "name": "outside", "parent_id": "r", "priority": 0}]
    await bench.submit(tasks)
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.times(e.TaskCompleted, "a") == [100]
    assert bench.times(e.TaskStarted, "t0") == [100]
    assert bench.backend.most == 1


async def test_a_second_crash_while_it_is_looked_for_changes_nothing(bench: Bench) -> None:
    outside = Outside(bench, look=20)
    await bench.submit(one("outside"))
    for n in range(2, 6):
        bench.crash(f"engine-{n}")
        await bench.take()
        await asyncio.sleep(10)
    await bench.engine.actors["r"].waiter()
    assert bench.story("r") == ["task.started", "attempt.taken_over", "task.completed"]
    assert outside.calls == [1]
    assert len(bench.facts(e.TreeClaimed)) == 5


async def test_a_crash_after_it_was_taken_over_takes_it_over_again(bench: Bench) -> None:
    Outside(bench)
    await bench.submit(one("outside"))
    for n in (2, 3):
        bench.crash(f"engine-{n}")
        await bench.take()
        await until(lambda: bench.story("r")[-1] == "attempt.taken_over")
        await asyncio.sleep(5)
    await bench.engine.actors["r"].waiter()
    assert [fact.epoch for fact in bench.facts(e.AttemptTakenOver)] == [2, 3]
    assert bench.times(e.TaskCompleted) == [100]


async def test_a_cancel_while_it_is_looked_for_ends_it_once_it_is_found(bench: Bench) -> None:
    Outside(bench, look=12)
    await bench.submit(one("outside"))
    bench.crash("engine-2")
    actor = await bench.take()
    await asyncio.sleep(5)
    await bench.ask("cancel")
    assert await actor.waiter() == "cancelled"
    assert bench.story("r") == ["task.started", "attempt.taken_over", "task.cancelled"]
    assert [(bench.seconds(fact.at), fact.stopped) for fact in bench.facts(e.TaskCancelled)] == [
        (12, True)
    ]


async def test_a_cancel_of_what_is_not_found_tells_that_nobody_knows(bench: Bench) -> None:
    outside = Outside(bench, look=8)
    await bench.submit(one("outside"))
    bench.crash("engine-2")
    actor = await bench.take()
    outside.lost = True
    await bench.ask("cancel", task="r")
    assert await actor.waiter() == "cancelled"
    assert [(bench.seconds(fact.at), fact.stopped) for fact in bench.facts(e.TaskCancelled)] == [
        (8, False)
    ]


async def test_a_cancel_that_was_asked_of_the_former_engine_is_carried_out(bench: Bench) -> None:
    Outside(bench, look=3)
    await bench.submit(one("outside"))
    await bench.ask("cancel")
    bench.crash("engine-2")
    actor = await bench.take()
    assert await actor.waiter() == "cancelled"
    assert bench.story("r") == ["task.started", "attempt.taken_over", "task.cancelled"]


@pytest.mark.parametrize("bound", ["timeout", "heartbeat"])
async def test_a_look_that_never_ends_is_given_up_when_its_time_is_over(
    bench: Bench, bound: str
) -> None:
    outside = Outside(bench, seconds=10, look=1e6)
    await bench.submit(one("outside", **{bound: 60}))
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.story("r")[1] == "task.interrupted"
    assert bench.times(e.TaskCompleted) == [70]
    assert outside.calls == [1, 2]


async def test_a_deadline_ends_a_look_and_the_task(bench: Bench) -> None:
    Outside(bench, look=1e6)
    await bench.submit(one("outside", deadline=60))
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.facts(e.TaskFailed)[0].error.type == "deadline_exceeded"
    assert bench.times(e.TaskFailed) == [60]


async def test_a_cancel_is_not_held_up_by_a_look_that_never_ends(bench: Bench) -> None:
    Outside(bench, look=1e6)
    await bench.submit(one("outside"))
    bench.crash("engine-2")
    actor = await bench.take()
    await asyncio.sleep(5)
    await bench.ask("cancel")
    assert await asyncio.wait_for(actor.waiter(), 60) == "cancelled"
    assert [fact.stopped for fact in bench.facts(e.TaskCancelled)] == [False]


async def test_a_shutdown_while_it_is_looked_for_leaves_it_to_be_interrupted(bench: Bench) -> None:
    outside = Outside(bench, look=20)
    await bench.submit(one("outside"))
    bench.crash("engine-2")
    actor = await bench.take()
    await asyncio.sleep(5)
    await bench.engine.release([actor])
    assert bench.topics()[-1] == "tree.released"
    assert outside.calls == [1]
    await bench.take()
    await bench.engine.actors["r"].waiter()
    assert bench.facts(e.TreeSettled)[0].status == "completed"


async def test_what_no_executor_here_finds_again_is_interrupted_with_the_claim(
    bench: Bench,
) -> None:
    bench.on("endless", endless)
    Outside(bench)
    tasks = [*fan(0), {"id": "a", "name": "endless", "parent_id": "r"}]
    tasks.append({"id": "b", "name": "outside", "parent_id": "r"})
    await bench.submit(tasks)
    bench.crash("engine-2")
    await bench.take()
    commit = [r.event for r in bench.journal.commits[-1]]
    assert [fact.topic for fact in commit][:2] == ["tree.claimed", "task.interrupted"]
    assert bench.facts(e.TaskInterrupted)[0].task == "a"


async def test_large_results_reach_a_look_also_where_the_store_is_away_for_a_while(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def give(call: Call) -> str:
        return "x" * 100_000

    bench.on("give", give)
    Outside(bench)
    tasks = [*fan(0), {"id": "a", "name": "give", "parent_id": "r"}]
    tasks.append({"id": "b", "name": "outside", "parent_id": "r", "dependencies": ["a"]})
    await bench.submit(tasks)
    await until(lambda: bench.facts(e.TaskStarted, "b"))
    read, failures = bench.journal.read_blob, iter([True] * 3)

    def away(hash: str) -> bytes:
        if next(failures, False):
            raise StoreUnavailable("unreachable")
        return read(hash)

    monkeypatch.setattr(bench.journal, "read_blob", away)
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.story("b") == ["task.started", "attempt.taken_over", "task.completed"]


async def test_an_attempt_that_is_over_cannot_be_taken_over(bench: Bench) -> None:
    ports: list[Any] = []

    async def work(call: Call) -> None:
        ports.append(call.port)

    bench.on("work", work)
    await bench.run(one("work"))
    with pytest.raises(InvalidTransition):
        await ports[0].taken_over()
