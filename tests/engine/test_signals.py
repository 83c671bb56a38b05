"""Tasks that wait for word from outside."""

import asyncio
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition, VersionMismatch
from aipartnerupflow.engine.mail import carry_out
from aipartnerupflow.engine.ports import Command
from tests.support.bench import Bench, MakeBench, fan, one, until


def signal(id: str = "s", **inputs: Any) -> dict[str, Any]:
    return {"id": id, "name": "signal", "parent_id": "r", "inputs": inputs}


def said(bench: Bench, payload: bytes) -> Command:
    arguments = Raw(b'{"name":"s","payload":' + payload + b"}")
    return Command("c-1", "r", "signal", arguments, "user", bench.clock.text())


def result(bench: Bench, task: str = "s") -> bytes | None:
    """What the task completed with; None where it has not."""
    found = bench.facts(e.TaskCompleted, task)
    return bytes(found[0].result or b"") if found else None


async def test_a_task_waits_for_its_signal_and_completes_with_the_payload(bench: Bench) -> None:
    actor = await bench.submit([*fan(0), signal(name="approved")])
    await asyncio.sleep(3_600)
    assert result(bench) is None
    await bench.ask("signal", name="approved", payload={"by": "ann"})
    assert await actor.waiter() == "completed"
    assert result(bench) == b'{"by":"ann"}'
    assert bench.story("s") == ["task.started", "task.waiting", "task.completed"]


async def test_without_a_name_the_key_is_meant_and_without_a_payload_null_comes(
    bench: Bench,
) -> None:
    actor = await bench.submit([*fan(0), signal("go")])
    await bench.ask("signal", name="go")
    assert await actor.waiter() == "completed"
    assert result(bench, "go") == b"null"


async def test_a_payload_reaches_those_who_depend_on_the_task(bench: Bench) -> None:
    got: list[Any] = []

    async def take(call: Any) -> None:
        got.append(call.inputs)

    bench.on("take", take)
    after = {"id": "t", "name": "take", "parent_id": "r", "dependencies": ["s"]}
    actor = await bench.submit([*fan(0), signal(), after])
    await bench.ask("signal", name="s", payload=[1, 2])
    await actor.waiter()
    assert got == [{"s": [1, 2]}]


async def test_an_early_signal_is_kept_also_over_a_crash_until_a_task_waits_for_it(
    bench: Bench,
) -> None:
    bench.on("long", lambda call: asyncio.sleep(60))
    tasks = [*fan(0), {"id": "a", "name": "long", "parent_id": "r"}]
    await bench.submit([*tasks, signal() | {"dependencies": ["a"]}])
    await bench.ask("signal", name="s", payload="early")
    bench.crash("engine-2")
    await bench.resume_all()
    assert bench.times(e.TaskCompleted, "s") == [60]
    assert result(bench) == b'"early"'


async def test_each_signal_completes_one_task_in_their_order(bench: Bench) -> None:
    actor = await bench.submit([*fan(0), signal("a", name="go"), signal("b", name="go")])
    await bench.ask("signal", name="go", payload=1)
    assert (result(bench, "a"), result(bench, "b")) == (b"1", None)
    await bench.ask("signal", name="go", payload=2)
    assert await actor.waiter() == "completed"
    assert result(bench, "b") == b"2"


async def test_the_same_id_counts_once_also_over_a_crash(bench: Bench) -> None:
    await bench.submit([*fan(0), signal("a", name="go"), signal("b", name="go")])
    first = await bench.ask("signal", name="go", id="order-7", payload=1)
    again = await bench.ask("signal", name="go", id="order-7", payload=1.0)
    assert again.version == first.version == len(bench.topics())
    bench.crash("engine-2")
    actor = await bench.take()
    before = len(bench.topics())
    await bench.ask("signal", name="go", id="order-7", payload=1)
    assert len(bench.topics()) == before
    await bench.ask("signal", name="go", id="order-8")
    assert await actor.waiter() == "completed"


async def test_the_same_id_for_another_signal_is_refused_also_over_a_crash(bench: Bench) -> None:
    await bench.submit([*fan(0), signal("a", name="go"), signal("b", name="stay")])
    await bench.ask("signal", name="go", id="order-7", payload={"x": [1, None], "y": "z"})
    await bench.ask("signal", name="go", id="order-7", payload={"y": "z", "x": [1, None]})
    before = bench.topics()
    others: list[dict[str, Any]] = [
        {"name": "stay", "payload": {"x": [1, None], "y": "z"}},
        {"name": "go", "payload": {"x": [None, 1], "y": "z"}},
        {"name": "go"},
    ]
    for said in others:
        with pytest.raises(InvalidInput, match="with another name or payload"):
            await bench.ask("signal", id="order-7", **said)
    assert bench.topics() == before
    bench.crash("engine-2")
    await bench.take()
    with pytest.raises(InvalidInput, match="with another name or payload"):
        await bench.ask("signal", name="stay", id="order-7")


