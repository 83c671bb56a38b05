"""What a defect in one tree leaves behind: nothing half done, no slot, nobody who waits on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from aipartnerupflow.domain import decide
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import Defect
from aipartnerupflow.engine import actor as actors
from aipartnerupflow.engine import lifecycle
from aipartnerupflow.engine.judge import Judge
from aipartnerupflow.engine.lifecycle import resume
from aipartnerupflow.engine.ports import Call
from aipartnerupflow.engine.takeover import Watch
from aipartnerupflow.engine.timers import Timers
from aipartnerupflow.testing.grammar import check_log
from tests.support.bench import Bench, MakeBench, until

Breaks = Callable[..., "Broken"]


class Broken:
    """A function that raises ``times`` times where ``when`` says so, after it has done its work
    where it is to be ``late``.
    """

    def __init__(self, good: Any, when: Callable[..., bool], times: int, late: bool) -> None:
        self.good, self.when, self.left, self.late = good, when, times, late
        self.calls = 0

    def __get__(self, instance: Any, owner: type) -> Any:
        return lambda *arguments, **options: self(instance, *arguments, **options)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        breaks = self.left > 0 and self.when(*arguments)
        if breaks:
            self.left -= 1
            self.calls += 1
        if breaks and not self.late:
            raise ZeroDivisionError
        result = self.good(*arguments, **options)
        if breaks:
            raise ZeroDivisionError
        return result


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Breaks:
    """Plants a `Broken`."""

    def plant(
        place: Any, name: str, when: Callable[..., bool], *, times: int = 1, late: bool = False
    ) -> Broken:
        broken = Broken(getattr(place, name), when, times, late)
        monkeypatch.setattr(place, name, broken)
        return broken

    return plant


@pytest.fixture(autouse=True)
async def told() -> AsyncIterator[list[dict[str, Any]]]:
    """What the loop's exception handler was given."""
    found: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


def of_bad(_: Any, __: Any, actor: Any, *___: Any) -> bool:
    return bool(actor.tree.id == "bad")


def completes(task: str) -> Callable[..., bool]:
    def does(tree: Any, fact: Any) -> bool:
        return isinstance(fact, e.TaskCompleted) and fact.task == task

    return does


async def endless(call: Call) -> None:
    await asyncio.sleep(1e9)


async def three_seconds(call: Call) -> None:
    await asyncio.sleep(3)


async def test_nothing_is_written_behind_what_is_half_done(bench: Bench, breaks: Breaks) -> None:
    breaks(actors, "evolve", completes("bad-1"), late=True)
    waits = [
        {"id": f"bad-{n}", "name": "wait", "parent_id": "bad", "inputs": {"seconds": 1}}
        for n in (1, 2)
    ]
    bad = await bench.submit([{"id": "bad", "name": "noop"}, *waits])
    with pytest.raises(Defect):
        await bad.waiter()
    await asyncio.sleep(5)
    assert check_log(bench.journal.log) == []
    assert "tree.settled" not in bench.topics("bad")
    assert bench.story("bad-2") == ["task.started", "task.waiting"]
    assert await (await bench.take("bad")).waiter() == "completed"


async def test_what_was_reported_before_is_kept_and_nothing_follows_from_half_a_state(
    bench: Bench, breaks: Breaks
) -> None:
    async def a_second(call: Call) -> None:
        await asyncio.sleep(1)

    bench.on("second", a_second)
    broken = breaks(actors, "evolve", lambda _, fact: isinstance(fact, e.TaskCompleted)
                    and fact.task != "bad" and seen_one(), late=True)  # fmt: skip
    seen: list[int] = []

    def seen_one() -> bool:
        seen.append(1)
        return len(seen) == 2

    both = [{"id": f"bad-{n}", "name": "second", "parent_id": "bad"} for n in (1, 2)]
    bad = await bench.submit([{"id": "bad", "name": "group"}, *both])
    with pytest.raises(Defect):
        await bad.waiter()
    assert broken.calls == 1
    await until(lambda: not bench.engine.leaving)
    assert check_log(bench.journal.log) == []
    assert [t for t in bench.topics("bad") if t == "task.completed"] == ["task.completed"]
    assert await (await bench.take("bad")).waiter() == "completed"
    assert len(bench.started()) == 3


async def test_what_was_reported_before_a_start_broke_is_stored(
    bench: Bench, breaks: Breaks
) -> None:
    breaks(decide, "start", lambda tree, n, *_: tree.at_n(n).spec.id == "bad")
    bad = await bench.submit([
        {"id": "bad", "name": "noop", "dependencies": ["bad-1"]},
        {"id": "bad-1", "name": "noop", "parent_id": "bad"},
    ])  # fmt: skip
    with pytest.raises(Defect):
        await bad.waiter()
    await until(lambda: not bench.engine.leaving)
    assert await (await bench.take("bad")).waiter() == "completed"
    assert bench.started().count("bad-1") == 1


async def test_a_stopped_attempt_at_which_it_shows_hangs_nobody(
    bench: Bench, breaks: Breaks
) -> None:
    breaks(Judge, "failure", of_bad)
    bench.on("endless", endless)
    bad = await bench.submit([{"id": "bad", "name": "endless", "timeout": 1}])
    with pytest.raises(Defect):
        await bad.waiter()
    assert bench.engine._dispatch._used == {}
    assert await (await bench.take("bad")).waiter() == "failed"


