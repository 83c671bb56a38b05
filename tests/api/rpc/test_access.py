"""Who may call what, and whose tasks they see."""

from typing import Any

import pytest

from aipartnerupflow.api.http.access import Scope
from aipartnerupflow.api.rpc.errors import Code
from aipartnerupflow.api.rpc.methods import METHODS
from tests.api.rpc.conftest import Rpc
from tests.support.servers import Api


@pytest.mark.parametrize("scope", list(Scope))
async def test_each_method_needs_its_scope(api: Api, scope: Scope) -> None:
    rpc = Rpc(api.user("ann", scope.name.lower()), "/")
    for name, method in METHODS.items():
        told = await rpc.ask(name, {})
        refused = told.get("error", {}).get("code") == Code.UNAUTHORIZED
        assert refused is (scope < method.scope), name


@pytest.mark.parametrize(("method", "params"), [
    ("tasks.get", {"task_id": "r"}), ("tasks.detail", {"task_id": "r"}),
    ("tasks.update", {"task_id": "r", "name": "x"}), ("tasks.delete", {"task_id": "r"}),
    ("tasks.tree", {"task_id": "r"}), ("tasks.children", {"task_id": "r"}),
    ("tasks.execute", {"task_id": "r"}), ("tasks.cancel", {"task_id": "r"}),
    ("tasks.copy", {"task_id": "r"}), ("tasks.clone", {"task_id": "r"}),
])  # fmt: skip
async def test_what_is_somebody_elses_is_not_there(
    api: Api, rpc: Rpc, method: str, params: dict[str, Any]
) -> None:
    await rpc.call(
        "tasks.create", [{"id": "r", "name": "root"}, {"name": "give", "parent_id": "r"}]
    )
    before = await rpc.tasks("r")
    stranger = Rpc(api.user("ben"))
    error = await stranger.refused(method, params)
    assert error == await stranger.refused(method, params | {"task_id": "nobody"})
    assert error["code"] == Code.NOT_FOUND
    assert await rpc.tasks("r") == before


async def test_each_of_several_is_looked_at(api: Api, rpc: Rpc) -> None:
    await rpc.call("tasks.create", {"id": "r", "name": "give"})
    stranger = Rpc(api.user("ben"))
    for method in ("tasks.cancel", "tasks.running.status"):
        told = await stranger.call(method, {"task_ids": ["r", "nobody"]})
        assert [one["status"] for one in told] == ["not_found", "not_found"]


async def test_nothing_is_put_into_drafts_of_others(api: Api, rpc: Rpc) -> None:
    await rpc.call("tasks.create", {"id": "r", "name": "give"})
    stranger = Rpc(api.user("ben"))
    error = await stranger.refused("tasks.create", {"name": "give", "parent_id": "r"})
    assert error["code"] == Code.INVALID_PARENT
    assert list(await rpc.tasks("r")) == ["r"]


async def test_lists_and_counts_are_of_ones_own(api: Api, rpc: Rpc) -> None:
    await rpc.call("tasks.create", {"id": "r", "name": "give"})
    stranger = Rpc(api.user("ben"))
    for user in (None, "ben", "ann"):
        params = {} if user is None else {"user_id": user}
        assert (await stranger.call("tasks.list", params))["total"] == 0
        assert (await stranger.call("tasks.count", params))["total"] == 0
    admin = Rpc(api.admin)
    assert (await admin.call("tasks.list"))["total"] == 1
    assert (await admin.call("tasks.list", {"user_id": "ann"}))["total"] == 1
    assert (await admin.call("tasks.list", {"user_id": "ben"}))["total"] == 0


async def test_only_an_admin_makes_tasks_for_others(api: Api, rpc: Rpc) -> None:
    for method in ("tasks.create", "tasks.execute"):
        params: Any = {"tasks": [{"name": "give", "user_id": "ben"}]}
        assert (await rpc.refused(method, params))["code"] == Code.UNAUTHORIZED
    made = await Rpc(api.admin).call("tasks.create", {"name": "give", "user_id": "ben"})
    assert made["user_id"] == "ben"
    error = await rpc.refused("tasks.create", {"name": "give", "parent_id": made["id"]})
    assert error["code"] == Code.INVALID_PARENT
