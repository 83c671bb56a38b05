"""Copies: new drafts of the caller's own."""

from typing import Any

import pytest

from aipartnerupflow.api.rpc.errors import Code
from tests.api.rpc.conftest import Rpc
from tests.support.servers import Api

TREE = [
    {"id": "r", "name": "root"},
    {"key": "g", "name": "group", "parent_id": "r"},
    {"key": "a", "name": "give", "parent_id": "g", "inputs": {"value": 1}, "priority": 0,
     "timeout": 9},
    {"key": "b", "name": "broken", "parent_id": "g", "dependencies": ["a"]},
    {"key": "c", "name": "give", "parent_id": "r",
     "dependencies": [{"key": "g", "required": False}]},
]  # fmt: skip


def flat(node: Any) -> dict[str, Any]:
    """The tasks of a nested tree by key."""
    found: dict[str, Any] = {}
    todo = [node]
    for each in todo:
        found[each["task"]["key"]] = each["task"]
        todo.extend(each["children"])
    return found


copies = pytest.mark.parametrize("method", ["tasks.copy", "tasks.clone"])


@copies
async def test_a_copy_is_a_draft_that_knows_what_it_copies(rpc: Rpc, method: str) -> None:
    await rpc.run(*TREE)
    before = await rpc.tasks("r")
    copied = flat(await rpc.call(method, {"task_id": "r"}))
    assert list(copied) == list(before)
    for key, task in copied.items():
        original = before[key]
        assert (task["origin_type"], task["original_task_id"]) == ("copy", original["id"])
        assert task["id"] != original["id"]
        assert (task["status"], task["draft"], task["progress"]) == (
            "pending", True, 0.0,
        )  # fmt: skip
        assert (task["result"], task["error"], task["started_at"]) == (None, None, None)
        for same in ("name", "priority", "inputs", "params", "schemas"):
            assert task[same] == original[same]
    assert copied["b"]["dependencies"] == [{"id": copied["a"]["id"], "required": True}]
    assert copied["c"]["dependencies"] == [{"id": copied["g"]["id"], "required": False}]
    assert await rpc.tasks("r") == before


@copies
async def test_a_part_of_a_tree_can_be_copied(rpc: Rpc, method: str) -> None:
    await rpc.call("tasks.create", TREE)
    before = await rpc.tasks("r")
    copied = flat(await rpc.call(method, {"id": before["g"]["id"]}))
    assert list(copied) == ["g", "a", "b"]
    assert copied["g"]["parent_id"] is None
    assert {key: task["original_task_id"] for key, task in copied.items()} == {
        key: before[key]["id"] for key in copied
    }
    listed = (await rpc.call("tasks.list"))["tasks"]
    assert [task["original_task_id"] for task in listed] == [before["g"]["id"], None]


@pytest.mark.parametrize(("method", "alone"), [("tasks.copy", "children"),
                                               ("tasks.clone", "recursive")])  # fmt: skip
async def test_a_task_can_be_copied_alone(rpc: Rpc, method: str, alone: str) -> None:
    await rpc.call("tasks.create", TREE)
    copied = await rpc.call(method, {"task_id": "r", alone: False})
    assert copied["children"] == []
    assert copied["task"]["name"] == "root"


@copies
async def test_a_copy_leaves_nothing_behind_that_it_needs(rpc: Rpc, method: str) -> None:
    await rpc.call("tasks.create", TREE)
    tasks = await rpc.tasks("r")
    error = await rpc.refused(method, {"task_id": tasks["c"]["id"]})
    assert error["code"] == Code.INVALID_DEPENDENCY
    assert [one["field"] for one in error["data"]] == ["c"]


@copies
async def test_a_copy_can_be_looked_at_before_it_is_made(rpc: Rpc, method: str) -> None:
    await rpc.call("tasks.create", TREE)
    shown = await rpc.call(method, {"task_id": "r", "save": False})
    assert [task["key"] for task in shown] == ["r", "g", "a", "b", "c"]
    assert (await rpc.call("tasks.list"))["total"] == 1
    again = [{**task, "id": f"new-{task['id']}", "dependencies": []} for task in shown]
    for task in again:
        if "parent_id" in task:
            task["parent_id"] = f"new-{task['parent_id']}"
    made = await rpc.call("tasks.create", again)
    assert made[2]["inputs"] == {"value": 1}


@copies
async def test_a_copy_runs_as_what_it_copies(rpc: Rpc, method: str) -> None:
    await rpc.call("tasks.create", TREE[:3])
    copied = await rpc.call(method, {"task_id": "r"})
    done = await rpc.call("tasks.execute", {"task_id": copied["task"]["id"]}, prefer="wait=20")
    assert done["status"] == "completed"
    assert (await rpc.tasks("r"))["a"]["status"] == "pending"


async def test_a_copy_belongs_to_who_made_it(api: Api, rpc: Rpc) -> None:
    await rpc.call("tasks.create", TREE)
    admin = Rpc(api.admin)
    copied = await admin.call("tasks.copy", {"task_id": "r"})
    assert copied["task"]["user_id"] == "local"
    error = await rpc.refused("tasks.get", {"task_id": copied["task"]["id"]})
    assert error["code"] == Code.NOT_FOUND


@pytest.mark.parametrize("kind", ["link", "archive", "mixed"])
async def test_other_kinds_of_copies_there_are_not(rpc: Rpc, kind: str) -> None:
    await rpc.call("tasks.create", TREE)
    error = await rpc.refused("tasks.clone", {"task_id": "r", "origin_type": kind})
    assert (error["code"], error["data"][0]["field"]) == (Code.METHOD_NOT_FOUND, "origin_type")


@pytest.mark.parametrize("params", [
    {"reset_fields": {"inputs": {}}}, {"copy_mode": "custom"}, {"custom_task_ids": ["a"]},
    {"children": 1},
])  # fmt: skip
async def test_what_a_copy_cannot_do_it_says(rpc: Rpc, params: dict[str, Any]) -> None:
    await rpc.call("tasks.create", TREE)
    error = await rpc.refused("tasks.copy", {"task_id": "r", **params})
    assert error["code"] == Code.INVALID_PARAMS
    assert [one["field"] for one in error["data"]] == list(params)