async def test_slots_of_starts_that_were_prepared_slowly_come_back(
    make_bench: MakeBench, breaks: Breaks
) -> None:
    bench = make_bench(slots=2)
    bench.executors.changed = {"x": 1}
    breaks(decide, "start", lambda tree, *_: tree.id.startswith("bad"), times=2)
    bad = [await bench.submit([{"id": f"bad{n}", "name": "noop"}]) for n in range(2)]
    for each in bad:
        with pytest.raises(Defect):
            await each.waiter()
    assert await bench.run([{"id": "good", "name": "noop"}]) == "completed"
    assert bench.engine._dispatch._used == {}


async def test_a_command_that_breaks_half_way_changes_nothing(bench: Bench, breaks: Breaks) -> None:
    bench.on("slow", three_seconds)
    await bench.submit([
        {"id": "bad", "name": "slow"},
        {"id": "s", "name": "signal", "parent_id": "bad"},
        {"id": "d", "name": "noop", "parent_id": "bad", "dependencies": ["s"]},
    ])  # fmt: skip
    await asyncio.sleep(1)
    breaks(actors, "evolve", completes("s"), late=True)
    with pytest.raises(Defect):
        await bench.ask("signal", tree="bad", name="s")
    await asyncio.sleep(60)
    assert bench.started() == ["bad"]
    assert check_log(bench.journal.log) == []
    assert (bench.engine.actors, bench.engine._dispatch._used) == ({}, {})


async def test_it_is_tried_again_more_and_more_rarely_and_not_for_ever(
    bench: Bench, breaks: Breaks
) -> None:
    broken = breaks(Judge, "facts", of_bad, times=1_000)
    bench.engine.serve(Watch(bench.engine).serve())
    await bench.submit([{"id": "bad", "name": "noop", "max_interruptions": 1_000}])
    await asyncio.sleep(600)
    assert 8 <= broken.calls <= 16
    broken.left = 0
    await asyncio.sleep(70)
    assert bench.topics("bad")[-1] == "tree.settled"
    assert not bench.engine.defects.holds_off("bad")


async def test_the_tree_is_free_for_any_other_engine(bench: Bench, breaks: Breaks) -> None:
    breaks(Judge, "facts", of_bad)
    bad = await bench.submit([{"id": "bad", "name": "noop"}])
    with pytest.raises(Defect):
        await bad.waiter()
    await until(lambda: bench.topics("bad")[-1] == "tree.released")
    bench.boot("engine-2")
    assert await (await bench.take("bad")).waiter() == "completed"


async def test_it_is_not_taken_up_while_something_of_it_still_runs(
    bench: Bench, breaks: Breaks
) -> None:
    alive: list[int] = []

    async def slow_to_end(call: Call) -> None:
        alive.append(call.attempt)
        assert len(alive) == 1
        try:
            await asyncio.sleep(2)
        finally:
            await asyncio.shield(asyncio.sleep(4))
            alive.remove(call.attempt)

    bench.on("slow", slow_to_end)
    bench.engine.serve(Watch(bench.engine).serve())
    breaks(Judge, "facts", of_bad)
    bad = await bench.submit([
        {"id": "bad", "name": "slow"}, {"id": "quick", "name": "noop", "parent_id": "bad"},
    ])  # fmt: skip
    with pytest.raises(Defect):
        await bad.waiter()
    await until(lambda: bench.topics("bad")[-1] == "tree.settled")
    assert bench.facts(e.TreeSettled)[0].status == "completed"


@pytest.mark.parametrize("where", ["claim", "arm_all", "load"])
async def test_a_tree_that_cannot_be_taken_up_costs_the_others_nothing(
    where: str, bench: Bench, breaks: Breaks
) -> None:
    bench.on("slow", three_seconds)
    for n in range(40):
        await bench.submit([{"id": f"t{n}", "name": "slow"}])
    bench.crash("engine-2")
    if where == "claim":
        breaks(decide, "claim", lambda tree, *_: tree.id == "t0")
    elif where == "load":
        breaks(lifecycle, "load", lambda _, id: id == "t0")
    else:
        breaks(Timers, "arm_all", lambda _, actor: actor.tree.id == "t0")
    resumed = await resume(bench.engine)
    assert {id: type(error) for id, error in resumed.refused.items()} == {"t0": Defect}
    assert "t0" not in bench.engine.actors
    await asyncio.gather(*(actor.waiter() for actor in resumed.taken))
    await until(lambda: "t0" not in bench.engine.leaving)
    assert await (await bench.take("t0")).waiter() == "completed"


async def test_a_watch_goes_on_whatever_breaks(bench: Bench, breaks: Breaks) -> None:
    bench.on("slow", three_seconds)
    await bench.submit([{"id": "t", "name": "slow"}])
    bench.crash("engine-2")
    breaks(bench.journal, "open_work", lambda *_: True)
    bench.engine.serve(Watch(bench.engine).serve())
    await until(lambda: bench.topics("t")[-1] == "tree.settled")


async def test_a_service_that_breaks_down_is_told(bench: Bench, told: list[dict[str, Any]]) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    bench.engine.serve(broken())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [one["message"] for one in told] == ["a service of the engine broke down"]


async def test_letting_go_the_others_keep_what_they_still_returned(
    bench: Bench, breaks: Breaks
) -> None:
    async def careful(call: Call) -> int:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return 42
        return 0

    bench.on("careful", careful)
    for id in ("bad", "good"):
        await bench.submit([{"id": id, "name": "careful"}])
    breaks(Judge, "facts", of_bad)
    await asyncio.sleep(1)
    await bench.engine.close()
    assert bench.story("good") == ["task.started", "task.completed"]
    assert bench.engine.leaving == set()
    bench.boot("engine-2")
    await bench.resume_all()
    assert bench.topics("bad")[-1] == "tree.settled"
