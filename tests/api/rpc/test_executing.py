"""tasks.execute and tasks.cancel, answered at once or when all is over."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow import BaseTask, executor_register
from aipartnerupflow.api.rpc.errors import Code
from tests.api.rpc.conftest import Rpc
from tests.support.servers import Api, Work, chain, tree


async def test_an_array_is_created_and_started_at_once(rpc: Rpc, work: Work) -> None:
    begun = await rpc.call("tasks.execute", {"tasks": [{"name": "gated", "id": "g"}]})
    assert begun == {
        "success": True, "protocol": "jsonrpc", "root_task_id": "g", "task_id": "g",
        "status": "in_progress", "message": "the tasks were created and started",
    }  # fmt: skip
    work.open_gate()


async def test_who_would_wait_is_answered_at_the_end(rpc: Rpc) -> None:
    done = await rpc.run(*tree("a", {"key": "b", "name": "broken"}))
    assert (done["success"], done["status"]) == (True, "failed")


async def test_a_draft_is_started_by_its_root_or_by_any_of_its_tasks(rpc: Rpc) -> None:
    for n in range(2):
        made = await rpc.call("tasks.create", tree("a"))
        done = await rpc.call("tasks.execute", {"task_id": made[n]["id"]}, prefer="wait=20")
        assert (done["root_task_id"], done["task_id"]) == (made[0]["id"], made[n]["id"])
        assert done["status"] == "completed"


async def test_what_runs_is_not_started_again(rpc: Rpc, work: Work) -> None:
    await rpc.call("tasks.execute", {"tasks": [{"name": "gated", "id": "g"}]})
    for stream in (False, True):
        again = await rpc.call("tasks.execute", {"task_id": "g", "use_streaming": stream})
        assert (again["success"], again["status"]) == (False, "already_running")
    work.open_gate()
    assert work.calls == ["gated"]


async def test_what_failed_runs_again_in_place(rpc: Rpc, work: Work) -> None:
    work.break_next()
    done = await rpc.run(*tree("a", {"key": "f", "name": "flaky", "dependencies": ["a"]}))
    assert done["status"] == "failed"
    again = await rpc.call("tasks.execute", {"task_id": done["root_task_id"]}, prefer="wait=20")
    assert (again["root_task_id"], again["status"]) == (done["root_task_id"], "completed")
    assert work.calls == ["give", "flaky", "flaky"]


async def test_one_task_that_failed_runs_again_with_what_follows(rpc: Rpc, work: Work) -> None:
    work.break_next()
    done = await rpc.run(*tree({"key": "f", "name": "flaky"}, {"key": "x", "name": "broken"},
                               {"key": "b", "name": "give", "dependencies": ["f"]}))  # fmt: skip
    tasks = await rpc.tasks(done["root_task_id"])
    again = await rpc.call("tasks.execute", {"task_id": tasks["f"]["id"]}, prefer="wait=20")
    assert again["status"] == "failed"
    tasks = await rpc.tasks(done["root_task_id"])
    assert [tasks[key]["status"] for key in "fxb"] == ["completed", "failed", "completed"]
    assert sorted(work.calls) == ["broken", "flaky", "flaky", "give"]


async def test_what_has_completed_or_never_started_does_not_run_again(rpc: Rpc) -> None:
    done = await rpc.run(*tree("a", {"key": "x", "name": "broken"},
                               {"key": "b", "name": "give", "dependencies": ["x"]}))  # fmt: skip
    tasks = await rpc.tasks(done["root_task_id"])
    error = await rpc.refused("tasks.execute", {"task_id": tasks["a"]["id"]})
    assert error["code"] == Code.INVALID_TRANSITION
    error = await rpc.refused("tasks.execute", {"task_id": tasks["b"]["id"]})
    assert error["code"] == Code.DEPENDENCY_NOT_SATISFIED


async def test_to_run_again_takes_an_operator(api: Api) -> None:
    submitter = Rpc(api.user("ann", "submit"))
    done = await submitter.run({"name": "broken"})
    error = await submitter.refused("tasks.execute", {"task_id": done["task_id"]})
    assert error["code"] == Code.UNAUTHORIZED


@pytest.mark.parametrize("params", [
    {}, {"task_id": "a", "tasks": []}, {"task_id": "a", "copy_execution": True},
    {"task_id": "a", "use_demo": 1}, {"task_id": "a", "webhook_config": {"url": "x"}},
    {"task_id": "a", "webhook_config": 1}, {"task_id": "a", "fast": True},
])  # fmt: skip
async def test_an_order_makes_sense(rpc: Rpc, params: dict[str, Any]) -> None:
    assert (await rpc.refused("tasks.execute", params))["code"] == Code.INVALID_PARAMS


async def test_tasks_that_nothing_can_run_are_refused(rpc: Rpc) -> None:
    error = await rpc.refused("tasks.execute", {"tasks": [{"name": "nothing"}]})
    assert error["code"] == Code.EXECUTOR_NOT_FOUND
    made = await rpc.call("tasks.create", {"name": "nothing"})
    error = await rpc.refused("tasks.execute", {"task_id": made["id"]})
    assert error["code"] == Code.EXECUTOR_NOT_FOUND
    assert (await rpc.refused("tasks.execute", {"tasks": []}))["code"] == Code.INVALID_TREE


async def test_a_schema_that_cannot_be_used_is_refused(rpc: Rpc) -> None:
    task = {"name": "give", "schemas": {"input_schema": {"type": "nonsense"}}}
    error = await rpc.refused("tasks.execute", {"tasks": [task]})
    assert error["code"] == Code.INVALID_SCHEMA


class Bakes(BaseTask):
    id = "bakes"
    name = "Bakes"

    async def execute(self, inputs: dict[str, Any]) -> Any:
        raise AssertionError("nothing is baked for show")

    def get_demo_result(self, task: Any, inputs: dict[str, Any]) -> Any:
        return {"cakes": inputs["cakes"]}


@pytest.mark.parametrize("drafted", [False, True])
async def test_a_tree_runs_for_show(rpc: Rpc, work: Work, drafted: bool) -> None:
    executor_register()(Bakes)
    tasks = tree("a", {"key": "b", "name": "bakes", "inputs": {"cakes": 2}})
    params: dict[str, Any] = {"tasks": tasks}
    if drafted:
        params = {"task_id": (await rpc.call("tasks.create", tasks))[0]["id"]}
    done = await rpc.call("tasks.execute", params | {"use_demo": True}, prefer="wait=20")
    assert done["status"] == "completed"
    found = await rpc.tasks(done["root_task_id"])
    assert found["a"]["result"] == {"result": "Demo execution result", "demo_mode": True}
    assert found["b"]["result"] == {"cakes": 2, "demo_mode": True}
    assert work.calls == []


async def test_what_was_run_cannot_be_shown_afterwards(rpc: Rpc) -> None:
    done = await rpc.run({"name": "broken"})
    error = await rpc.refused("tasks.execute", {"task_id": done["task_id"], "use_demo": True})
    assert (error["code"], error["data"][0]["field"]) == (Code.INVALID_PARAMS, "use_demo")


async def test_a_webhook_is_registered_with_the_tree(rpc: Rpc) -> None:
    config = {"url": "http://127.0.0.1:9/told", "method": "PUT", "timeout": 1, "max_retries": 0}
    done = await rpc.run({"name": "give"}, webhook_config=config)
    assert done["webhook_url"] == config["url"]
    made = await rpc.call("tasks.create", {"name": "give"})
    params = {"task_id": made["id"], "webhook_config": config}
    assert (await rpc.call("tasks.execute", params))["webhook_url"] == config["url"]


# -- cancel


async def running(rpc: Rpc, work: Work, *more: Any) -> dict[str, Any]:
    """A tree of which `g` runs."""
    begun = await rpc.call("tasks.execute", {"tasks": tree({"key": "g", "name": "gated"}, *more)})
    while not work.calls:  # noqa: ASYNC110 - an executor that knows nothing of tests
        await asyncio.sleep(0.005)
    return await rpc.tasks(begun["root_task_id"])


cancels = pytest.mark.parametrize("method", ["tasks.cancel", "tasks.running.cancel"])


@cancels
@pytest.mark.parametrize("names", ["task_ids", "context_ids"])
@pytest.mark.parametrize("shape", [list, ",".join])
async def test_tasks_are_cancelled_each_for_itself(
    rpc: Rpc, work: Work, method: str, names: str, shape: Any
) -> None:
    tasks = await running(rpc, work, {"key": "b", "name": "give", "dependencies": ["g"]})
    done = await rpc.run({"name": "give"})
    ids = [tasks["g"]["id"], done["task_id"], "nobody"]
    params = {names: shape(ids), "error_message": "no guests", "force": True}
    cancelled, over, missing = await rpc.call(method, params, prefer="wait=20")
    assert (cancelled["task_id"], cancelled["status"], cancelled["error"]) == (
        ids[0], "cancelled", "no guests",
    )  # fmt: skip
    assert (over["status"], over["code"]) == ("completed", Code.INVALID_TRANSITION)
    assert missing["status"] == "not_found"
    assert all(one["force"] for one in (cancelled, over, missing))
    blocked = (await rpc.tasks(tasks["root"]["id"]))["b"]
    assert (blocked["status"], blocked["started_at"]) == ("pending", None)


@cancels
async def test_one_task_is_cancelled_or_it_is_an_error(rpc: Rpc, work: Work, method: str) -> None:
    tasks = await running(rpc, work)
    params = {"task_id": tasks["g"]["id"]}
    assert (await rpc.call(method, params, prefer="wait=20"))["status"] == "cancelled"
    assert (await rpc.refused(method, params))["code"] == Code.INVALID_TRANSITION
    assert (await rpc.refused(method, {"task_id": "nobody"}))["code"] == Code.NOT_FOUND
    assert (await rpc.refused(method, {}))["code"] == Code.INVALID_PARAMS


async def test_the_root_stands_for_the_whole_tree(rpc: Rpc, work: Work) -> None:
    tasks = await running(rpc, work, *chain(3)[1:])
    told = await rpc.call("tasks.cancel", {"task_id": tasks["root"]["id"]}, prefer="wait=20")
    assert told["status"] == "cancelled"
    found = await rpc.tasks(tasks["root"]["id"])
    assert {task["status"] for key, task in found.items() if key in ("root", "g")} == {"cancelled"}


async def test_a_cancel_is_answered_at_once_as_well(rpc: Rpc, work: Work) -> None:
    tasks = await running(rpc, work)
    told = await rpc.call("tasks.cancel", {"task_id": tasks["g"]["id"]})
    assert told["status"] in ("in_progress", "cancelled")


async def test_a_draft_is_not_cancelled_but_deleted(rpc: Rpc) -> None:
    made = await rpc.call("tasks.create", {"name": "give"})
    error = await rpc.refused("tasks.cancel", {"task_id": made["id"]})
    assert error["code"] == Code.INVALID_TRANSITION


async def test_a_reason_is_short(rpc: Rpc) -> None:
    params = {"task_ids": [], "error_message": "x" * 1001}
    assert (await rpc.refused("tasks.cancel", params))["code"] == Code.INVALID_PARAMS


@pytest.mark.parametrize("method", ["tasks.execute", "tasks.create"])
async def test_an_array_with_too_many_items_is_refused_before_it_is_read(
    rpc: Rpc, method: str
) -> None:
    error = await rpc.refused(method, {"tasks": [{}] * 100_002})
    assert error["code"] == Code.INVALID_TREE
    assert len(error["data"]) == 1


async def test_large_parameters_are_tasks(rpc: Rpc) -> None:
    error = await rpc.refused("tasks.create", {"name": "give", "inputs": {"x": "y" * (8 << 20)}})
    assert error["code"] == Code.INVALID_PARAMS
