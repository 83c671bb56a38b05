"""Drafts: created, changed, deleted."""

from typing import Any

import pytest

from aipartnerupflow.api.rpc.errors import Code
from tests.api.rpc.conftest import Rpc
from tests.support.servers import Api

PAIR = [
    {"id": "r", "name": "root"},
    {"key": "a", "name": "give", "parent_id": "r"},
    {"key": "b", "name": "give", "parent_id": "r", "dependencies": ["a"]},
]


async def test_an_array_makes_a_draft(rpc: Rpc) -> None:
    made = await rpc.call("tasks.create", PAIR)
    assert [(task["key"], task["status"], task["draft"]) for task in made] == [
        ("r", "pending", True), ("a", "pending", True), ("b", "pending", True),
    ]  # fmt: skip
    assert {task["task_tree_id"] for task in made} == {"r"}
    assert made[2]["dependencies"] == [{"id": made[1]["id"], "required": True}]


@pytest.mark.parametrize("params", [
    {"name": "give"}, [{"name": "give"}], {"tasks": [{"name": "give"}]},
    {"tasks": {"name": "give"}},
])  # fmt: skip
async def test_one_task_comes_back_as_one_task(rpc: Rpc, params: Any) -> None:
    made = await rpc.call("tasks.create", params)
    assert made["name"] == "give"
    assert made["id"] == made["task_tree_id"]


async def test_tasks_may_be_nested(rpc: Rpc) -> None:
    made = await rpc.call("tasks.create", {"name": "root", "children": [{"name": "give"}]})
    assert [task["name"] for task in made] == ["root", "give"]
    assert made[1]["parent_id"] == made[0]["id"]


async def test_a_task_joins_the_draft_of_its_parent(rpc: Rpc) -> None:
    root, first, _ = await rpc.call("tasks.create", PAIR)
    joined = await rpc.call(
        "tasks.create", {"name": "give", "parent_id": "r", "key": "c", "dependencies": ["a"]}
    )
    assert joined["task_tree_id"] == root["id"]
    assert joined["dependencies"] == [{"id": first["id"], "required": True}]
    assert list(await rpc.tasks("r")) == ["r", "a", "b", "c"]


async def test_a_task_joins_only_what_is_there_and_what_is_a_draft(rpc: Rpc) -> None:
    error = await rpc.refused("tasks.create", {"name": "give", "parent_id": "nobody"})
    assert error["code"] == Code.INVALID_PARENT
    await rpc.call("tasks.create", PAIR)
    error = await rpc.refused(
        "tasks.create", {"name": "give", "parent_id": "r", "dependencies": ["x"]}
    )
    assert error["code"] == Code.INVALID_DEPENDENCY
    await rpc.call("tasks.execute", {"task_id": "r"})
    error = await rpc.refused("tasks.create", {"name": "give", "parent_id": "r"})
    assert error["code"] == Code.INVALID_TRANSITION


async def test_all_faults_are_told_at_once_each_with_its_code(rpc: Rpc) -> None:
    error = await rpc.refused("tasks.create", [
        {"id": "r", "name": "root"},
        {"id": "s", "name": "second root"},
        {"id": "a", "name": "give", "parent_id": "r", "dependencies": ["b"], "priority": 9},
        {"id": "b", "name": "give", "parent_id": "r", "dependencies": ["a"]},
        {"id": "c", "name": "give", "parent_id": "nobody", "dependencies": ["nothing"]},
    ])  # fmt: skip
    assert {one["code"] for one in error["data"]} == {
        Code.INVALID_PARAMS, Code.INVALID_PARENT, Code.INVALID_DEPENDENCY, Code.CYCLE,
        Code.INVALID_TREE,
    }  # fmt: skip
    assert error["code"] == error["data"][0]["code"]
    cycle = next(one for one in error["data"] if one["code"] == Code.CYCLE)
    assert cycle["path"] in (["a", "b", "a"], ["b", "a", "b"])
    assert (await rpc.call("tasks.count"))["total"] == 0


async def test_an_id_of_ones_own_is_not_taken_twice(rpc: Rpc) -> None:
    await rpc.call("tasks.create", PAIR)
    assert (await rpc.refused("tasks.create", PAIR))["code"] == Code.INVALID_PARAMS


async def test_an_id_of_somebody_else_is_replaced(api: Api, rpc: Rpc) -> None:
    await rpc.call("tasks.create", PAIR)
    other = Rpc(api.user("ben"))
    made = await other.call("tasks.create", PAIR)
    assert made[0]["id"] != "r"
    assert made[0]["key"] == "r"


@pytest.mark.parametrize("shape", ["updates", "flat"])
async def test_a_draft_can_be_changed_in_both_shapes(rpc: Rpc, shape: str) -> None:
    await rpc.call("tasks.create", PAIR)
    changes = {"name": "broken", "priority": 0, "inputs": {"x": [1]}, "timeout": 5}
    params = {"updates": changes} if shape == "updates" else changes
    changed = await rpc.call("tasks.update", {"task_id": "r", **params})
    assert (changed["name"], changed["priority"], changed["inputs"]) == ("broken", 0, {"x": [1]})
    assert await rpc.call("tasks.get", {"id": "r"}) == changed


