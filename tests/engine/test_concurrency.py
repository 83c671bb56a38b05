"""Concurrency keys: so many at once over the whole store, and nobody is forgotten."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import CommitUnknown, StaleVersion, StoreFull
from aipartnerupflow.engine.lifecycle import resume
from aipartnerupflow.engine.ports import Call, Unit
from aipartnerupflow.engine.starting import Starter
from tests.support.bench import Bench, MakeBench, fan, one, until
from tests.support.works import Gate, broken, deaf, endless

ONE: dict[str, Any] = {"concurrency": {"key": "printer"}}


def limit(n: int) -> dict[str, Any]:
    return {"concurrency": {"key": "printer", "limit": n}}


class Counted:
    """Work of a second that knows how many of it run at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.done = Counter[str]()

    async def __call__(self, call: Call) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(1)
        finally:
            self.now -= 1
        self.done[call.task] += 1


@pytest.mark.parametrize("most", [1, 3])
async def test_in_one_tree_no_more_run_than_the_key_allows(bench: Bench, most: int) -> None:
    work = Counted()
    bench.on("noop", work)
    assert await bench.run(fan(12, **limit(most))) == "completed"
    assert work.most == most
    assert len(work.done) == 12
    assert bench.journal.slots == {}


async def test_nor_over_many_trees(bench: Bench) -> None:
    work = Counted()
    bench.on("noop", work)
    trees = [[{"id": f"r{i}", "name": "noop", **limit(2)}] for i in range(20)]
    assert set(await asyncio.gather(*map(bench.run, trees))) == {"completed"}
    assert work.most == 2
    assert len(work.done) == 20
    assert asyncio.get_running_loop().time() == pytest.approx(10)


async def test_nor_over_two_engines(bench: Bench) -> None:
    work = Counted()
    bench.on("noop", work)
    first, second = bench.node, bench.boot("engine-2")
    actors = [
        await bench.submit([{"id": f"r{i}", "name": "noop", **ONE}], node=(first, second)[i % 2])
        for i in range(10)
    ]
    assert {await actor.waiter() for actor in actors} == {"completed"}
    assert work.most == 1
    assert sum(work.done.values()) == 10


async def test_a_place_that_another_engine_holds_is_asked_for_until_it_is_free(
    bench: Bench,
) -> None:
    gate = Gate()
    bench.on("gated", gate)
    await bench.submit([{"id": "a", "name": "gated", **ONE}])
    bench.boot("engine-2")
    actor = await bench.submit([{"id": "b", "name": "noop", **ONE}])
    await asyncio.sleep(30)
    assert bench.story("b") == []
    gate.open()
    assert await actor.waiter() == "completed"
    assert bench.times(e.TaskStarted, "b")[0] <= 31


async def test_what_needs_no_place_is_not_held_up_by_what_does(bench: Bench) -> None:
    bench.on("endless", endless)
    await bench.submit([{"id": "a", "name": "endless", **ONE}])
    bench.boot("engine-2")
    tasks = [*fan(3), {"id": "b", "name": "noop", "parent_id": "r", "priority": 0, **ONE}]
    await bench.submit(tasks)
    await until(lambda: len(bench.started()) == 3)
    assert "b" not in bench.started()


async def test_a_refused_start_gives_back_its_other_slots(make_bench: MakeBench) -> None:
    bench = make_bench(slots=1)
    bench.on("endless", endless)
    await bench.submit([{"id": "a", "name": "endless", **ONE}])
    bench.boot("engine-2")
    await bench.submit([{"id": "b", "name": "noop", **ONE}])
    assert await bench.run([{"id": "c", "name": "noop"}]) == "completed"


@pytest.mark.parametrize("how", ["failure", "backoff", "cancel", "abandoned", "timeout"])
async def test_every_end_of_an_attempt_frees_its_place(bench: Bench, how: str) -> None:
    fields: dict[str, Any] = {}
    match how:
        case "failure":
            bench.on("work", broken)
        case "backoff":
            bench.on("work", broken)
            fields = {"retry": {"backoff": "fixed", "initial_delay": 1_000}}
        case "timeout":
            bench.on("work", endless)
            fields = {"timeout": 5}
        case "cancel":
            bench.on("work", endless)
        case _:
            bench.on("work", deaf)
    await bench.submit([{"id": "a", "name": "work", **ONE, **fields}])
    if how in ("cancel", "abandoned"):
        await bench.ask("cancel", "a")
    assert await bench.run([{"id": "b", "name": "noop", **ONE}]) == "completed"
    assert asyncio.get_running_loop().time() <= 11


