"""Single tasks over HTTP: as they stand, as they stood, and why they do not run."""

from typing import Any

import httpx
import pytest

from tests.support.places import until
from tests.support.servers import Api, Work, chain, tree

WAIT = {"Prefer": "wait=10"}


async def submit(api: Api, body: Any, **headers: str) -> dict[str, str]:
    """The ids of its tasks by key; ``tree`` is the tree's."""
    answer = await api.admin.post("/v1/trees", json=body, headers=headers)
    assert answer.status_code in (200, 202), answer.text
    id = answer.json()["id"]
    page = await api.admin.get(f"/v1/trees/{id}/tasks")
    return {task["key"]: task["id"] for task in page.json()["items"]} | {"tree": id}


async def task(api: Api, id: str, **query: Any) -> Any:
    answer = await api.admin.get(f"/v1/tasks/{id}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def why(api: Api, id: str) -> dict[str, Any]:
    answer = await api.admin.get(f"/v1/tasks/{id}/why")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_task_is_read_with_what_it_was_given_and_what_it_gave(each_api: Api) -> None:
    body = tree({"key": "a", "name": "give", "inputs": {"value": [1]}, "priority": 1})
    ids = await submit(each_api, body, **WAIT)
    found = await task(each_api, ids["a"])
    assert found["tree_id"] == ids["tree"]
    assert (found["status"], found["result"], found["inputs"]) == ("completed", [1], {"value": [1]})
    assert (found["priority"], found["attempt"], found["error"]) == (1, 1, None)
    (attempt,) = found["attempts"]
    assert (attempt["attempt"], attempt["outcome"]) == (1, "completed")


async def test_every_attempt_of_a_retried_task_is_told(api: Api, work: Work) -> None:
    work.break_next(2)
    retry = {"max_attempts": 3, "initial_delay": 0.01}
    ids = await submit(api, tree({"key": "a", "name": "flaky", "retry": retry}), **WAIT)
    found = await task(api, ids["a"])
    assert found["status"] == "completed"
    assert [one["outcome"] for one in found["attempts"]] == ["failed", "failed", "completed"]


async def test_a_task_is_never_older_than_its_etag(
    api: Api, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await submit(api, tree({"key": "a", "name": "gated"}))
    await until(lambda: work.calls)
    look, read_tree = api.store.look, api.store.tree

    async def looking(function: Any, *arguments: Any) -> Any:
        if function == read_tree:
            work.open_gate()
            await until(lambda: read_tree(ids["tree"]).completed_at is not None)
        return await look(function, *arguments)

    monkeypatch.setattr(api.store, "look", looking)
    answer = await api.admin.get(f"/v1/tasks/{ids['a']}")
    assert answer.headers["etag"] == f'"{read_tree(ids["tree"]).version}"'
    assert answer.json()["status"] == "completed"


async def test_a_task_is_read_as_it_stood(each_api: Api) -> None:
    ids = await submit(each_api, chain(2), **WAIT)
    last = (await each_api.admin.get(f"/v1/trees/{ids['tree']}")).json()
    seen: list[str] = []
    for version in range(1, last["version"] + 1):
        then = await task(each_api, ids["t1"], at_version=version)
        if not seen or seen[-1] != then["status"]:
            seen.append(then["status"])
        assert len(then["attempts"]) == (then["status"] != "pending")
    assert seen == ["pending", "in_progress", "completed"]
    assert await task(each_api, ids["t1"], at=last["completed_at"]) == await task(
        each_api, ids["t1"]
    )


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"at_version": 10_000}, 422),
        ({"at_version": 0}, 422),
        ({"at": "x"}, 422),
        ({"at": "2000-01-01T00:00:00Z"}, 404),
        ({"at_version": 1, "at": "2999-01-01T00:00:00Z"}, 422),
    ],
    ids=str,
)
async def test_a_tasks_past_that_never_was_is_refused(
    api: Api, query: dict[str, Any], status: int
) -> None:
    ids = await submit(api, tree("a"), **WAIT)
    answer = await api.admin.get(f"/v1/tasks/{ids['a']}", params=query)
    assert answer.status_code == status


