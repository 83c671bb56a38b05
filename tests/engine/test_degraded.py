"""A store that is full, locked or out of reach for a while: nothing that was reported is lost."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import (
    ApflowError,
    CommitUnknown,
    Defect,
    Released,
    StaleVersion,
    StoreCorrupt,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from aipartnerupflow.engine.commit import Done as Told
from aipartnerupflow.engine.commit import StoreClosed
from aipartnerupflow.engine.lifecycle import load, resume
from aipartnerupflow.engine.ports import Call, Unit
from tests.support.bench import Bench, chain, fan, one, until
from tests.support.works import Gate, endless

FULL = StoreFull("no space left on device")


@pytest.fixture
def gate(bench: Bench) -> Gate:
    """What ``gated`` tasks wait for."""
    made = Gate()
    bench.on("gated", made)
    return made


@pytest.mark.parametrize(
    "illness", [FULL, StoreUnavailable("locked"), StoreReadOnly("read only"), CommitUnknown("?")]
)
async def test_what_was_reported_is_stored_once_the_store_is_well_again(
    bench: Bench, gate: Gate, illness: ApflowError
) -> None:
    tasks = [*fan(0), {"id": "a", "name": "gated", "parent_id": "r"}]
    tasks.append({"id": "b", "name": "noop", "parent_id": "r", "dependencies": ["a"]})
    actor = await bench.submit(tasks)
    bench.journal.illness = illness
    gate.open()
    await asyncio.sleep(300)
    assert bench.topics()[-1] == "task.started"
    assert bench.started() == ["a"]
    bench.journal.illness = None
    assert await actor.waiter() == "completed"
    assert bench.started() == ["a", "b"]
    assert asyncio.get_running_loop().time() <= 301.1


async def test_the_engine_shows_itself_degraded_and_says_why(bench: Bench, gate: Gate) -> None:
    actor = await bench.submit(one("gated"))
    assert bench.engine.health.degraded == ""
    bench.journal.illness = FULL
    gate.open()
    await asyncio.sleep(1)
    assert bench.engine.health.degraded == "no space left on device"
    bench.journal.illness = None
    await actor.waiter()
    assert bench.engine.health.degraded == ""


async def test_a_store_that_hangs_shows_within_a_second(bench: Bench, gate: Gate) -> None:
    actor = await bench.submit(one("gated"))
    bench.committer.mode, bench.committer.takes = "thread", 30
    gate.open()
    await asyncio.sleep(1)
    assert "has not answered" in bench.engine.health.degraded
    with pytest.raises(StoreUnavailable, match="nothing new is taken on"):
        await bench.submit([{"id": "s", "name": "noop"}])
    assert await actor.waiter() == "completed"
    assert bench.engine.health.degraded == ""


async def test_nothing_new_is_taken_on_meanwhile_and_reads_go_on(bench: Bench, gate: Gate) -> None:
    actor = await bench.submit(one("gated"))
    bench.journal.illness = FULL
    gate.open()
    await asyncio.sleep(1)
    before = bench.journal.tries
    asked: list[Callable[[], Any]] = [
        lambda: bench.submit([{"id": "s", "name": "noop"}]),
        lambda: bench.ask("cancel"),
        lambda: bench.ask("pause"),
    ]
    for ask in asked:
        with pytest.raises(StoreUnavailable, match=r"for now: no space left"):
            await ask()
    assert bench.journal.tries == before
    assert load(bench.journal, "r").version == 4
    bench.journal.illness = None
    assert await actor.waiter() == "completed"


async def test_a_tree_that_was_never_stored_is_refused_at_once(bench: Bench) -> None:
    bench.journal.illness = FULL
    with pytest.raises(StoreFull):
        await bench.submit(fan(3))
    assert asyncio.get_running_loop().time() == 0
    assert bench.engine.actors == {}
    assert bench.engine.health.degraded == ""
    bench.journal.illness = None
    assert await bench.run(fan(3)) == "completed"


async def test_a_tree_that_was_told_as_not_given_up_is_not_given_up(bench: Bench) -> None:
    """The store hangs for long, and only then refuses."""
    bench.committer.mode, bench.committer.takes = "thread", 15
    with pytest.raises(CommitUnknown, match="not given up either"):
        await bench.submit(fan(3))
    bench.journal.illness = FULL
    await asyncio.sleep(20)
    bench.journal.illness, bench.committer.takes = None, 0
    await until(lambda: bench.topics()[-1:] == ["tree.settled"])


@pytest.mark.parametrize("illness", [FULL, StoreUnavailable("locked")])
async def test_a_tree_that_may_have_been_stored_is_not_refused(
    bench: Bench, illness: ApflowError
) -> None:
    """The second refusal may be meant for what came with it: it says nothing of the first try."""
    bench.journal.silent = True
    asked = asyncio.ensure_future(bench.submit(fan(3)))
    await asyncio.sleep(0.01)
    bench.journal.silent, bench.journal.illness = False, illness
    await asyncio.sleep(1)
    bench.journal.illness = None
    assert await (await asked).waiter() == "completed"


async def test_where_the_store_is_lost_for_good_it_is_said_that_it_may_be_there(
    bench: Bench,
) -> None:
    bench.journal.silent = True
    asked = asyncio.ensure_future(bench.submit(fan(3)))
    await asyncio.sleep(0.01)
    bench.journal.illness = StoreCorrupt("damaged")
    with pytest.raises(CommitUnknown, match=r"not known whether it was stored.*damaged"):
        await asked
    assert bench.engine.actors == {}


async def test_of_two_in_one_turn_only_the_one_that_was_stored_waits(
    bench: Bench, gate: Gate
) -> None:
    actor = await bench.submit(one("gated"))
    bench.journal.illness = FULL
    gate.open()
    with pytest.raises(StoreFull):
        await asyncio.gather(
            *(bench.submit([{"id": f"s{n}", "name": "noop"}]) for n in range(3)),
            asyncio.sleep(0.01),
        )
    bench.journal.illness = None
    assert await actor.waiter() == "completed"
    assert {recorded.tree for recorded in bench.journal.log} == {"r"}


async def test_who_waits_is_told_after_ten_seconds_and_it_is_stored_all_the_same(
    bench: Bench,
) -> None:
    bench.on("endless", endless)
    actor = await bench.submit(one("endless"))
    bench.journal.illness = FULL
    with pytest.raises(CommitUnknown, match=r"not given up either \(no space left"):
        await bench.ask("cancel")
    assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.2)
    assert bench.backend.stops == []
    bench.journal.illness = None
    assert await actor.waiter() == "cancelled"


async def test_who_waits_for_a_store_that_hangs_is_told_too(bench: Bench) -> None:
    bench.on("endless", endless)
    actor = await bench.submit(one("endless"))
    bench.committer.mode, bench.committer.takes = "thread", 60
    with pytest.raises(CommitUnknown, match="has not answered"):
        await bench.ask("cancel")
    assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.2)
    bench.committer.takes = 0
    assert await actor.waiter() == "cancelled"


@pytest.mark.parametrize("stored", [True, False])
async def test_a_commit_of_which_nobody_knows_is_stored_once(bench: Bench, stored: bool) -> None:
    if stored:
        bench.on("noop", lambda call: asyncio.sleep(1))
        actor = await bench.submit(fan(3))
        bench.journal.silent = True
        await asyncio.sleep(5)
        bench.journal.silent = False
    else:
        bench.journal.silent = True
        creating = asyncio.create_task(bench.submit(fan(3)))
        await asyncio.sleep(5)
        assert bench.started() == []
        bench.journal.silent = False
        actor = await creating
    assert await actor.waiter() == "completed"
    assert sorted(fact.task for fact in bench.facts(e.TaskCompleted)) == ["r", "t0", "t1", "t2"]


async def test_a_start_that_is_not_stored_calls_nothing(bench: Bench, gate: Gate) -> None:
    tasks = chain(2)
    tasks[1]["name"] = "gated"
    actor = await bench.submit(tasks)
    bench.journal.illness = FULL
    gate.open()
    await asyncio.sleep(60)
    assert bench.started() == ["t0"]
    bench.journal.illness = None
    assert await actor.waiter() == "completed"


async def test_what_runs_goes_on_and_its_reports_are_kept(bench: Bench, gate: Gate) -> None:
    """So are timers that ring, and progress."""

    async def work(call: Call) -> str:
        assert call.port is not None
        for step in range(10):
            await asyncio.sleep(2)
            await call.port.progress(step / 10, "")
        return "done"

    bench.on("work", work)
    tasks = [*fan(0), *({"id": f"w{n}", "name": "work", "parent_id": "r"} for n in range(5))]
    tasks.append({"id": "p", "name": "wait", "parent_id": "r", "inputs": {"seconds": 30}})
    tasks.append({"id": "a", "name": "gated", "parent_id": "r"})
    actor = await bench.submit(tasks)
    bench.journal.illness = FULL
    gate.open()
    await asyncio.sleep(100)
    assert bench.backend.running == {}
    bench.journal.illness = None
    assert await actor.waiter() == "completed"
    assert asyncio.get_running_loop().time() <= 101.1
    assert len(bench.facts(e.TaskCompleted)) == 8


async def test_a_checkpoint_is_waited_for_as_long_as_it_takes(bench: Bench) -> None:
    """Who saves is no caller who could look at the tree and decide."""

    async def work(call: Call) -> None:
        assert call.port is not None
        bench.journal.illness = FULL
        await call.port.save(Raw(b"{}"))

    bench.on("work", work)
    actor = await bench.submit(one("work"))
    await asyncio.sleep(60)
    bench.journal.illness = None
    assert await actor.waiter() == "completed"
    assert bench.story("r") == ["task.started", "task.saved", "task.completed"]


async def test_a_tree_that_was_taken_over_meanwhile_is_dropped(bench: Bench, gate: Gate) -> None:
    first = bench.node
    actor = await bench.submit(one("gated"))
    bench.journal.illness = FULL
    gate.open()
    await asyncio.sleep(5)
    bench.journal.illness = None
    bench.boot("engine-2")
    taking = asyncio.create_task(resume(bench.engine, take_over=True))
    await taking
    with pytest.raises(StaleVersion):
        await actor.waiter()
    assert first.engine.actors == {}
    await until(lambda: bench.topics()[-1] == "tree.settled")
    assert len(bench.facts(e.TaskCompleted)) == 1


async def test_what_is_damaged_does_not_heal(bench: Bench, gate: Gate) -> None:
    actor = await bench.submit(one("gated"))
    bench.journal.illness = StoreCorrupt("malformed")
    gate.open()
    with pytest.raises(StoreCorrupt):
        await actor.waiter()
    assert asyncio.get_running_loop().time() == 0
    bench.journal.illness = None


async def test_closing_in_bad_times_gives_up_after_a_while_and_loses_nothing(
    bench: Bench, gate: Gate
) -> None:
    tasks = [*fan(0), {"id": "a", "name": "gated", "parent_id": "r"}]
    bench.on("endless", endless)
    tasks.append({"id": "b", "name": "endless", "parent_id": "r"})
    actor = await bench.submit(tasks)
    bench.journal.illness = FULL
    gate.open()
    await asyncio.sleep(1)
    await bench.engine.close()
    assert asyncio.get_running_loop().time() <= 12
    with pytest.raises(Released):
        await actor.waiter()
    bench.journal.illness = None
    bench.crash("engine-2")
    bench.on("endless", gate)
    await bench.resume_all()
    assert bench.facts(e.TreeSettled)[0].status == "completed"


async def test_an_outage_again_and_again_ends_in_the_same_log(bench: Bench) -> None:
    """Up and down every half a second, while a chain of tasks goes on."""
    actor = await bench.submit(chain(40))
    waiter = actor.waiter()
    while not waiter.done():
        bench.journal.illness = FULL if bench.journal.illness is None else None
        await asyncio.sleep(0.5)
    assert waiter.result() == "completed"
    assert bench.started() == [f"t{n}" for n in range(40)]


async def test_a_commit_may_take_as_long_as_its_size_explains(bench: Bench) -> None:
    bench.engine.hold()
    bench.committer.mode, bench.committer.takes = "thread", 1.5
    big = asyncio.create_task(bench.submit(fan(20_000)))
    await asyncio.sleep(1)
    assert bench.engine.health.degraded == ""
    await bench.submit([{"id": "s", "name": "noop"}])
    await big


async def test_what_was_refused_is_not_stored_with_a_progress_that_comes_behind(
    bench: Bench,
) -> None:
    """Told while the commit was under way, decided after the tree was dropped for its failure."""
    ports: list[Any] = []

    async def work(call: Call) -> None:
        ports.append(call.port)
        await asyncio.sleep(1e7)

    bench.on("work", work)
    actor = await bench.submit(one("work"))
    bench.committer.mode, bench.committer.takes = "thread", 0.4
    bench.journal.illness = StoreCorrupt("malformed")
    asking = asyncio.create_task(bench.ask("pause"))
    await asyncio.sleep(0.1)
    await ports[0].progress(0.5, "")
    await asyncio.sleep(0.2)
    with pytest.raises(StoreCorrupt):
        await asking
    bench.journal.illness = None
    await asyncio.sleep(5)
    assert bench.topics()[-1] == "task.started"
    with pytest.raises(StoreCorrupt):
        await actor.waiter()


def break_over(bench: Bench, monkeypatch: pytest.MonkeyPatch, tree: str) -> None:
    """The store breaks over whatever it is given of this tree."""
    good = bench.journal.append

    def append(units: Sequence[Unit]) -> int:
        if any(append.tree == tree for unit in units for append in unit):
            raise ZeroDivisionError
        return good(units)

    monkeypatch.setattr(bench.journal, "append", append)


@pytest.mark.parametrize("mode", ["inline", "thread"])
async def test_what_the_store_breaks_over_costs_its_tree_and_no_other(
    bench: Bench, gate: Gate, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    good = await bench.submit(one("gated"))
    bad = await bench.submit([{"id": "bad", "name": "gated"}])
    bench.committer.mode = mode
    with monkeypatch.context() as patched:
        break_over(bench, patched, "bad")
        gate.open()
        with pytest.raises(Defect, match="tree bad"):
            await bad.waiter()
        assert await good.waiter() == "completed"
        assert bench.engine.health.degraded == ""
        await asyncio.sleep(5)  # what it tries to store of its farewell breaks as well
    assert bench.topics("bad")[-1] == "task.started"
    assert await (await bench.take("bad")).waiter() == "completed"


@pytest.mark.parametrize("mode", ["inline", "thread"])
async def test_who_asks_for_a_tree_that_the_store_breaks_over_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    bench.committer.mode = mode
    break_over(bench, monkeypatch, "r")
    with pytest.raises(Defect):
        await asyncio.wait_for(bench.submit(one("noop")), 5)
    assert bench.engine.actors == {}
    assert await (await bench.submit([{"id": "s", "name": "noop"}])).waiter() == "completed"


class NoThread:
    """A committer's ``submit`` that finds no thread for a while."""

    def __init__(self, bench: Bench, error: StoreUnavailable) -> None:
        self.error, self.tries, self.over = error, 0, False
        self._good = bench.committer.submit

    def __call__(self, units: Sequence[Unit], done: Told) -> None:
        self.tries += 1
        if not self.over:
            raise self.error
        self._good(units, done)


async def test_a_commit_for_which_no_thread_can_be_started_is_stored_later(
    bench: Bench, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await bench.submit(one("gated"))
    submit = NoThread(bench, StoreUnavailable("can't start new thread"))
    monkeypatch.setattr(bench.committer, "submit", submit)
    bench.committer.mode = "thread"
    with pytest.raises(StoreUnavailable, match="new thread"):  # never stored: refused at once
        await bench.submit([{"id": "s", "name": "noop"}])
    gate.open()
    await asyncio.sleep(30)
    assert "can't start new thread" in bench.engine.health.degraded
    submit.over = True
    assert await actor.waiter() == "completed"
    assert submit.tries > 30
    assert bench.engine.health.degraded == ""


async def test_a_store_that_was_closed_is_not_tried_again(
    bench: Bench, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = await bench.submit(one("gated"))
    submit = NoThread(bench, StoreClosed("the store is being closed"))
    monkeypatch.setattr(bench.committer, "submit", submit)
    bench.committer.mode = "thread"
    gate.open()
    with pytest.raises(StoreUnavailable, match="being closed"):
        await actor.waiter()
    assert submit.tries == 1