async def test_a_signal_that_came_before_is_not_asked_for_its_version_again(bench: Bench) -> None:
    actor = await bench.submit([*fan(0), signal("a", name="go"), signal("b", name="go")])
    version = actor.tree.version
    first = await bench.ask("signal", name="go", id="order-7", if_version=version)
    again = await bench.ask("signal", name="go", id="order-7", if_version=version)
    assert again == first
    with pytest.raises(VersionMismatch):
        await bench.ask("signal", name="go", id="order-8", if_version=version)


async def test_two_signals_in_one_turn_complete_two_tasks(bench: Bench) -> None:
    actor = await bench.submit([*fan(0), signal("a", name="go"), signal("b", name="go")])
    await asyncio.gather(*(bench.ask("signal", name="go", payload=n) for n in (1, 2)))
    assert await actor.waiter() == "completed"
    assert [result(bench, "a"), result(bench, "b")] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("more", "status", "payload"),
    [({}, "failed", None), ({"default": {"x": 1}}, "completed", b'{"x":1}'),
     ({"default": None}, "completed", b"null")],
)  # fmt: skip
async def test_what_does_not_come_in_time_fails_the_task_or_gives_its_default(
    bench: Bench, more: dict[str, Any], status: str, payload: bytes | None
) -> None:
    assert await bench.run([*fan(0), signal(timeout=30, **more)]) == status
    assert result(bench) == payload
    if payload is None:
        (failed,) = bench.facts(e.TaskFailed, "s")
        assert (bench.seconds(failed.at), failed.error.type) == (30, "signal_timeout")
    assert asyncio.get_running_loop().time() == 30


async def test_a_signal_in_time_makes_its_timer_ring_for_nothing(bench: Bench) -> None:
    bench.on("long", lambda call: asyncio.sleep(100))
    tasks = [*fan(0), {"id": "a", "name": "long", "parent_id": "r"}, signal(timeout=30)]
    actor = await bench.submit(tasks)
    await asyncio.sleep(10)
    await bench.ask("signal", name="s")
    assert await actor.waiter() == "completed"
    assert bench.story("s")[-1] == "task.completed"


async def test_a_signal_that_comes_in_the_turn_of_its_timeout_counts(bench: Bench) -> None:
    actor = await bench.submit([*fan(0), signal(timeout=30)])
    bench.committer.mode, bench.committer.takes = "thread", 0.4
    await asyncio.sleep(29.8)
    asyncio.get_running_loop().create_task(bench.submit([{"id": "other", "name": "noop"}]))
    await asyncio.sleep(0.3)
    assert bench.topics()[-1] == "task.started"
    await bench.ask("signal", name="s", payload="just")
    assert await actor.waiter() == "completed"
    assert result(bench) == b'"just"'


async def test_a_crash_does_not_make_the_timeout_longer(bench: Bench) -> None:
    await bench.submit([*fan(0), signal(timeout=30)])
    await asyncio.sleep(20)
    bench.crash("engine-2")
    await asyncio.sleep(5)
    await bench.resume_all()
    assert bench.times(e.TaskFailed, "s") == [30]