async def test_a_place_is_freed_with_the_interruption_when_its_engine_died(bench: Bench) -> None:
    gate = Gate()
    bench.on("gated", gate)
    await bench.submit([{"id": "a", "name": "gated", **ONE}])
    bench.crash("engine-2")
    actor = await bench.submit([{"id": "b", "name": "noop", **ONE}])
    await asyncio.sleep(10)
    assert bench.story("b") == []
    gate.open()
    await bench.take("a")
    assert await actor.waiter() == "completed"
    await until(lambda: bench.topics("a")[-1] == "tree.settled")


async def test_a_place_goes_with_the_tree_that_is_taken_from_a_living_engine(
    bench: Bench,
) -> None:
    gate = Gate()
    bench.on("gated", gate)
    await bench.submit([{"id": "a", "name": "gated", **ONE}])
    bench.boot("engine-2")
    await resume(bench.engine, take_over=True)
    assert bench.story("a") == ["task.started", "task.interrupted", "task.started"]
    assert bench.journal.slots == {("a", "a"): "printer"}
    gate.open()
    await until(lambda: bench.topics("a")[-1] == "tree.settled")
    assert bench.journal.slots == {}


async def test_an_attempt_that_is_taken_over_keeps_its_place(bench: Bench) -> None:
    gate = Gate()

    async def find(call: Call) -> Any:
        await asyncio.sleep(10)
        return gate(call)

    bench.on("gated", gate)
    bench.executors.reattach["gated"] = find
    await bench.submit([{"id": "a", "name": "gated", **ONE}])
    bench.crash("engine-2")
    await bench.take("a")
    actor = await bench.submit([{"id": "b", "name": "noop", **ONE}])
    await asyncio.sleep(60)
    assert bench.story("b") == []
    gate.open()
    assert await actor.waiter() == "completed"
    assert bench.story("a") == ["task.started", "attempt.taken_over", "task.completed"]


async def test_a_place_is_freed_by_a_shutdown(bench: Bench) -> None:
    bench.on("endless", endless)
    actor = await bench.submit([{"id": "a", "name": "endless", **ONE}])
    await bench.engine.release([actor])
    assert await bench.run([{"id": "b", "name": "noop", **ONE}]) == "completed"


@pytest.mark.parametrize("alone", [True, False])
async def test_a_start_that_is_fenced_gives_its_slots_back(
    make_bench: MakeBench, alone: bool
) -> None:
    bench = make_bench(slots=1)
    gate, first = Gate(), bench.node
    bench.on("gated", gate)
    before = [] if alone else ["a"]
    tasks = [*fan(0), {"id": "b", "name": "noop", "parent_id": "r", "dependencies": before, **ONE}]
    tasks.extend({"id": id, "name": "gated", "parent_id": "r"} for id in before)
    first.engine.hold()
    actor = await bench.submit(tasks)
    if not alone:
        first.engine.go()
        await until(lambda: first.backend.running)
    bench.boot("engine-2")
    bench.engine.hold()
    await resume(bench.engine, take_over=True)
    gate.open()
    first.engine.go()
    with pytest.raises(StaleVersion):
        await actor.waiter()
    other = await bench.submit([{"id": "d", "name": "noop"}], node=first)
    assert await other.waiter() == "completed"


async def test_a_tree_that_is_taken_away_during_the_commit_of_a_start_gives_its_slots_back(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(slots=1)
    bench.engine.hold()
    actor = await bench.submit(one("noop", **ONE))
    bench.committer.mode, bench.committer.takes = "thread", 5
    bench.engine.go()
    await asyncio.sleep(1)
    bench.engine.lose(actor, StaleVersion("r", 3))
    await asyncio.sleep(5)
    bench.committer.mode = "inline"
    assert await bench.run([{"id": "d", "name": "noop"}]) == "completed"
    assert bench.started() == ["d"]


@pytest.mark.parametrize(
    ("new", "failure"),
    [(True, CommitUnknown("?")), (False, CommitUnknown("?")), (False, StoreFull("full"))],
)
async def test_what_was_asked_is_not_refused_for_the_start_behind_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, new: bool, failure: Exception
) -> None:
    """The start gets no place, so both are stored alone, and then the store fails once."""
    gate = Gate()
    bench.on("gated", gate)
    await bench.submit([{"id": "o", "name": "gated", **ONE}])
    bench.boot("engine-2")
    if not new:
        bench.engine.hold()
        await bench.submit(one("noop", **ONE))
        await bench.ask("pause")
        bench.engine.go()
    append, failures = bench.journal.append, iter([None, failure])

    def failing(units: Sequence[Unit]) -> int:
        if (error := next(failures, None)) is not None:
            raise error
        return append(units)

    monkeypatch.setattr(bench.journal, "append", failing)
    if new:
        await bench.submit(one("noop", **ONE))
    else:
        await bench.ask("unpause")
    assert next(failures, None) is None
    gate.open()
    await until(lambda: bench.topics()[-1] == "tree.settled")
    assert len(bench.facts(e.TreeClaimed)) == 2