async def test_what_is_not_named_stays(rpc: Rpc) -> None:
    *_, second = await rpc.call("tasks.create", PAIR)
    changed = await rpc.call("tasks.update", {"id": second["id"], "priority": 1})
    assert changed == second | {"priority": 1}


async def test_dependencies_can_be_changed_by_key(rpc: Rpc) -> None:
    _, first, second = await rpc.call("tasks.create", PAIR)
    await rpc.call("tasks.update", {"task_id": second["id"], "dependencies": []})
    changed = await rpc.call(
        "tasks.update",
        {"task_id": first["id"], "updates": {"dependencies": [{"key": "b", "required": False}]}},
    )
    assert changed["dependencies"] == [{"id": second["id"], "required": False}]


@pytest.mark.parametrize(("dependency", "code"), [
    ("a", Code.CYCLE), ("b", Code.CYCLE), ("nobody", Code.INVALID_DEPENDENCY),
])  # fmt: skip
async def test_a_change_keeps_the_graph_whole(rpc: Rpc, dependency: str, code: Code) -> None:
    _, first, _ = await rpc.call("tasks.create", PAIR)
    params = {"task_id": first["id"], "dependencies": [dependency]}
    assert (await rpc.refused("tasks.update", params))["code"] == code
    assert (await rpc.call("tasks.get", {"task_id": first["id"]})) == first


@pytest.mark.parametrize("status", ["completed", "pending", "in_progress", 1])
async def test_a_status_is_never_set(rpc: Rpc, status: Any) -> None:
    await rpc.call("tasks.create", PAIR)
    for params in ({"status": status}, {"updates": {"status": status, "name": "x"}}):
        error = await rpc.refused("tasks.update", {"task_id": "r", **params})
        assert error["code"] == Code.INVALID_TRANSITION
        assert error["data"][0]["field"] == "status"


async def test_what_cannot_be_set_is_told_all_at_once(rpc: Rpc) -> None:
    await rpc.call("tasks.create", PAIR)
    fixed = {"parent_id": "x", "user_id": "x", "result": {}, "progress": 1, "key": "x", "id": "y"}
    error = await rpc.refused("tasks.update", {"task_id": "r", "updates": fixed | {"colour": "x"}})
    assert error["code"] == Code.INVALID_PARAMS
    assert {one["field"] for one in error["data"]} == {*fixed, "updates"}


async def test_a_task_that_was_started_cannot_be_changed_or_deleted(rpc: Rpc) -> None:
    await rpc.run(*PAIR)
    error = await rpc.refused("tasks.update", {"task_id": "r", "name": "x"})
    assert error["code"] == Code.INVALID_TRANSITION
    error = await rpc.refused("tasks.delete", {"task_id": "r"})
    assert error["code"] == Code.CANNOT_DELETE


async def test_a_task_is_deleted_with_all_below_it(rpc: Rpc) -> None:
    await rpc.call("tasks.create", [
        {"id": "r", "name": "root"}, {"id": "g", "name": "group", "parent_id": "r"},
        {"id": "a", "name": "give", "parent_id": "g"},
        {"id": "b", "name": "give", "parent_id": "r"},
    ])  # fmt: skip
    assert await rpc.call("tasks.delete", {"task_id": "g"}) == {
        "success": True, "task_id": "g", "deleted_count": 2, "children_deleted": 1,
    }  # fmt: skip
    assert list(await rpc.tasks("r")) == ["r", "b"]
    assert (await rpc.refused("tasks.get", {"task_id": "a"}))["code"] == Code.NOT_FOUND


async def test_a_task_that_others_depend_on_is_not_deleted(rpc: Rpc) -> None:
    _, first, _ = await rpc.call("tasks.create", PAIR)
    error = await rpc.refused("tasks.delete", {"task_id": first["id"]})
    assert error["code"] == Code.CANNOT_DELETE
    assert len(await rpc.tasks("r")) == 3


async def test_with_its_root_a_draft_is_gone(rpc: Rpc) -> None:
    await rpc.call("tasks.create", PAIR)
    assert (await rpc.call("tasks.delete", {"id": "r"}))["deleted_count"] == 3
    assert (await rpc.refused("tasks.get", {"task_id": "r"}))["code"] == Code.NOT_FOUND
    assert (await rpc.refused("tasks.execute", {"task_id": "r"}))["code"] == Code.NOT_FOUND
    assert (await rpc.call("tasks.list"))["tasks"] == []


@pytest.mark.parametrize("method", ["tasks.update", "tasks.delete"])
async def test_who_changes_says_what(rpc: Rpc, method: str) -> None:
    error = await rpc.refused(method, {})
    assert (error["code"], error["data"][0]["field"]) == (Code.INVALID_PARAMS, "task_id")


async def test_updates_are_an_object(rpc: Rpc) -> None:
    error = await rpc.refused("tasks.update", {"task_id": "r", "updates": [1], "name": "x"})
    assert error["code"] == Code.INVALID_PARAMS
    assert {one["field"] for one in error["data"]} == {"updates", "name"}
