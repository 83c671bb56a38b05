"""The task protocol 1.0, item by item: each of its 43 obligations, proved through the API.

Where we do otherwise on purpose, the line says why, and the proof shows what is done instead.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from aipartnerupflow.api.rpc.errors import Code
from tests.api.rpc.conftest import Rpc
from tests.support.servers import Work, tree

Proof = Callable[[Rpc, Work], Awaitable[None]]


class Item(NamedTuple):
    """``otherwise`` is empty where we do as we are told."""

    says: str
    proof: Proof
    otherwise: str = ""


TABLE: dict[str, Item] = {}


def item(name: str, says: str, otherwise: str = "") -> Callable[[Proof], Proof]:
    def add(proof: Proof) -> Proof:
        assert name not in TABLE
        TABLE[name] = Item(says, proof, otherwise)
        return proof

    return add


async def code_of(rpc: Rpc, method: str, params: Any) -> int:
    code: int = (await rpc.refused(method, params))["code"]
    return code


async def until_called(work: Work) -> None:
    while not work.calls:  # noqa: ASYNC110 - an executor that knows nothing of tests
        await asyncio.sleep(0.005)


async def gated(rpc: Rpc, work: Work, *more: Any) -> dict[str, Any]:
    """The tasks of a tree of which `g` runs."""
    begun = await rpc.call("tasks.execute", {"tasks": tree({"key": "g", "name": "gated"}, *more)})
    await until_called(work)
    return await rpc.tasks(begun["root_task_id"])


async def settled(rpc: Rpc, tasks: dict[str, Any]) -> None:
    """Wait for the end of a tree."""
    path = f"/v1/trees/{tasks['root']['id']}"
    await rpc.client.get(path, headers={"prefer": "wait=20"})


def after(key: str, on: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "name": "give", "dependencies": [on], **more}


# -- data


@item("M1", "a task has id, name and status, and its optional fields have their types")
async def _(rpc: Rpc, work: Work) -> None:
    task = await rpc.call("tasks.create", {"name": "give"})
    kinds = {
        "id": str, "name": str, "status": str, "priority": int, "dependencies": list,
        "inputs": dict, "params": dict, "schemas": dict, "progress": float, "has_children": bool,
        "created_at": str, "updated_at": str, "task_tree_id": str, "user_id": str,
        "origin_type": str, "parent_id": type(None), "result": type(None), "error": type(None),
        "started_at": type(None), "completed_at": type(None), "original_task_id": type(None),
    }  # fmt: skip
    assert {name: type(task[name]) for name in kinds} == kinds


@item(
    "M2", "ids are UUIDs, version 4",
    otherwise="ids that we make are; a client's own (1 to 128 of letters, digits, ._:-) are taken "
    "too, since the protocol's own examples have such",
)  # fmt: skip
async def _(rpc: Rpc, work: Work) -> None:
    made = await rpc.call("tasks.create", {"name": "give"})
    assert UUID(made["id"]).version == 4
    assert (await rpc.call("tasks.create", {"name": "give", "id": "task1"}))["id"] == "task1"
    made = await rpc.call("tasks.create", {"name": "give", "id": "no id"})
    assert UUID(made["id"]).version == 4


@item("M3", "a name has 1 to 255 characters")
async def _(rpc: Rpc, work: Work) -> None:
    for length in (1, 255):
        assert (await rpc.call("tasks.create", {"name": "x" * length}))["name"] == "x" * length
    for length in (0, 256):
        assert await code_of(rpc, "tasks.create", {"name": "x" * length}) == Code.INVALID_PARAMS


@item("M4", "priority is 0 to 3, and 2 where nothing is said")
async def _(rpc: Rpc, work: Work) -> None:
    assert (await rpc.call("tasks.create", {"name": "x"}))["priority"] == 2
    for priority in range(4):
        made = await rpc.call("tasks.create", {"name": "x", "priority": priority})
        assert made["priority"] == priority
    for wrong in (-1, 4, 1.5, "1"):
        params = {"name": "x", "priority": wrong}
        assert await code_of(rpc, "tasks.create", params) == Code.INVALID_PARAMS


@item("M5", "progress is within 0 and 1")
async def _(rpc: Rpc, work: Work) -> None:
    done = await rpc.run(*tree("a", {"key": "x", "name": "broken"}))
    tasks = await rpc.tasks(done["root_task_id"])
    assert tasks["a"]["progress"] == 1.0
    assert all(0 <= task["progress"] <= 1 for task in tasks.values())
    params = {"task_id": "x", "progress": 2}
    assert await code_of(rpc, "tasks.update", params) == Code.NOT_FOUND


@item(
    "M6", "result is an object or null, and null unless the task has completed",
    otherwise="a result is any JSON, as executors return it; null unless completed it is",
)  # fmt: skip
async def _(rpc: Rpc, work: Work) -> None:
    for value in ({"x": 1}, [1], "text", 7):
        done = await rpc.run({"name": "give", "inputs": {"value": value}})
        task = await rpc.call("tasks.get", {"task_id": done["task_id"]})
        assert task["result"] == value
    done = await rpc.run({"name": "broken"})
    assert (await rpc.call("tasks.get", {"task_id": done["task_id"]}))["result"] is None


@item("M7", "error is a text exactly where the task has failed or was cancelled")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = await gated(rpc, work, "a", {"key": "x", "name": "broken"})
    await rpc.call("tasks.cancel", {"task_id": tasks["g"]["id"]}, prefer="wait=20")
    for task in (await rpc.tasks(tasks["root"]["id"])).values():
        assert bool(task["error"]) is (task["status"] in ("failed", "cancelled"))


@item("M8", "started_at is null while pending, and set when in progress")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = await gated(rpc, work, after("b", "g"))
    assert (tasks["b"]["status"], tasks["b"]["started_at"]) == ("pending", None)
    assert tasks["g"]["status"] == "in_progress"
    assert tasks["g"]["started_at"]
    work.open_gate()


@item("M9", "completed_at is set exactly where the task has ended")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = await gated(rpc, work, {"key": "x", "name": "broken"}, after("b", "x"))
    for task in (await rpc.tasks(tasks["root"]["id"])).values():
        over = task["status"] in ("completed", "failed", "cancelled")
        assert bool(task["completed_at"]) is over
    work.open_gate()


@item("M10", "times are ISO 8601")
async def _(rpc: Rpc, work: Work) -> None:
    done = await rpc.run({"name": "give"})
    task = await rpc.call("tasks.get", {"task_id": done["task_id"]})
    for name in ("created_at", "started_at", "updated_at", "completed_at"):
        assert datetime.fromisoformat(task[name]).utcoffset() is not None


@item(
    "M11", "links and archives come from completed tasks only",
    otherwise="there are neither: what a task did is in its log, so that copies are all there is",
)  # fmt: skip
async def _(rpc: Rpc, work: Work) -> None:
    done = await rpc.run({"name": "give"})
    for kind in ("link", "archive", "mixed"):
        params = {"task_id": done["task_id"], "origin_type": kind}
        assert await code_of(rpc, "tasks.clone", params) == Code.METHOD_NOT_FOUND


@item(
    "M12", "an enabled schedule has a type and an expression, and keeps to its bounds",
    otherwise="there are no schedules; fields and methods of them are refused, not ignored",
)  # fmt: skip
async def _(rpc: Rpc, work: Work) -> None:
    params = {"name": "give", "schedule_enabled": True}
    assert await code_of(rpc, "tasks.create", params) == Code.INVALID_PARAMS
    assert await code_of(rpc, "tasks.scheduled.list", {}) == Code.METHOD_NOT_FOUND


# -- states


@item("M13", "pending, in progress, then an end; from failed back to pending, all reset")
async def _(rpc: Rpc, work: Work) -> None:
    done = await rpc.run({"name": "gated", "timeout": 0.05})
    failed = await rpc.call("tasks.get", {"task_id": done["task_id"]})
    assert failed["status"] == "failed"
    events = (await rpc.client.get(f"/v1/trees/{done['task_id']}/events")).json()["items"]
    await rpc.call("tasks.execute", {"task_id": done["task_id"]})
    more = (await rpc.client.get(f"/v1/trees/{done['task_id']}/events")).json()["items"]
    again = [event["type"] for event in more[len(events) :]]
    assert again[0] == "task.reopened"  # pending again, before it starts
    assert again.index("task.reopened") < again.index("task.started")
    task = await rpc.call("tasks.get", {"task_id": done["task_id"]})
    assert (task["status"], task["error"], task["completed_at"]) == ("in_progress", None, None)
    work.open_gate()


@item("M14", "what the states do not allow is refused with -32006 and changes nothing")
async def _(rpc: Rpc, work: Work) -> None:
    done = await rpc.run({"name": "give"})
    before = await rpc.call("tasks.get", {"task_id": done["task_id"]})
    for method, params in (
        ("tasks.update", {"status": "pending"}), ("tasks.update", {"name": "x"}),
        ("tasks.cancel", {}), ("tasks.execute", {}),
    ):  # fmt: skip
        params = {"task_id": done["task_id"], **params}
        assert await code_of(rpc, method, params) == Code.INVALID_TRANSITION
    assert await rpc.call("tasks.get", {"task_id": done["task_id"]}) == before


@item("M15", "what has completed or was cancelled has ended for good")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = await gated(rpc, work, "a")
    await rpc.call("tasks.cancel", {"task_id": tasks["root"]["id"]}, prefer="wait=20")
    for key in ("root", "g", "a"):
        params = {"task_id": tasks[key]["id"]}
        assert await code_of(rpc, "tasks.execute", params) == Code.INVALID_TRANSITION


@item("M16", "a transition sets times and progress, and lets dependents go on")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = await gated(rpc, work, after("b", "g"))
    work.open_gate()
    await settled(rpc, tasks)
    found = await rpc.tasks(tasks["root"]["id"])
    assert found["g"]["progress"] == 1.0
    assert found["g"]["completed_at"] <= found["b"]["started_at"] <= found["b"]["completed_at"]


# -- dependencies


@item("M17", "dependencies are tasks of the same tree, else -32011")
async def _(rpc: Rpc, work: Work) -> None:
    await rpc.call("tasks.create", {"name": "give", "id": "elsewhere"})
    for on in ("nobody", "elsewhere"):
        assert await code_of(rpc, "tasks.create", tree(after("a", on))) == Code.INVALID_DEPENDENCY


@item("M18", "no task depends on itself")
async def _(rpc: Rpc, work: Work) -> None:
    error = await rpc.refused("tasks.create", tree(after("a", "a")))
    assert error["code"] == Code.CYCLE
    assert error["data"][0]["path"] == ["a", "a"]


@item("M19", "dependencies form no cycle, else -32002 with its path")
async def _(rpc: Rpc, work: Work) -> None:
    error = await rpc.refused(
        "tasks.create", tree(after("a", "b"), after("b", "c"), after("c", "a"))
    )
    assert error["code"] == Code.CYCLE
    path = error["data"][0]["path"]
    assert (path[0], set(path), len(path)) == (path[-1], {"a", "b", "c"}, 4)


@item("M20", "a required dependency is satisfied by completion only; else its dependent stays")
async def _(rpc: Rpc, work: Work) -> None:
    done = await rpc.run(
        *tree({"key": "x", "name": "broken"}, after("b", "x"), "a", after("c", "a"))
    )
    tasks = await rpc.tasks(done["root_task_id"])
    assert (tasks["b"]["status"], tasks["b"]["started_at"]) == ("pending", None)
    assert tasks["c"]["status"] == "completed"


@item("M21", "an optional dependency is satisfied by any end")
async def _(rpc: Rpc, work: Work) -> None:
    maybe = [{"key": "x", "required": False}]
    done = await rpc.run(*tree({"key": "x", "name": "broken"}, after("b", "x", dependencies=maybe)))
    tasks = await rpc.tasks(done["root_task_id"])
    assert tasks["b"]["status"] == "completed"
    assert tasks["b"]["started_at"] >= tasks["x"]["completed_at"]


@item("M22", "nothing starts before its dependencies are satisfied")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = await gated(rpc, work, after("b", "g"), after("c", "g"))
    assert (tasks["b"]["started_at"], tasks["c"]["started_at"]) == (None, None)
    assert work.calls == ["gated"]
    work.open_gate()


@item("M23", "a task is executed once at a time")
async def _(rpc: Rpc, work: Work) -> None:
    made = await rpc.call("tasks.create", {"name": "gated"})
    told = await asyncio.gather(
        *(rpc.call("tasks.execute", {"task_id": made["id"]}) for _ in range(5))
    )
    assert {one["status"] for one in told} <= {"in_progress", "already_running"}
    await until_called(work)
    work.open_gate()
    assert work.calls == ["gated"]


# -- trees


@item("M24", "a tree has exactly one root, else -32012")
async def _(rpc: Rpc, work: Work) -> None:
    assert await code_of(rpc, "tasks.create", []) == Code.INVALID_TREE
    two = [{"name": "give"}, {"name": "give"}]
    assert await code_of(rpc, "tasks.create", two) == Code.INVALID_TREE


@item("M25", "parents are there, else -32010")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = [{"name": "give"}, {"name": "give", "parent_id": "nobody"}]
    assert await code_of(rpc, "tasks.create", tasks) == Code.INVALID_PARENT


@item("M26", "parents form no cycle, else -32012")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = [
        {"name": "root", "id": "r"},
        {"name": "give", "id": "a", "parent_id": "b"},
        {"name": "give", "id": "b", "parent_id": "a"},
    ]
    assert await code_of(rpc, "tasks.create", tasks) == Code.INVALID_TREE


@item("M27", "all tasks that are referred to are in the tree")
async def _(rpc: Rpc, work: Work) -> None:
    await rpc.call("tasks.create", {"name": "give", "id": "elsewhere"})
    tasks = [{"name": "give"}, {"name": "give", "parent_id": "elsewhere"}]
    assert await code_of(rpc, "tasks.create", tasks) == Code.INVALID_PARENT


@item(
    "M28", "who is whose parent does not affect the order",
    otherwise="a task without an executor is a group, and ends after its children; a parent that "
    "has one runs whenever its own dependencies allow it",
)  # fmt: skip
async def _(rpc: Rpc, work: Work) -> None:
    done = await rpc.run(
        {"name": "give", "id": "p", "dependencies": []},
        {"name": "broken", "parent_id": "p"},
    )
    assert (await rpc.tasks(done["root_task_id"]))["p"]["status"] == "completed"
    done = await rpc.run(*tree("a"))
    tasks = await rpc.tasks(done["root_task_id"])
    assert tasks["root"]["completed_at"] >= tasks["a"]["completed_at"]


# -- order


@item("M29", "ready tasks start by priority, 0 first; dependencies come before it")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = tree(
        {"key": "low", "name": "give", "priority": 3},
        {"key": "urgent", "name": "give", "priority": 0},
        {"key": "late", "name": "give", "priority": 0, "dependencies": ["low"]},
        {"key": "high", "name": "give", "priority": 1},
    )
    answer = await rpc.client.post(
        "/v1/trees", json={"tasks": tasks, "limit": 1}, headers={"prefer": "wait=20"}
    )
    found = await rpc.tasks(answer.json()["id"])
    order = sorted(("low", "urgent", "late", "high"), key=lambda key: found[key]["started_at"])
    assert order == ["urgent", "high", "low", "late"]


@item("M30", "tasks that do not depend on each other run side by side")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = await gated(rpc, work, {"key": "h", "name": "gated"})
    found = await rpc.tasks(tasks["root"]["id"])
    assert (found["g"]["status"], found["h"]["status"]) == ("in_progress", "in_progress")
    work.open_gate()


# -- executors


@item("M31", "executors have ids of their own, by which schemas.method finds them")
async def _(rpc: Rpc, work: Work) -> None:
    ids = [one["id"] for one in (await Rpc(rpc.client, "/").call("system.executors"))["executors"]]
    assert len(ids) == len(set(ids))
    done = await rpc.run({"name": "anything", "schemas": {"method": "give"}})
    assert done["status"] == "completed"
    assert work.calls == ["give"]


@item(
    "M32", "an unknown executor fails the task, and is -32003 at the API",
    otherwise="the tree is refused with -32003 before anything of it runs, so no task has to fail",
)  # fmt: skip
async def _(rpc: Rpc, work: Work) -> None:
    params = {"tasks": tree("a", {"key": "x", "name": "x", "schemas": {"method": "nothing"}})}
    assert await code_of(rpc, "tasks.execute", params) == Code.EXECUTOR_NOT_FOUND
    assert work.calls == []
    assert (await rpc.call("tasks.count"))["total"] == 0


@item("M33", "what an executor raises fails its task, with the error")
async def _(rpc: Rpc, work: Work) -> None:
    done = await rpc.run({"name": "broken"})
    task = await rpc.call("tasks.get", {"task_id": done["task_id"]})
    assert (task["status"], task["error"]) == ("failed", "no")


@item("M34", "inputs have to fit schemas.input_schema")
async def _(rpc: Rpc, work: Work) -> None:
    schema = {"type": "object", "properties": {"value": {"type": "integer"}}}
    for value, status in ((1, "completed"), ("one", "failed")):
        done = await rpc.run({
            "name": "give", "inputs": {"value": value}, "schemas": {"input_schema": schema},
        })  # fmt: skip
        assert done["status"] == status
    assert work.calls == ["give"]


# -- storage


@item("M35", "tasks are stored; only pending ones without dependents are deleted, else -32009")
async def _(rpc: Rpc, work: Work) -> None:
    made = await rpc.call("tasks.create", tree("a", after("b", "a")))
    params = {"task_id": made[1]["id"]}
    assert await code_of(rpc, "tasks.delete", params) == Code.CANNOT_DELETE
    assert (await rpc.call("tasks.delete", {"task_id": made[2]["id"]}))["deleted_count"] == 1
    assert (await rpc.call("tasks.delete", params))["success"]
    assert list(await rpc.tasks(made[0]["id"])) == ["root"]
    done = await rpc.run({"name": "give"})
    assert await code_of(rpc, "tasks.delete", {"task_id": done["task_id"]}) == Code.CANNOT_DELETE


# -- the API


@item("M36", "JSON-RPC 2.0 over HTTP, POST / or /tasks")
async def _(rpc: Rpc, work: Work) -> None:
    for path in ("/", "/tasks"):
        assert (await Rpc(rpc.client, path).call("tasks.count"))["total"] == 0


@item(
    "M37", "methods create, get, update, delete, list, execute, cancel, tree, children, copy",
    otherwise="all are there, in the shapes of the text and of the old system; tasks.list answers "
    "as the text says, {tasks, total, limit, offset}, and no longer with a bare array",
)  # fmt: skip
async def _(rpc: Rpc, work: Work) -> None:
    task = await rpc.call("tasks.create", {"name": "give", "id": "t"})
    assert await rpc.call("tasks.get", {"id": "t"}) == task
    changed = await rpc.call("tasks.update", {"id": "t", "updates": {"priority": 1}})
    assert changed == task | {"priority": 1}
    assert await rpc.call("tasks.tree", {"id": "t"}) == {"task": changed, "children": []}
    assert await rpc.call("tasks.children", {"id": "t"}) == []
    found = await rpc.call("tasks.list")
    assert found == {"tasks": [changed], "total": 1, "limit": 100, "offset": 0}
    copied = await rpc.call("tasks.copy", {"id": "t"})
    assert (await rpc.call("tasks.delete", {"id": copied["task"]["id"]}))["success"]
    assert (await rpc.call("tasks.execute", {"id": "t"}))["success"]
    begun = await rpc.call("tasks.execute", {"tasks": [{"name": "gated"}]})
    told = await rpc.call("tasks.cancel", {"id": begun["task_id"]}, prefer="wait=20")
    assert told["status"] == "cancelled"


@item("M38", "the codes of JSON-RPC: -32700, -32600, -32601, -32602, -32603")
async def _(rpc: Rpc, work: Work) -> None:
    answer = await rpc.client.post("/tasks", content=b"{")
    assert answer.json()["error"]["code"] == -32700
    answer = await rpc.post({"jsonrpc": "1.0", "id": 1, "method": "tasks.get"})
    assert answer.json()["error"]["code"] == -32600
    assert await code_of(rpc, "tasks.nothing", {}) == -32601
    assert await code_of(rpc, "tasks.get", {}) == -32602
    rpc.client._transport.app.state.server.store.close()  # type: ignore[attr-defined]
    assert await code_of(rpc, "tasks.get", {"task_id": "a"}) == -32603


@item(
    "M39", "the codes of the protocol, -32001 to -32012",
    otherwise="all but -32008: who executes what runs is told so in a good answer, as ever "
    "(success false, already_running)",
)  # fmt: skip
async def _(rpc: Rpc, work: Work) -> None:
    tasks = await gated(rpc, work, {"key": "x", "name": "broken"}, after("b", "x"))
    again = await rpc.call("tasks.execute", {"task_id": tasks["root"]["id"]})
    assert (again["success"], again["status"]) == (False, "already_running")
    work.open_gate()
    await settled(rpc, tasks)
    schema = {"name": "give", "schemas": {"input_schema": {"type": "nonsense"}}}
    root = {"task_id": tasks["root"]["id"]}
    asked: list[tuple[int, str, Any]] = [
        (-32001, "tasks.get", {"task_id": "nobody"}),
        (-32002, "tasks.create", tree(after("a", "b"), after("b", "a"))),
        (-32003, "tasks.execute", {"tasks": [{"name": "nothing"}]}),
        (-32004, "tasks.create", {"name": "give", "user_id": "ben"}),
        (-32005, "tasks.create", schema),
        (-32006, "tasks.update", root | {"status": "completed"}),
        (-32007, "tasks.execute", {"task_id": tasks["b"]["id"]}),
        (-32009, "tasks.delete", root),
        (-32010, "tasks.create", {"name": "give", "parent_id": "nobody"}),
        (-32011, "tasks.create", tree(after("a", "nobody"))),
        (-32012, "tasks.create", []),
    ]
    for code, method, params in asked:
        assert await code_of(rpc, method, params) == code


@item("M40", "pending and running tasks can be cancelled; what requires them does not run")
async def _(rpc: Rpc, work: Work) -> None:
    tasks = await gated(rpc, work, after("b", "g"), after("c", "b"))
    for key in ("b", "g"):
        told = await rpc.call("tasks.cancel", {"task_id": tasks[key]["id"]}, prefer="wait=20")
        assert told["status"] == "cancelled"
    found = await rpc.tasks(tasks["root"]["id"])
    assert (found["c"]["status"], found["c"]["started_at"]) == ("pending", None)
    assert work.calls == ["gated"]


@item("M41", "what has failed can be run again")
async def _(rpc: Rpc, work: Work) -> None:
    work.break_next()
    done = await rpc.run(*tree({"key": "f", "name": "flaky"}, after("b", "f")))
    assert done["status"] == "failed"
    again = await rpc.call("tasks.execute", {"task_id": done["root_task_id"]}, prefer="wait=20")
    assert again["status"] == "completed"
    assert work.calls == ["flaky", "flaky", "give"]


@item("M42", "a copy has new ids, begins anew, is defined alike, and leaves the original alone")
async def _(rpc: Rpc, work: Work) -> None:
    done = await rpc.run(*tree("a", after("b", "a", priority=0)))
    before = await rpc.tasks(done["root_task_id"])
    copied = await rpc.call("tasks.copy", {"task_id": done["root_task_id"]})
    found = await rpc.tasks(copied["task"]["id"])
    for key, task in found.items():
        assert task["id"] != before[key]["id"]
        assert (task["status"], task["result"], task["progress"]) == ("pending", None, 0.0)
        assert (task["name"], task["inputs"], task["priority"]) == (
            before[key]["name"], before[key]["inputs"], before[key]["priority"],
        )  # fmt: skip
    assert await rpc.tasks(done["root_task_id"]) == before


@item("M43", "the version of the protocol is stated")
async def _(rpc: Rpc, work: Work) -> None:
    assert (await Rpc(rpc.client, "/system").call("system.health"))["protocol_version"] == "1.0"


# -- the table


@pytest.mark.parametrize("name", [f"M{n}" for n in range(1, 44)])
async def test_the_protocol_is_kept_or_the_table_says_why_not(
    rpc: Rpc, work: Work, name: str
) -> None:
    await TABLE[name].proof(rpc, work)


def test_the_table_names_each_item_once_in_their_order() -> None:
    assert list(TABLE) == [f"M{n}" for n in range(1, 44)]
    assert all(entry.says for entry in TABLE.values())
    for entry in TABLE.values():
        source = inspect.getsource(entry.proof)
        assert re.search(r"\bassert\b", source), entry.says


async def test_many_unknown_parameters_are_told_in_one_entry_with_ten_names(rpc: Rpc) -> None:
    many = {f"p{n:05}": 1 for n in range(20_000)}
    error = await rpc.refused("tasks.get", {"task_id": "a"} | many)
    (told,) = error["data"]
    assert told["field"] == ""
    assert told["reason"].startswith("20000 names (p00000, ")
    assert "p00009, …) are no parameters of this method" in told["reason"]
    assert "p00010" not in told["reason"]
    (told,) = (await rpc.refused("tasks.get", {"task_id": "a", "fast": 1}))["data"]
    assert told["field"] == "fast"
