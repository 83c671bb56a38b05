"""Tasks as they stand: alone, in lists, in trees."""

import threading
from typing import Any

import pytest

from aipartnerupflow import __version__
from aipartnerupflow.api.rpc.errors import Code
from aipartnerupflow.api.rpc.methods import ABSENT, METHODS
from tests.api.rpc.conftest import Rpc
from tests.support.servers import Api, Work, tree

FIELDS = {
    "id", "parent_id", "task_tree_id", "user_id", "name", "key", "status", "draft", "priority",
    "dependencies", "inputs", "params", "schemas", "result", "error", "progress", "created_at",
    "started_at", "updated_at", "completed_at", "has_children", "origin_type", "original_task_id",
}  # fmt: skip


@pytest.mark.parametrize("name", ["task_id", "id"])
@pytest.mark.parametrize("method", ["tasks.get", "tasks.detail"])
async def test_a_task_is_read_by_either_name(rpc: Rpc, method: str, name: str) -> None:
    done = await rpc.run({"name": "give", "inputs": {"value": {"x": 1}}})
    task = await rpc.call(method, {name: done["task_id"]})
    assert task.keys() - {"attempts"} == FIELDS
    assert (task["status"], task["result"], task["error"]) == ("completed", {"x": 1}, None)
    assert (task["progress"], task["user_id"], task["origin_type"]) == (1.0, "ann", "create")
    assert task["created_at"] <= task["started_at"] <= task["completed_at"] == task["updated_at"]


async def test_a_task_in_detail_has_its_attempts(rpc: Rpc, work: Work) -> None:
    work.break_next()
    done = await rpc.run({"name": "flaky", "retry": {"initial_delay": 0.01}})
    task = await rpc.call("tasks.detail", {"task_id": done["task_id"]})
    assert [(one["attempt"], one["outcome"]) for one in task["attempts"]] == [
        (1, "failed"), (2, "completed"),
    ]  # fmt: skip


async def test_an_error_is_a_text(rpc: Rpc) -> None:
    done = await rpc.run({"name": "broken"})
    task = await rpc.call("tasks.get", {"task_id": done["task_id"]})
    assert (task["status"], task["error"], task["result"]) == ("failed", "no", None)


@pytest.mark.parametrize("id", ["nobody", "", "a b", "\0", "x" * 500])
async def test_what_is_not_there_is_not_found(rpc: Rpc, id: str) -> None:
    for method in ("tasks.get", "tasks.detail", "tasks.tree", "tasks.children", "tasks.execute"):
        assert (await rpc.refused(method, {"task_id": id}))["code"] == Code.NOT_FOUND


@pytest.mark.parametrize("id", [1, [], {}, True])
async def test_an_id_is_a_text(rpc: Rpc, id: Any) -> None:
    error = await rpc.refused("tasks.get", {"task_id": id})
    assert (error["code"], error["data"][0]["field"]) == (Code.INVALID_PARAMS, "task_id")


async def test_a_tree_is_nested(rpc: Rpc) -> None:
    done = await rpc.run(*tree("a", "b"))
    root = done["root_task_id"]
    found = await rpc.call("tasks.tree", {"task_id": root})
    assert found["task"]["has_children"]
    assert [child["task"]["key"] for child in found["children"]] == ["a", "b"]
    assert not found["children"][0]["task"]["has_children"]
    below = found["children"][0]["task"]["id"]
    assert await rpc.call("tasks.tree", {"task_id": below}) == found
    assert await rpc.call("tasks.tree", {"root_id": root}) == found


@pytest.mark.parametrize("name", ["parent_id", "task_id"])
async def test_children_are_those_right_below(rpc: Rpc, name: str) -> None:
    await rpc.call("tasks.create", [
        {"id": "r", "name": "root"}, {"id": "g", "name": "group", "parent_id": "r"},
        {"id": "a", "name": "give", "parent_id": "g"},
    ])  # fmt: skip
    found = await rpc.call("tasks.children", {name: "r"})
    assert [(task["id"], task["has_children"]) for task in found] == [("g", True)]
    assert await rpc.call("tasks.children", {name: "a"}) == []


async def test_a_list_has_roots_and_says_how_many_there_are(rpc: Rpc) -> None:
    for n in range(3):
        await rpc.run({"name": "root", "id": f"r{n}"}, {"name": "give", "parent_id": f"r{n}"})
    found = await rpc.call("tasks.list", {"limit": 2})
    assert [task["id"] for task in found["tasks"]] == ["r2", "r1"]
    assert (found["total"], found["limit"], found["offset"]) == (3, 2, 0)
    assert all(task["has_children"] for task in found["tasks"])
    found = await rpc.call("tasks.list", {"limit": 2, "offset": 2})
    assert [task["id"] for task in found["tasks"]] == ["r0"]


async def test_a_list_is_of_tasks_in_a_state_on_demand(rpc: Rpc) -> None:
    await rpc.run(*tree("a", {"key": "b", "name": "broken"}))
    found = await rpc.call("tasks.list", {"status": "failed", "root_only": False})
    assert {task["key"] for task in found["tasks"]} == {"root", "b"}
    assert found["total"] == 2
    found = await rpc.call("tasks.list", {"status": "completed"})
    assert (found["tasks"], found["total"]) == ([], 0)


@pytest.mark.parametrize("params", [
    {"limit": 0}, {"limit": 1001}, {"limit": "10"}, {"limit": True}, {"offset": -1},
    {"status": "done"}, {"status": 1}, {"root_only": "yes"}, {"user_id": 1}, {"sort": "name"},
])  # fmt: skip
async def test_a_list_takes_no_nonsense(rpc: Rpc, params: dict[str, Any]) -> None:
    error = await rpc.refused("tasks.list", params)
    assert error["code"] == Code.INVALID_PARAMS
    assert [one["field"] for one in error["data"]] == list(params)


