"""Flow: trees submitted and followed in this loop."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aipartnerupflow import Flow, TreeBuilder, create_session, task
from aipartnerupflow.adapters.executors import default_registry
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain.errors import (
    ExecutorMissing,
    InvalidGraph,
    InvalidInput,
    NotFound,
    Released,
)
from tests.support.places import started, topics, until

ARRAY: list[dict[str, Any]] = [
    {"id": "sum", "name": "sum"},
    {"id": "one", "name": "give", "parent_id": "sum", "inputs": {"value": 1}},
    {"id": "two", "name": "give", "parent_id": "sum", "inputs": {"value": {"$from": "one"}},
     "dependencies": ["one"]},
]  # fmt: skip
NESTED: dict[str, Any] = {
    "id": "sum",
    "name": "sum",
    "children": [
        {"id": "one", "name": "give", "inputs": {"value": 1}},
        {"id": "two", "name": "give", "dependencies": ["one"],
         "inputs": {"value": {"$from": "one"}}},
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def give(executors: None) -> None:
    @task
    async def give(value: Any = None, seconds: float = 0) -> Any:
        await asyncio.sleep(seconds)
        return value

    @task
    async def broken() -> None:
        raise RuntimeError("it broke")


def built() -> TreeBuilder:
    tree = TreeBuilder("sum")
    one = tree.task("give", "one", inputs={"value": 1})
    tree.task("give", "two", inputs={"value": one.result()})
    return tree


@pytest.mark.parametrize(
    "spec",
    [
        ARRAY,
        NESTED,
        {"name": "sum", "tasks": ARRAY},
        {"tasks": [NESTED], "limit": 1},
        msgspec.json.encode(ARRAY),
        msgspec.json.encode(NESTED).decode(),
        b'\n {"tasks": ' + msgspec.json.encode(ARRAY) + b"}",
        built(),
    ],
    ids=["array", "nested", "wrapped", "wrapped nested", "bytes", "text", "wrapped bytes", "built"],
)
async def test_a_tree_may_be_given_in_any_form(db: Session, spec: Any) -> None:
    async with Flow(db.url) as flow:
        tree = await flow.submit(spec)
        assert await asyncio.wait_for(tree.settled(), 10) == "completed"
        assert tree.status == "completed"
        assert {each.key: each.result for each in await tree.tasks()} == {
            "sum": None,
            "one": 1,
            "two": 1,
        }
        assert tree.view().name == "sum"


async def test_the_name_the_owner_and_the_limit_may_be_given_beside_the_tree(db: Session) -> None:
    async with Flow(db.url) as flow:
        tree = await flow.submit(ARRAY, name="my sum", user_id="me", limit=1)
        assert (tree.view().name, tree.view().user_id) == ("my sum", "me")
        assert await tree.settled() == "completed"
        assert {each.user_id for each in await tree.tasks()} == {"me"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "a tree is an array of tasks"),
        ("null", "a tree is an array of tasks"),
        (b"[1", "a tree is an array of tasks"),
        ({"tasks": ARRAY, "lmit": 3}, "unknown field `lmit`"),
        ({"tasks": ARRAY, "start": False}, "submit starts what it creates"),
        ({"tasks": ARRAY, "limit": 0}, "limit is how many tasks of the tree may run at once"),
        ([{"name": "give", "inputs": {"x": object()}}], "the tree is not JSON"),
        ([{"name": "give", "user_id": "you"}], "another user_id than submit was given"),
    ],
)
async def test_what_is_no_tree_is_refused_plainly(db: Session, spec: Any, message: str) -> None:
    async with Flow(db.url) as flow:
        with pytest.raises(InvalidInput, match=message):
            await flow.submit(spec, user_id="me")
    assert db.store.journal.position() == 0


@pytest.mark.parametrize("said", ["caf\udce9", 5], ids=["no UTF-8", "no text"])
@pytest.mark.parametrize("what", ["name", "user_id"])
async def test_a_name_or_an_owner_that_no_store_takes_is_refused(
    db: Session, what: str, said: Any
) -> None:
    async with Flow(db.url) as flow:
        with pytest.raises(InvalidInput, match=what):
            await asyncio.wait_for(flow.submit(ARRAY, **{what: said}), 10)


async def test_so_is_the_name_of_a_builder(db: Session) -> None:
    tree = TreeBuilder("caf\udce9")
    tree.task("give", "one", inputs={"value": 1})
    async with Flow(db.url) as flow:
        with pytest.raises(InvalidInput):
            await asyncio.wait_for(flow.submit(tree), 10)


async def test_all_faults_are_told_at_once_and_nothing_is_written(db: Session) -> None:
    faulty: list[dict[str, Any]] = [
        {"id": "r", "name": "r"},
        {"id": "a", "name": "nobody", "parent_id": "r", "dependencies": ["b"]},
        {"id": "b", "name": "give", "parent_id": "r", "dependencies": ["a"]},
    ]
    async with Flow(db.url) as flow:
        with pytest.raises(InvalidGraph) as refused:
            await flow.submit(faulty)
    assert {fault.code for fault in refused.value.faults} == {"cycle", "executor_not_found"}
    assert db.store.journal.position() == 0


async def test_what_an_executor_lacks_is_told_before_anything_is_written(
    db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(default_registry, "_entries", {})
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    far = {"id": "far", "name": "ssh_executor", "inputs": {"host": "h", "command": "ls"}}
    async with Flow(db.url) as flow:
        with pytest.raises(InvalidGraph, match=r"pip install 'aipartnerupflow\[ssh\]'") as refused:
            await flow.submit([far])
    assert [(fault.code, fault.where) for fault in refused.value.faults] == [
        ("executor_not_found", "far")
    ]
    assert db.store.journal.position() == 0


async def test_ids_that_are_taken_become_keys_of_fresh_ones(db: Session) -> None:
    async with Flow(db.url) as flow:
        first, second = await flow.submit(ARRAY), await flow.submit(ARRAY)
        assert first.id == "sum"
        assert second.id != "sum"
        assert await second.settled() == "completed"
        assert (await second.task("two")).result == 1


async def test_the_events_are_dense_and_end_with_the_tree(db: Session) -> None:
    async with Flow(db.url) as flow:
        tree = await flow.submit([{"name": "give", "inputs": {"seconds": 0.1}}])
        seen = [recorded async for recorded in tree.events()]
        assert [recorded.version for recorded in seen] == list(range(1, len(seen) + 1))
        assert [recorded.event.topic for recorded in seen] == [
            "tree.created", "tree.submitted", "tree.claimed",
            "task.started", "task.completed", "tree.settled",
        ]  # fmt: skip
        later = [recorded.version async for recorded in tree.events(after=4)]
        assert later == [5, 6]
        assert [r async for r in tree.events(after=6)] == []


async def test_two_followers_see_the_same_while_the_tree_runs(db: Session) -> None:
    spec: list[dict[str, Any]] = [
        {"id": "r", "name": "r"},
        *(
            {"id": f"t{n}", "name": "give", "parent_id": "r",
             "dependencies": [f"t{n - 1}"] if n else []}
            for n in range(50)
        ),
    ]  # fmt: skip

    async def follow(after: int) -> list[int]:
        return [recorded.version async for recorded in tree.events(after)]

    async with Flow(db.url) as flow:
        tree = await flow.submit(spec)
        whole, rest = await asyncio.gather(follow(0), follow(10))
    assert whole == list(range(1, len(whole) + 1))
    assert rest == whole[10:]


async def test_a_failed_tree_is_an_answer_not_an_error(db: Session) -> None:
    async with Flow(db.url) as flow:
        tree = await flow.submit([{"id": "a", "name": "broken"}])
        assert await tree.settled() == "failed"
        assert (await tree.task("a")).error == "it broke"


@pytest.mark.parametrize("said", ["in the call", "in the tree"])
async def test_a_tree_for_show_runs_nothing(said: str, db: Session) -> None:
    spec = {"tasks": [{"name": "broken"}], "demo": said == "in the tree"}
    async with Flow(db.store.url) as flow:
        tree = await flow.submit(spec, demo=said == "in the call")
        assert await tree.settled() == "completed"
        (shown,) = await tree.tasks()
    assert shown.result["demo_mode"] is True


async def test_a_limit_of_one_runs_one_after_the_other_by_priority(db: Session) -> None:
    running = most = 0

    @task
    async def counted() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    tree = TreeBuilder("r", limit=1)
    for priority in (3, 1, 2, 0):
        tree.task("counted", f"p{priority}", priority=priority)
    async with Flow(db.url) as flow:
        handle = await flow.submit(tree)
        assert await handle.settled() == "completed"
    assert most == 1
    assert started(db, handle.id) == ["p0", "p1", "p2", "p3"]


async def test_many_trees_at_once_all_complete(db: Session) -> None:
    async with Flow(db.url) as flow:
        trees = [await flow.submit([{"name": "give"}]) for _ in range(500)]
        done = await asyncio.gather(*(tree.settled() for tree in trees))
    assert set(done) == {"completed"}


async def test_leaving_the_block_interrupts_and_resume_goes_on(db: Session) -> None:
    attempts = []

    @task
    async def patient(context: Any) -> None:
        attempts.append(context.idempotency_key)
        await asyncio.sleep(60 if context.attempt == 1 else 0)

    async with Flow(db.url) as flow:
        tree = await flow.submit([{"id": "r", "name": "r"}, {"name": "patient", "parent_id": "r"}])
        await until(lambda: attempts)
    assert topics(db, "r")[-2:] == ["task.interrupted", "tree.released"]
    with pytest.raises(Released, match="tree r was interrupted"):
        await tree.settled()

    async with Flow(db.url, resume=True) as flow:
        assert flow.refused == {}
        assert await asyncio.wait_for(flow.tree("r").settled(), 10) == "completed"
    assert len(attempts) == 2
    assert len(set(attempts)) == 1


async def test_without_resume_nothing_goes_on_by_itself(db: Session) -> None:
    async with Flow(db.url) as flow:
        await flow.submit([{"id": "r", "name": "give", "inputs": {"seconds": 60}}])
    before = topics(db, "r")
    async with Flow(db.url):
        await asyncio.sleep(0.05)
    assert topics(db, "r") == before


async def test_resume_leaves_what_needs_a_missing_executor_and_says_so(
    db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Flow(db.url) as flow:
        await flow.submit([{"id": "r", "name": "give", "inputs": {"seconds": 60}}])
    registry: Any = db.store.executors
    monkeypatch.delitem(registry._entries, "give")
    async with Flow(db.url, resume=True) as flow:
        refused = flow.refused["r"]
    assert isinstance(refused, ExecutorMissing)
    assert "needs executor give, which is not registered here" in str(refused)
    assert f"Load it with --import {__name__}" in str(refused)


async def test_the_store_is_the_one_that_the_settings_name(place: Path, executors: None) -> None:
    async with Flow() as flow:
        tree = await flow.submit([{"name": "system_info_executor", "inputs": {"resource": "cpu"}}])
        assert await tree.settled() == "completed"
    assert (place / "state" / "apflow.db").is_file()
    create_session().store.close()


async def test_a_flow_that_was_not_entered_is_refused(db: Session) -> None:
    flow = Flow(db.url)
    with pytest.raises(InvalidInput, match="use `async with Flow"):
        await flow.submit(ARRAY)
    with pytest.raises(InvalidInput, match="use `async with Flow"):
        flow.tree("r")


async def test_unknown_trees_and_tasks_are_not_found(db: Session) -> None:
    async with Flow(db.url) as flow:
        with pytest.raises(NotFound, match="no tree with id 'nobody'"):
            flow.tree("nobody")
        tree = await flow.submit([{"name": "give"}])
        with pytest.raises(KeyError, match="nobody"):
            await tree.task("nobody")


async def test_the_attempts_of_a_tree_can_be_read(db: Session, executors: None) -> None:
    async with Flow(db.url) as flow:
        tree = await flow.submit([{"id": "r", "name": "give"}])
        await tree.settled()
        (attempt,) = await tree.attempts()
    assert (attempt.task, attempt.attempt, attempt.outcome) == ("r", 1, "completed")
    assert attempt.ended_at is not None
    assert attempt.started_at <= attempt.ended_at