async def test_ten_thousand_wait_for_signals_with_a_pool_of_one_slot(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(slots=1)
    tasks = [*fan(1), *(signal(f"s{i}", name="go", timeout=60, default=0) for i in range(10_000))]
    actor = await bench.submit(tasks)
    await until(lambda: bench.facts(e.TaskCompleted, "t0"))
    assert len(actor.tree.waiting) == 10_000
    assert await actor.waiter() == "completed"


@pytest.mark.parametrize(
    ("said", "error", "text"),
    [
        ({"name": "nobody"}, InvalidInput, "signals are: s"),
        ({"name": ""}, InvalidInput, "1 to 255 characters"),
        ({"name": "s" * 256}, InvalidInput, "1 to 255 characters"),
        ({"name": "s", "id": "\0"}, InvalidInput, "no NUL"),
        ({"name": "s", "payload": "x" * 65_536}, InvalidInput, "65536 bytes"),
        ({}, InvalidInput, "missing required field `name`"),
        ({"name": "s", "who": 1}, InvalidInput, "unknown field `who`"),
    ],
)
async def test_a_signal_that_nobody_can_hear_is_refused_and_leaves_no_trace(
    bench: Bench, said: dict[str, Any], error: type[Exception], text: str
) -> None:
    await bench.submit([*fan(0), signal()])
    before = bench.topics()
    with pytest.raises(error, match=text):
        await bench.ask("signal", **said)
    assert bench.topics() == before


@pytest.mark.parametrize("depth", [65, 500, 985, 986, 987, 2_000])
async def test_a_payload_that_is_nested_too_deeply_is_refused(bench: Bench, depth: int) -> None:
    await bench.submit([*fan(0), signal()])
    command = said(bench, b"[" * depth + b"]" * depth)
    with pytest.raises(InvalidInput, match="nested too deeply"):
        await carry_out(bench.engine, command)


async def test_one_as_deep_as_a_result_may_be_is_taken(bench: Bench) -> None:
    actor = await bench.submit([*fan(0), signal()])
    await carry_out(bench.engine, said(bench, b"[" * 64 + b"]" * 64))
    assert await actor.waiter() == "completed"


@pytest.mark.parametrize("payload", [b'"\\ud800"', b'"\xff"', b'"\\x"', b"01"])
async def test_a_payload_that_only_looks_like_json_is_refused(bench: Bench, payload: bytes) -> None:
    await bench.submit([*fan(0), signal()])
    with pytest.raises(InvalidInput, match=r"not JSON|not usable"):
        await carry_out(bench.engine, said(bench, payload))


async def test_a_payload_that_the_task_does_not_take_is_refused_and_it_waits_on(
    bench: Bench,
) -> None:
    bench.executors.refusal = lambda schema, payload: () if payload == 7 else ("/: must be 7",)
    actor = await bench.submit([*fan(0), signal(schema={"const": 7})])
    with pytest.raises(InvalidInput, match="does not fit what task s asks for: /: must be 7"):
        await bench.ask("signal", name="s", payload=8)
    await bench.ask("signal", name="s", payload=7)
    assert await actor.waiter() == "completed"


async def test_when_all_who_waited_have_ended_the_signal_is_refused(bench: Bench) -> None:
    bench.on("long", lambda call: asyncio.sleep(100))
    await bench.submit([*fan(0), {"id": "a", "name": "long", "parent_id": "r"}, signal()])
    await bench.ask("signal", name="s")
    with pytest.raises(InvalidTransition, match="all tasks that wait for 's' in tree r have ended"):
        await bench.ask("signal", name="s")


async def test_a_cancelled_wait_hears_nothing_any_more(bench: Bench) -> None:
    actor = await bench.submit([*fan(0), signal(timeout=30)])
    await bench.ask("cancel", task="s")
    assert await actor.waiter() == "cancelled"
    assert bench.story("s") == ["task.started", "task.waiting", "task.cancelled"]


async def test_a_paused_tree_hears_signals(bench: Bench) -> None:
    actor = await bench.submit([*fan(0), signal()])
    await bench.ask("pause")
    await bench.ask("signal", name="s")
    assert await actor.waiter() == "completed"


async def test_a_re_run_waits_for_a_signal_of_its_own(bench: Bench) -> None:
    bench.on("long", lambda call: asyncio.sleep(1_000))
    await bench.submit([*fan(0), {"id": "a", "name": "long", "parent_id": "r"}, signal()])
    await bench.ask("signal", name="s", payload=1)
    await bench.ask("rerun", way="from", tasks=["s"])
    await until(lambda: bench.story("s")[-1] == "task.waiting")
    await bench.ask("signal", name="s", payload=2)
    assert [bytes(f.result or b"") for f in bench.facts(e.TaskCompleted, "s")] == [b"1", b"2"]


async def test_a_signal_that_waits_alone_is_a_tree(bench: Bench) -> None:
    actor = await bench.submit(one("signal"))
    await bench.ask("signal", name="r", payload={})
    assert await actor.waiter() == "completed"


async def test_of_many_names_of_signals_ten_are_shown(bench: Bench) -> None:
    await bench.submit([*fan(0), *(signal(f"s{n:03}", name=f"n{n:03}") for n in range(200))])
    with pytest.raises(InvalidInput, match=r"signals are: n000, .*, n009, …$"):
        await bench.ask("signal", name="nobody")
