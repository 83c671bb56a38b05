"""The same on every kind of store."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from aipartnerupflow.api.rpc.errors import Code
from tests.api.rpc.conftest import Rpc
from tests.support.servers import Work, application, tree


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, place: Path) -> str:
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    if request.param == "sqlite":
        return f"sqlite:///{place}/each.db"
    dsn: str = request.getfixturevalue("postgres_dsn")
    return dsn


@pytest.fixture
async def each(url: str, place: Path) -> AsyncIterator[Rpc]:
    async with application(url, place) as api:
        yield Rpc(api.user(uuid4().hex))


async def test_a_tree_from_its_draft_to_its_copy(each: Rpc) -> None:
    made = await each.call("tasks.create", tree("a", {"key": "b", "name": "broken"}))
    root = made[0]["id"]
    below = await each.call("tasks.create", {"name": "give", "parent_id": made[1]["id"]})
    await each.call("tasks.update", {"task_id": below["id"], "inputs": {"value": 3}})
    done = await each.call("tasks.execute", {"task_id": root}, prefer="wait=20")
    assert done["status"] == "failed"
    tasks = await each.tasks(root)
    assert [task["has_children"] for task in tasks.values()] == [True, True, False, False]
    assert await each.call("tasks.get", {"task_id": root}) == tasks["root"]
    assert await each.call("tasks.list") == {
        "tasks": [tasks["root"]], "total": 1, "limit": 100, "offset": 0,
    }  # fmt: skip
    counts = await each.call("tasks.count")
    assert (counts["completed"], counts["failed"], counts["total"]) == (2, 2, 4)
    copied = await each.call("tasks.copy", {"task_id": root})
    found = await each.tasks(copied["task"]["id"])
    assert {key: task["original_task_id"] for key, task in found.items()} == {
        key: task["id"] for key, task in tasks.items()
    }
    assert (await each.call("tasks.delete", {"id": copied["task"]["id"]}))["deleted_count"] == 4
    assert (await each.call("tasks.count"))["total"] == 4


async def test_what_was_emptied_does_no_harm(each: Rpc) -> None:
    made = await each.call("tasks.create", {"name": "give"})
    path = f"/v1/trees/{made['id']}"
    await each.call("tasks.delete", {"task_id": made["id"]})
    assert (await each.client.get(path)).json()["status"] == "pending"
    assert (await each.client.get(f"{path}/tasks")).json()["items"] == []
    assert (await each.client.post(f"{path}/start", json={})).status_code == 422
    again = await each.call("tasks.create", {"name": "give", "id": made["id"]})
    assert again["id"] != made["id"]


async def test_what_runs_is_told(each: Rpc, work: Work) -> None:
    begun = await each.call("tasks.execute", {"tasks": [{"name": "gated"}]})
    assert (await each.call("tasks.running.count"))["count"] == 1
    assert [one["id"] for one in await each.call("tasks.running.list")] == [begun["task_id"]]
    told = await each.call("tasks.cancel", {"task_ids": [begun["task_id"]]}, prefer="wait=20")
    assert told[0]["status"] == "cancelled"
    assert (await each.call("tasks.running.count"))["count"] == 0


@pytest.mark.parametrize("word", ["\0", "a\0b", "ü", "'", "x" * 300])
async def test_strange_words_find_nothing(each: Rpc, word: str) -> None:
    assert (await each.refused("tasks.get", {"task_id": word}))["code"] == Code.NOT_FOUND
    told = await each.call("tasks.running.status", {"task_ids": [word]})
    assert [one["status"] for one in told] == ["not_found"]
