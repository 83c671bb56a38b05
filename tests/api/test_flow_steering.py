"""Steering through Flow: cancel, pause, signal, re-run, and why."""

import asyncio
import threading
from collections.abc import Awaitable
from typing import Any

import pytest

from aipartnerupflow import Flow, TreeBuilder, task
from aipartnerupflow.api.flow import TreeHandle
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from tests.support.places import started, topics, until

seen: list[str] = []


@pytest.fixture(autouse=True)
def work(executors: None) -> None:
    seen.clear()
    failing = {"yes": True}

    @task
    async def give(value: Any = None, seconds: float = 0) -> Any:
        seen.append("give")
        await asyncio.sleep(seconds)
        return value

    @task
    async def once_broken() -> str:
        if failing.pop("yes", False):
            raise RuntimeError("it broke")
        return "mended"

    @task
    def blocks(seconds: float) -> None:
        threading.Event().wait(seconds)


def tree(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": "r", "name": "r"}, *({"parent_id": "r", **each} for each in tasks)]


def long(id: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "name": "give", "inputs": {"seconds": 60}, **fields}


def pause(id: str, seconds: float) -> dict[str, Any]:
    return {"id": id, "name": "wait", "inputs": {"seconds": seconds}}


def after(id: str, *others: str) -> dict[str, Any]:
    return {"id": id, "name": "give", "dependencies": others}


async def statuses(handle: TreeHandle) -> dict[str | None, str]:
    return {each.key: each.status for each in await handle.tasks()}


async def soon(awaitable: Awaitable[str]) -> str:
    return await asyncio.wait_for(awaitable, 10)


# -- cancel


async def test_a_cancelled_tree_ends_with_all_that_is_in_it(db: Session) -> None:
    async with Flow(db.url) as flow:
        spec = tree(long("a"), {"id": "b", "name": "give", "dependencies": ["a"]})
        handle = await flow.submit(spec)
        await until(lambda: seen)
        version = await handle.cancel(reason="enough")
        assert version <= len(topics(db, "r"))
        assert await soon(handle.settled()) == "cancelled"
        assert await statuses(handle) == {"r": "cancelled", "a": "cancelled", "b": "cancelled"}
        assert (await handle.task("a")).error == "enough"
        with pytest.raises(InvalidTransition, match="has settled"):
            await handle.cancel()


async def test_one_task_is_cancelled_by_its_key(db: Session) -> None:
    async with Flow(db.url) as flow:
        built = TreeBuilder("r")
        built.task("give", "slow one", inputs={"seconds": 60})
        built.task("give", "other")
        handle = await flow.submit(built)
        await until(lambda: len(seen) == 2)
        await handle.cancel("slow one")
        assert await soon(handle.settled()) == "cancelled"
        found = await statuses(handle)
        assert (found["slow one"], found["other"]) == ("cancelled", "completed")


async def test_a_cancel_is_told_when_what_runs_in_a_thread_has_ended(db: Session) -> None:
    async with Flow(db.url) as flow:
        spec = tree({"id": "a", "name": "blocks", "inputs": {"seconds": 0.5}})
        handle = await flow.submit(spec)
        await until(lambda: started(db, "r"))
        await handle.cancel()
        assert handle.status == "in_progress"
        assert await soon(handle.settled()) in ("cancelled", "completed")


# -- pause


async def test_a_pause_survives_the_flow_and_ends_in_the_next(db: Session) -> None:
    async with Flow(db.url) as flow:
        handle = await flow.submit(tree(pause("w", 0.2), after("a", "w")))
        await handle.pause(reason="lunch")
        await until(lambda: "task.completed" in topics(db, "r"))
        assert handle.view().paused
        assert (await handle.why("a"))["reason"] == "paused"
    async with Flow(db.url, resume=True) as flow:
        handle = flow.tree("r")
        await asyncio.sleep(0.1)
        assert started(db, "r") == []
        await handle.unpause()
        assert await soon(handle.settled()) == "completed"


async def test_a_tree_that_no_engine_runs_is_steered_all_the_same(db: Session) -> None:
    async with Flow(db.url) as flow:
        handle = await flow.submit(tree(long("a"), {"id": "s", "name": "signal"}))
        await until(lambda: seen)
    await handle.pause()
    await handle.signal("s", {"x": 1})
    assert (await handle.why("a"))["reason"] == "paused"
    await handle.cancel()
    assert handle.status == "cancelled"
    assert (await handle.task("s")).result == {"x": 1}


async def test_a_flow_that_is_paused_starts_nothing_before_it_goes(db: Session) -> None:
    async with Flow(db.url, paused=True) as flow:
        handle = await flow.submit(tree({"id": "a", "name": "give"}))
        await asyncio.sleep(0.1)
        assert handle.status == "pending"
        assert topics(db, "r")[-1] == "tree.claimed"
        flow.go()
        assert await soon(handle.settled()) == "completed"


async def test_a_flow_that_is_paused_takes_up_what_was_left_and_starts_nothing(
    db: Session,
) -> None:
    async with Flow(db.url) as flow:
        await flow.submit(tree(pause("a", 0.3), after("b", "a")))
    async with Flow(db.url, resume=True, paused=True) as flow:
        handle = flow.tree("r")
        await until(lambda: "task.completed" in topics(db, "r"))
        await asyncio.sleep(0.05)
        assert seen == []
        flow.go()
        assert await soon(handle.settled()) == "completed"


# -- signals


async def test_a_signal_is_checked_kept_and_counted_once(db: Session) -> None:
    schema = {"type": "object", "required": ["amount"], "properties": {"amount": {"minimum": 1}}}
    spec = tree(
        {"id": "w", "name": "give", "inputs": {"seconds": 0.1}},
        {"id": "s", "name": "signal", "inputs": {"name": "paid", "schema": schema},
         "dependencies": ["w"]},
    )  # fmt: skip
    async with Flow(db.url) as flow:
        handle = await flow.submit(spec)
        for payload in (None, {}, {"amount": 0}):
            with pytest.raises(InvalidInput, match="does not fit what task s asks for"):
                await handle.signal("paid", payload)
        with pytest.raises(InvalidInput, match="signals are: paid"):
            await handle.signal("s")
        first = await handle.signal("paid", {"amount": 5}, id="invoice-7")
        assert await handle.signal("paid", {"amount": 5}, id="invoice-7") >= first
        with pytest.raises(InvalidInput, match="another name or payload"):
            await handle.signal("paid", {"amount": 6}, id="invoice-7")
        assert await soon(handle.settled()) == "completed"
        assert (await handle.task("s")).result == {"amount": 5}
        assert topics(db, "r").count("signal.received") == 1


# -- re-runs


async def test_a_re_run_does_what_its_plan_says_and_the_handle_waits_for_it(db: Session) -> None:
    async with Flow(db.url) as flow:
        spec = tree({"id": "a", "name": "give"}, {"id": "b", "name": "once_broken"},
                    {"id": "c", "name": "give", "dependencies": ["b"]})  # fmt: skip
        handle = await flow.submit(spec)
        assert await soon(handle.settled()) == "failed"
        plan = await handle.plan()
        assert (plan.runs, plan.kept) == (("b", "c"), ("a",))
        before = topics(db, "r")
        assert before == topics(db, "r")
        await handle.rerun(reason="mended")
        assert await soon(handle.settled()) == "completed"
        assert started(db, "r") == ["give", "once_broken", "once_broken", "give"]
        with pytest.raises(InvalidTransition, match="nothing of tree r"):
            await handle.rerun()


async def test_every_handle_of_the_tree_waits_for_its_next_end(db: Session) -> None:
    async with Flow(db.url) as flow:
        spec = tree({"id": "b", "name": "once_broken"}, after("w", "b") | pause("w", 0.2))
        first = await flow.submit(spec)
        assert await soon(first.settled()) == "failed"
        await flow.tree("r").rerun()
        assert await soon(first.settled()) == "completed"


async def test_a_tree_that_settled_before_this_flow_is_driven_by_it_again(db: Session) -> None:
    async with Flow(db.url) as flow:
        assert await soon((await flow.submit(tree({"name": "once_broken"}))).settled()) == "failed"
    async with Flow(db.url) as flow:
        handle = flow.tree("r")
        assert await soon(handle.settled()) == "failed"
        await handle.rerun("all")
        assert await soon(handle.settled()) == "completed"
        claims = [r.event for r in db.store.journal.read("r") if isinstance(r.event, e.TreeClaimed)]
        assert [claim.epoch for claim in claims] == [1, 2]


# -- why


async def test_why_says_what_each_task_waits_for(db: Session) -> None:
    spec = tree(
        long("a"),
        {"id": "b", "name": "give", "dependencies": ["a"]},
        {"id": "s", "name": "signal", "inputs": {"name": "go"}},
        {"id": "w", "name": "wait", "inputs": {"seconds": 60}},
    )
    async with Flow(db.url) as flow:
        handle = await flow.submit(spec)
        await until(lambda: seen)
        assert (await handle.why("a"))["reason"] == "running"
        assert await handle.why("b") == {"reason": "dependency", "on": "a"}
        waits = await handle.why("s")
        assert (waits["reason"], waits["signal"]) == ("signal", "go")
        assert (await handle.why("w"))["reason"] == "timer"
        await handle.cancel("a")
        await until(lambda: "task.cancelled" in topics(db, "r"))
        assert await handle.why("b") == {"reason": "blocked", "on": "a"}
    assert (await handle.why("w"))["reason"] == "timer"