async def test_all_that_is_wrong_with_parameters_is_told_at_once(rpc: Rpc) -> None:
    error = await rpc.refused("tasks.list", {"limit": 0, "offset": "x", "status": "y", "z": 1})
    assert {one["field"] for one in error["data"]} == {"limit", "offset", "status", "z"}


async def test_tasks_are_counted(rpc: Rpc) -> None:
    await rpc.run(*tree("a", {"key": "b", "name": "broken"}))
    await rpc.call("tasks.create", {"name": "give"})
    zero = {"pending": 0, "in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0}
    assert await rpc.call("tasks.count") == zero | {
        "pending": 1, "completed": 1, "failed": 2, "total": 4,
    }  # fmt: skip
    assert (await rpc.call("tasks.count", {"root_only": True}))["total"] == 2
    found = await rpc.call("tasks.count", {"statuses": ["failed"], "user_id": "ann"})
    assert found == {"failed": 2, "total": 2, "user_id": "ann"}


@pytest.mark.parametrize("params", [{"statuses": ["done"]}, {"statuses": "failed"}])
async def test_only_what_there_is_can_be_counted(rpc: Rpc, params: dict[str, Any]) -> None:
    assert (await rpc.refused("tasks.count", params))["code"] == Code.INVALID_PARAMS


async def test_what_runs_is_listed_counted_and_told(rpc: Rpc, work: Work) -> None:
    begun = await rpc.call("tasks.execute", {"tasks": [{"name": "gated", "id": "g"}]})
    assert begun["status"] == "in_progress"
    assert [task["task_id"] for task in await rpc.call("tasks.running.list")] == ["g"]
    assert await rpc.call("tasks.running.list", {"user_id": "ben"}) == []
    assert await rpc.call("tasks.running.count") == {"count": 1}
    assert await rpc.call("tasks.running.count", {"user_id": "ann"}) == {
        "count": 1, "user_id": "ann",
    }  # fmt: skip
    for shape in (["g", "nobody"], "g, nobody"):
        for name in ("task_ids", "context_ids"):
            running, missing = await rpc.call("tasks.running.status", {name: shape})
            assert (running["task_id"], running["context_id"]) == ("g", "g")
            assert (running["status"], running["is_running"]) == ("in_progress", True)
            assert (missing["status"], missing["is_running"]) == ("not_found", False)
    work.open_gate()


async def test_of_what_runs_the_ids_have_to_be_given(rpc: Rpc) -> None:
    assert (await rpc.refused("tasks.running.status"))["code"] == Code.INVALID_PARAMS
    error = await rpc.refused("tasks.running.status", {"task_ids": ["x"] * 2000 + list("ab")})
    assert error["code"] == Code.INVALID_PARAMS


async def test_the_system_says_how_it_is_and_what_it_speaks(api: Api) -> None:
    system = Rpc(api.admin, "/system")
    health = await system.call("system.health")
    assert (health["status"], health["version"]) == ("healthy", __version__)
    assert health["protocol_version"] == "1.0"
    assert health["running_tasks_count"] == 0
    found = await system.call("system.executors", {})
    assert found["count"] == len(found["executors"])
    assert {"id", "name", "extension", "description"} <= found["executors"][0].keys()
    assert "give" in {executor["id"] for executor in found["executors"]}


@pytest.mark.parametrize("method", sorted(ABSENT))
async def test_what_there_is_not_says_why(api: Api, method: str) -> None:
    error = await Rpc(api.admin, "/").refused(method, {})
    assert error["code"] == Code.METHOD_NOT_FOUND
    assert error["data"] == [{"field": "method", "reason": ABSENT[method]}]


async def test_all_methods_are_listed_with_their_scopes(rpc: Rpc) -> None:
    found = (await rpc.client.get("/tasks/methods")).json()
    assert {one["name"]: one["scope"] for one in found["methods"]} == {
        name: method.scope.name.lower() for name, method in METHODS.items()
    }
    assert {one["name"] for one in found["absent"]} == set(ABSENT)
    assert all(one["about"] for one in found["methods"])


async def test_the_tasks_that_one_body_names_are_bounded(rpc: Rpc) -> None:
    ids = [f"x{n}" for n in range(1_000)]
    ask = {"jsonrpc": "2.0", "method": "tasks.running.status", "params": {"task_ids": ids}}
    answers = (await rpc.post([ask | {"id": n} for n in range(7)])).json()
    assert [len(answer["result"]) for answer in answers[:5]] == [1_000] * 5
    assert [answer["error"]["code"] for answer in answers[5:]] == [Code.INVALID_PARAMS] * 2


async def test_many_tasks_are_looked_up_at_once(
    api: Api, rpc: Rpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = await rpc.run(*tree("a", "b"))
    ids = [task["id"] for task in (await rpc.tasks(done["root_task_id"])).values()]
    looked: list[int] = []
    look_up = api.store.reads.tasks_by_id

    def looking(ids: list[str]) -> Any:
        looked.append(threading.get_ident())
        return look_up(ids)

    monkeypatch.setattr(api.store.reads, "tasks_by_id", looking)
    told = await rpc.call("tasks.running.status", {"task_ids": [*ids, "nobody", "\0"]})
    assert [one["status"] for one in told] == ["completed"] * 3 + ["not_found"] * 2
    assert len(looked) == 1
    assert looked[0] != threading.get_ident()
    others = await Rpc(api.user("bob")).call("tasks.running.status", {"task_ids": ids})
    assert {one["status"] for one in others} == {"not_found"}
