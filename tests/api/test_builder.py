"""TreeBuilder: trees written in Python."""

import time
from typing import Any

import msgspec
import pytest

from aipartnerupflow import Flow, TreeBuilder, task
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain.errors import InvalidGraph, InvalidInput


def documents(tree: TreeBuilder) -> list[dict[str, Any]]:
    return [msgspec.json.decode(each) for each in tree.documents()]


def test_a_tree_is_a_root_and_what_was_added_under_it() -> None:
    tree = TreeBuilder("dinner", user_id="chef")
    buy = tree.task("shop", "buy", inputs={"what": "milk"}, priority=1)
    tree.task("cook", after=[buy], params={"pan": 1}, schemas={"type": "x"})
    root, first, second = documents(tree)
    assert root == {"id": "dinner", "name": "dinner", "user_id": "chef"}
    assert first == {
        "id": "buy", "name": "buy", "parent_id": "dinner", "params": {"executor_id": "shop"},
        "inputs": {"what": "milk"}, "dependencies": [], "priority": 1,
    }  # fmt: skip
    assert second["id"] == "cook"
    assert second["params"] == {"pan": 1, "executor_id": "cook"}
    assert second["dependencies"] == [{"id": "buy", "required": True}]
    assert second["schemas"] == {"type": "x"}


def test_a_result_in_the_inputs_is_a_dependency() -> None:
    tree = TreeBuilder("r")
    a, b = tree.task("work", "a"), tree.task("work", "b")
    tree.task(
        "work", "c", inputs={"x": [{"y": a.result("/items/0")}], "z": b.result()},
        after=[a], after_end_of=[b, "other"],
    )  # fmt: skip
    last = documents(tree)[-1]
    assert last["inputs"] == {
        "x": [{"y": {"$from": "a", "pointer": "/items/0"}}],
        "z": {"$from": "b"},
    }
    assert last["dependencies"] == [
        {"id": "a", "required": True},
        {"id": "b", "required": True},
        {"id": "other", "required": False},
    ]


def test_tasks_without_a_key_are_numbered() -> None:
    tree = TreeBuilder("r")
    tree.task("work", "work-2")
    keys = [tree.task("work").key for _ in range(3)]
    assert keys == ["work", "work-3", "work-4"]


def test_a_tree_of_many_tasks_is_built_quickly() -> None:
    tree = TreeBuilder("r")
    before = time.perf_counter()
    for _ in range(20_000):
        tree.task("work")
    assert time.perf_counter() - before < 5
    assert len({each["id"] for each in documents(tree)}) == 20_001


async def test_groups_may_stand_in_groups_and_functions_for_executors(db: Session) -> None:
    @task
    async def double(n: int) -> int:
        return 2 * n

    tree = TreeBuilder("r")
    outer = tree.group("outer")
    inner = tree.group("inner", under=outer)
    first = tree.task(double, "first", inputs={"n": 2}, under=inner)
    tree.task(double, "second", inputs={"n": first.result()}, under="outer")
    async with Flow(db.url) as flow:
        handle = await flow.submit(tree)
        assert await handle.settled() == "completed"
        assert (await handle.task("second")).result == 8
        assert (await handle.task("first")).parent_id == (await handle.task("inner")).id


async def test_what_was_built_wrongly_is_refused(db: Session) -> None:
    def plain() -> None:
        """No task."""

    tree = TreeBuilder("r")
    with pytest.raises(InvalidInput, match="'plain' is no task: decorate it with @task"):
        tree.task(plain)
    tree.task("system_info_executor", "a", after=["nobody"])
    tree.group("a")
    async with Flow(db.url) as flow:
        with pytest.raises(InvalidGraph) as refused:
            await flow.submit(tree)
    assert {fault.code for fault in refused.value.faults} == {
        "duplicate_key",
        "unknown_dependency",
    }
    odd = TreeBuilder("r")
    odd.task("system_info_executor", "a", inputs={"x": {1, 2, object}})
    async with Flow(db.url) as flow:
        with pytest.raises(InvalidInput, match="task 'a' is not JSON"):
            await flow.submit(odd)