async def test_the_etag_of_a_task_is_the_version_of_its_tree(each_api: Api) -> None:
    ids = await submit(each_api, tree("a"), **WAIT)
    path = f"/v1/tasks/{ids['a']}"
    first = await each_api.admin.get(path)
    whole = await each_api.admin.get(f"/v1/trees/{ids['tree']}")
    assert first.headers["etag"] == whole.headers["etag"]
    same = await each_api.admin.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    past = await each_api.admin.get(
        path, params={"at_version": 1}, headers={"If-None-Match": '"1"'}
    )
    assert past.status_code == 304


async def test_a_task_that_waits_says_for_what(each_api: Api, work: Work) -> None:
    body = tree(
        {"key": "held", "name": "gated"},
        {"key": "next", "name": "give", "dependencies": ["held"]},
        {"key": "asks", "name": "signal", "inputs": {"name": "go"}},
        {"key": "sleeps", "name": "wait", "inputs": {"seconds": 3600}},
    )
    ids = await submit(each_api, body)
    await until(lambda: work.calls)
    held = await why(each_api, ids["held"])
    assert (held["reason"], held["key"], held["status"]) == ("running", "held", "in_progress")
    following = await why(each_api, ids["next"])
    assert (following["reason"], following["on"]) == ("dependency", "held")
    assert (await why(each_api, ids["asks"]))["signal"] == "go"
    sleeping = await why(each_api, ids["sleeps"])
    assert (sleeping["reason"], sleeping["until"] > sleeping.get("at", "")) == ("timer", True)
    page = (await each_api.admin.get(f"/v1/trees/{ids['tree']}/why")).json()
    assert {item["key"] for item in page["items"]} == {"root", "held", "next", "asks", "sleeps"}
    work.open_gate()
    await each_api.admin.post(f"/v1/trees/{ids['tree']}/cancel")
    await each_api.store.settled(ids["tree"])
    assert (await why(each_api, ids["next"]))["reason"] in ("completed", "cancelled")
    page = (await each_api.admin.get(f"/v1/trees/{ids['tree']}/why")).json()
    assert page["items"] == []


async def test_a_task_of_a_draft_says_that_it_is_one(api: Api) -> None:
    ids = await submit(api, {"tasks": tree("a"), "start": False})
    assert (await why(api, ids["a"]))["reason"] == "draft"


async def test_a_paused_tree_is_the_reason(api: Api, work: Work) -> None:
    ids = await submit(api, {"tasks": tree("a"), "start": False})
    await submit(api, tree("b"))
    body = tree({"key": "a", "name": "gated"}, {"key": "b", "name": "give", "dependencies": ["a"]})
    ids = await submit(api, body)
    await until(lambda: work.calls.count("gated"))
    await api.admin.post(f"/v1/trees/{ids['tree']}/pause")
    work.open_gate()
    await until(lambda: api.store.reads.task(ids["a"]).status == "completed")  # type: ignore[union-attr]
    assert (await why(api, ids["b"]))["reason"] == "paused"
    await api.admin.post(f"/v1/trees/{ids['tree']}/unpause")
    await api.store.settled(ids["tree"])


@pytest.mark.parametrize("path", ["/v1/tasks/{}", "/v1/tasks/{}/why"])
async def test_a_task_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    answer: httpx.Response = await api.admin.get(path.format("nowhere"))
    assert (answer.status_code, answer.json()["type"]) == (404, "/docs/problems/not-found")


@pytest.mark.parametrize("id", ["a%20b", "x" * 129, "a%00b", "%F0%9F%98%80", "a%2Fb%2Fc%2Fd"])
async def test_what_cannot_be_an_id_is_refused(api: Api, id: str) -> None:
    for path in ("/v1/tasks", "/v1/trees", "/v1/commands"):
        answer = await api.admin.get(f"{path}/{id}")
        assert answer.status_code in (404, 422)
        assert answer.headers["content-type"] == "application/problem+json"
