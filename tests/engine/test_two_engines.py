"""Several engines on one store: a tree has one owner, and who is fenced writes nothing."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import OwnedElsewhere, StaleVersion, StoreUnavailable
from aipartnerupflow.engine.lifecycle import resume
from aipartnerupflow.engine.mail import decision_of
from aipartnerupflow.engine.ports import Call
from aipartnerupflow.engine.takeover import Watch, beat, drop_what_others_took
from tests.support.bench import Bench, Node, chain, fan, one, until
from tests.support.works import Gate, endless, slow_to_stop


@pytest.fixture
def gate(bench: Bench) -> Gate:
    """What ``gated`` tasks wait for."""
    made = Gate()
    bench.on("gated", made)
    return made


def claims(bench: Bench) -> list[tuple[str, int]]:
    return [(fact.engine, fact.epoch) for fact in bench.facts(e.TreeClaimed)]


async def watching(bench: Bench, names: list[str]) -> list[Node]:
    """Engines that take up what others leave."""
    nodes = [bench.boot(name) for name in names]
    for node in nodes:
        node.engine.serve(Watch(node.engine).serve())
    return nodes


# -- taking up


async def test_of_many_that_race_for_a_tree_one_claims_it(bench: Bench, gate: Gate) -> None:
    await bench.submit([*fan(0), {"id": "a", "name": "gated", "parent_id": "r"}])
    bench.node.kill()
    nodes = [bench.boot(f"engine-{n}") for n in range(2, 7)]
    done = await asyncio.gather(*(resume(node.engine) for node in nodes))
    assert sorted(len(resumed.taken) for resumed in done) == [0, 0, 0, 0, 1]
    assert [epoch for _, epoch in claims(bench)] == [1, 2]
    gate.open()
    await until(lambda: bench.topics()[-1] == "tree.settled")
    assert len(bench.facts(e.TaskCompleted, "a")) == 1


async def test_a_watch_takes_up_the_trees_of_a_dead_engine_within_a_second_or_two(
    bench: Bench, gate: Gate
) -> None:
    first = bench.node
    for n in range(20):
        await bench.submit([{"id": f"r{n}", "name": "gated"}])
    await watching(bench, ["engine-2", "engine-3", "engine-4"])
    await asyncio.sleep(30)
    assert len(claims(bench)) == 20
    first.kill()
    await asyncio.sleep(2.5)
    assert len(claims(bench)) == 40
    gate.open()
    await until(lambda: len(bench.facts(e.TreeSettled)) == 20)


async def test_a_watch_takes_up_what_was_released_also_its_own(bench: Bench, gate: Gate) -> None:
    actor = await bench.submit(one("gated"))
    bench.engine.serve(Watch(bench.engine).serve())
    await bench.engine.release([actor])
    gate.open()
    await until(lambda: bench.topics()[-1] == "tree.settled")
    assert claims(bench) == [("engine-1", 1), ("engine-1", 2)]


async def test_a_scan_leaves_what_lives_what_settled_and_what_it_cannot_run(
    bench: Bench, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.submit([{"id": "lives", "name": "gated"}])
    await bench.run([{"id": "settled", "name": "noop"}])
    dead = bench.boot("engine-2")
    bench.on("rare", endless)
    await bench.submit([{"id": "missing", "name": "rare"}])
    await bench.submit([{"id": "free", "name": "gated"}])
    dead.kill()
    del bench.executors.work["rare"]
    third = bench.boot("engine-3")
    watch = Watch(third.engine)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            await watch.scan()
    assert set(third.engine.actors) == {"free"}
    assert caplog.text.count("tree missing is left: ") == 1
    bench.on("rare", gate)
    await asyncio.sleep(60)
    await watch.scan()
    assert set(third.engine.actors) == {"free", "missing"}
    gate.open()
    await until(lambda: len(bench.facts(e.TreeSettled)) == 4)


async def test_a_watch_goes_on_when_the_store_could_not_be_read(
    bench: Bench, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.submit(one("gated"))
    bench.node.kill()
    await watching(bench, ["engine-2"])
    read, failures = bench.journal.open_work, iter([True] * 3)

    def away() -> object:
        if next(failures, False):
            raise StoreUnavailable("unreachable")
        return read()

    monkeypatch.setattr(bench.journal, "open_work", away)
    gate.open()
    await until(lambda: bench.topics()[-1] == "tree.settled")


async def test_a_damaged_tree_does_not_keep_a_watch_from_the_others(
    bench: Bench, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(40):
        await bench.submit([{"id": f"r{n}", "name": "gated"}])
    bench.node.kill()
    whole = bench.journal._streams["r0"].pop(0)
    second = bench.boot("engine-2")
    with caplog.at_level(logging.INFO):
        await Watch(second.engine).scan()
    assert len(second.engine.actors) == 39
    assert "tree r0 is left: the history of tree r0 is damaged" in caplog.text
    bench.journal._streams["r0"].insert(0, whole)
    gate.open()
    await until(lambda: len(bench.facts(e.TreeSettled)) == 39)


async def test_what_could_not_be_released_in_bad_times_is_taken_up_again(
    bench: Bench, gate: Gate
) -> None:
    actor = await bench.submit(one("gated"))
    bench.journal.illness = StoreUnavailable("locked")
    bench.engine.post(decision_of(bench.engine, bench.command("pause"), left=False))
    await bench.engine.release([actor])
    bench.journal.illness = None
    await asyncio.sleep(2)
    assert bench.engine.actors == {}
    await Watch(bench.engine).scan()
    await bench.ask("unpause")
    gate.open()
    await until(lambda: bench.topics()[-1] == "tree.settled")
    assert claims(bench) == [("engine-1", 1), ("engine-1", 2)]


async def test_what_is_about_to_be_released_is_not_taken_up_before_it_is(bench: Bench) -> None:
    bench.on("slow_to_stop", slow_to_stop)
    actor = await bench.submit(one("slow_to_stop"))
    await until(lambda: bench.backend.running)
    releasing = asyncio.create_task(bench.engine.release([actor]))
    await asyncio.sleep(1)
    await Watch(bench.engine).scan()
    assert claims(bench) == [("engine-1", 1)]
    await releasing
    assert bench.topics()[-2:] == ["task.interrupted", "tree.released"]


# -- being fenced


async def test_a_stale_owner_writes_nothing_says_so_and_stops_what_runs(
    bench: Bench, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    first = bench.node
    tasks = [*chain(2), {"id": "a", "name": "gated", "parent_id": "r"}]
    tasks.append({"id": "x", "name": "endless", "parent_id": "r"})
    bench.on("endless", endless)
    actor = await bench.submit(tasks)
    await until(lambda: len(bench.facts(e.TaskCompleted)) == 2)
    second = bench.boot("engine-2")
    second.engine.hold()
    await resume(second.engine, take_over=True)
    before = bench.topics()
    gate.open()
    with pytest.raises(StaleVersion):
        await actor.waiter()
    await asyncio.sleep(10)
    assert bench.topics() == before
    assert "tree r is no longer run by this engine" in caplog.text
    assert first.backend.running == {}
    assert first.engine.actors == {}
    assert [call.task for call in first.backend.stops] == ["x"]


async def test_after_a_silence_an_engine_drops_what_others_took_and_keeps_the_rest(
    bench: Bench, gate: Gate
) -> None:
    first = bench.node
    lost = await bench.submit([{"id": "lost", "name": "gated"}])
    await bench.submit([{"id": "kept", "name": "gated"}])
    second = bench.boot("engine-2")
    await resume(second.engine, {"lost"}, take_over=True)
    before = bench.journal.position()
    await drop_what_others_took(first.engine)
    assert set(first.engine.actors) == {"kept"}
    assert set(first.backend.running) == {"kept"}
    assert bench.journal.position() == before
    with pytest.raises(StaleVersion):
        await lost.waiter()
    gate.open()
    await until(lambda: len(bench.facts(e.TreeSettled)) == 2)


async def test_after_a_silence_an_engine_drops_what_others_ended(bench: Bench) -> None:
    """Also a tree that has settled without it."""
    bench.on("endless", endless)
    first = bench.node
    actor = await bench.submit(one("endless"))
    second = bench.boot("engine-2")
    taken = (await resume(second.engine, take_over=True)).taken[0]
    await bench.ask("cancel")
    assert await taken.waiter() == "cancelled"
    await drop_what_others_took(first.engine)
    assert first.engine.actors == {}
    with pytest.raises(StaleVersion):
        await actor.waiter()


async def test_a_beat_that_breaks_is_not_the_last(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    liveness = bench.node.liveness
    liveness.beat_every = 3.0
    good, left = liveness.beat, [ZeroDivisionError()]

    def breaks(executors: Sequence[str]) -> bool:
        if left:
            raise left.pop()
        return good(executors)

    monkeypatch.setattr(liveness, "beat", breaks)
    bench.engine.serve(beat(bench.engine))
    await asyncio.sleep(10)
    assert len(liveness.beats) == 2


async def test_a_beat_that_comes_too_late_makes_it_look(bench: Bench, gate: Gate) -> None:
    first = bench.node
    first.liveness.beat_every = 3.0
    first.engine.serve(beat(first.engine))
    await bench.submit(one("gated"))
    await asyncio.sleep(10)
    assert len(first.liveness.beats) == 3
    assert "gated" in first.liveness.beats[0]
    second = bench.boot("engine-2")
    await resume(second.engine, take_over=True)
    assert set(first.engine.actors) == {"r"}
    first.liveness.lapsed = True
    await asyncio.sleep(3)
    assert first.engine.actors == {}
    gate.open()
    await until(lambda: bench.topics()[-1] == "tree.settled")


async def test_a_tree_is_not_taken_from_an_engine_that_lives(bench: Bench, gate: Gate) -> None:
    await bench.submit(one("gated"))
    bench.boot("engine-2")
    with pytest.raises(OwnedElsewhere, match="engine-1, which is alive"):
        await bench.take()
    await Watch(bench.engine).scan()
    assert claims(bench) == [("engine-1", 1)]
    gate.open()
    await until(lambda: bench.topics()[-1] == "tree.settled")


async def test_whoever_dies_in_turn_the_work_is_done_once_each(bench: Bench) -> None:
    done: list[str] = []

    async def work(call: Call) -> str:
        await asyncio.sleep(3)
        done.append(call.task)
        return call.task

    bench.on("noop", work)
    for n in range(5):
        tasks = [dict(task) for task in chain(6)]
        for task in tasks:
            task["id"] = f"{n}{task['id']}"
            if "parent_id" in task:
                task["parent_id"] = f"{n}r"
            if "dependencies" in task:
                task["dependencies"] = [f"{n}{task['dependencies'][0]}"]
        await bench.submit(tasks)
    nodes = [bench.node, *await watching(bench, ["engine-2", "engine-3"])]
    for n in range(8):
        await asyncio.sleep(4)
        nodes.pop(0).kill()
        nodes.extend(await watching(bench, [f"engine-{n + 4}"]))
    await until(lambda: len(bench.facts(e.TreeSettled)) == 5)
    assert {fact.status for fact in bench.facts(e.TreeSettled)} == {"completed"}
    assert len(bench.facts(e.TaskCompleted)) == 35