async def test_of_all_that_wait_for_a_place_the_urgent_one_goes_first(bench: Bench) -> None:
    gate = Gate()
    bench.on("gated", gate)
    tasks = [*fan(0), {"id": "a", "name": "gated", "parent_id": "r", "priority": 0, **ONE}]
    for n, priority in enumerate([3, 1, 2, 0]):
        tasks.append({"id": f"p{n}", "name": "noop", "parent_id": "r", "priority": priority} | ONE)
    actor = await bench.submit(tasks)
    gate.open()
    await actor.waiter()
    assert bench.started() == ["a", "p3", "p1", "p2", "p0"]


async def test_keys_do_not_mind_each_other(bench: Bench) -> None:
    work = Counted()
    bench.on("noop", work)
    children = fan(6)[1:]
    for n, child in enumerate(children):
        child["concurrency"] = {"key": f"key-{n % 3}"}
    assert await bench.run([{"id": "r", "name": "root"}, *children]) == "completed"
    assert work.most == 3
    assert asyncio.get_running_loop().time() == pytest.approx(2)


async def test_hooks_hold_a_place_here_and_take_the_one_in_the_store_with_the_start(
    bench: Bench,
) -> None:
    work = Counted()
    bench.on("noop", work)
    bench.executors.changed = {"n": 1}
    assert await bench.run(fan(5, **ONE)) == "completed"
    assert work.most == 1


async def test_a_group_begins_with_a_child_that_needs_a_place(bench: Bench) -> None:
    tasks = [
        {"id": "r", "name": "root"},
        {"id": "g", "name": "group", "parent_id": "r"},
        {"id": "a", "name": "noop", "parent_id": "g", **ONE},
        {"id": "b", "name": "noop", "parent_id": "g", "dependencies": ["a"], **ONE},
    ]
    assert await bench.run(tasks) == "completed"
    assert bench.topics()[:6] == [
        "tree.created", "tree.submitted", "tree.claimed",
        "task.started", "task.started", "task.started",
    ]  # fmt: skip


@pytest.mark.parametrize("most", [10, 1_000])
async def test_many_that_wait_for_a_place_are_not_looked_at_again_and_again(
    bench: Bench, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    good = Starter._try_start

    def counted(self: Starter, *arguments: Any) -> None:
        looks.append(1)
        good(self, *arguments)

    monkeypatch.setattr(Starter, "_try_start", counted)
    assert await bench.run(fan(500, **limit(most))) == "completed"
    assert len(looks) < 5 * 500


async def test_those_that_wait_for_their_turn_to_ask_keep_their_order(bench: Bench) -> None:
    tasks = [
        {"id": f"t{n}", "name": "noop", "parent_id": "r", "priority": n % 3, **limit(1_000)}
        for n in range(12)
    ]
    assert await bench.run([{"id": "r", "name": "group"}, *tasks]) == "completed"
    assert bench.started() == [f"t{n}" for n in sorted(range(12), key=lambda n: (n % 3, n))]


async def test_a_pause_between_them_loses_none(bench: Bench) -> None:
    bench.on("noop", Counted())
    actor = await bench.submit(fan(20, **limit(3)))
    await asyncio.sleep(1.5)
    await bench.ask("pause")
    await asyncio.sleep(10)
    before = len(bench.started())
    assert before < 20
    await asyncio.sleep(10)
    assert len(bench.started()) == before
    await bench.ask("unpause")
    assert await actor.waiter() == "completed"
    assert len(bench.started()) == 20
    assert bench.engine.starter._asking == {}
