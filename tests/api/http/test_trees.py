"""Trees over HTTP: submitted in every form, refused with all faults, listed, read as they stood."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from aipartnerupflow.api.http import paging
from tests.support.places import until
from tests.support.servers import Api, Work, application, chain, tree

NESTED = {
    "name": "root",
    "key": "root",
    "children": [{"name": "give", "key": "a"}, {"name": "give", "key": "b", "dependencies": ["a"]}],
}
WAIT = {"Prefer": "wait=10"}


async def made(client: httpx.AsyncClient, body: Any = None, **headers: str) -> dict[str, Any]:
    answer = await client.post("/v1/trees", json=body or tree("a"), headers=headers)
    assert answer.status_code in (200, 202), answer.text
    document: dict[str, Any] = answer.json()
    return document


async def settled(client: httpx.AsyncClient, body: Any = None) -> dict[str, Any]:
    return await made(client, body, **WAIT)


async def read(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def ids(client: httpx.AsyncClient, **query: Any) -> list[str]:
    return [item["id"] for item in (await read(client, "/v1/trees", **query))["items"]]


# -- submitting


@pytest.mark.parametrize(
    "body",
    [
        tree("a", {"key": "b", "name": "give", "dependencies": ["a"]}),
        NESTED,
        {"tasks": tree("a", "b")},
        {"tasks": [NESTED], "name": "root", "limit": 1},
        {"tasks": [NESTED], "start": True},
        {"tasks": NESTED},
    ],
    ids=[
        "array",
        "nested",
        "object with an array",
        "object with a nested tree",
        "start",
        "object with one task",
    ],
)
async def test_a_tree_is_taken_in_every_form(each_api: Api, body: Any) -> None:
    answer = await each_api.admin.post("/v1/trees", json=body)
    told = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/trees/{told['id']}"
    assert answer.headers["etag"] == f'"{told["version"]}"'
    assert (told["name"], told["draft"], told["user_id"]) == ("root", False, "local")
    assert set(told["tasks"]) == {"root", "a", "b"}
    await each_api.store.settled(told["id"])
    found = await read(each_api.admin, answer.headers["location"])
    assert (found["status"], found["name"], found["user_id"]) == ("completed", "root", "local")


async def test_a_tree_has_its_owner_from_the_token(api: Api) -> None:
    ann = api.user("ann", "submit")
    told = await made(ann)
    assert told["user_id"] == "ann"
    tasks = await read(ann, f"/v1/trees/{told['id']}/tasks")
    assert {task["user_id"] for task in tasks["items"]} == {"ann"}


async def test_a_draft_waits_until_it_is_started(each_api: Api) -> None:
    told = await made(each_api.admin, {"tasks": tree("a"), "start": False})
    assert told["draft"] is True
    place = f"/v1/trees/{told['id']}"
    assert (await read(each_api.admin, place))["draft"] is True
    started = await each_api.admin.post(f"{place}/start")
    assert started.status_code == 202
    assert started.json()["version"] > told["version"]
    await each_api.store.settled(told["id"])
    assert (await read(each_api.admin, place))["status"] == "completed"
    again = await each_api.admin.post(f"{place}/start")
    assert again.status_code == 202


async def test_a_draft_may_name_an_executor_that_is_not_there_until_it_is_started(
    api: Api,
) -> None:
    body = {"tasks": tree({"key": "a", "name": "nobody"}), "start": False}
    told = await made(api.admin, body)
    answer = await api.admin.post(f"/v1/trees/{told['id']}/start")
    assert answer.status_code == 422
    assert [fault["key"] for fault in answer.json()["errors"]] == ["a"]


async def test_prefer_wait_answers_with_the_settled_tree(each_api: Api) -> None:
    answer = await each_api.admin.post("/v1/trees", json=tree("a"), headers=WAIT)
    told = answer.json()
    assert (answer.status_code, told["status"], told["draft"]) == (200, "completed", False)
    assert answer.headers["etag"] == f'"{told["version"]}"'


async def test_prefer_wait_answers_with_the_tree_as_it_stands_when_the_time_is_up(
    api: Api, work: Work
) -> None:
    body = tree({"key": "a", "name": "gated"})
    answer = await api.admin.post("/v1/trees", json=body, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")
    work.open_gate()


async def test_prefer_wait_on_a_read_waits_for_the_end(api: Api, work: Work) -> None:
    told = await made(api.admin, tree({"key": "a", "name": "gated"}))
    asked = asyncio.create_task(api.admin.get(f"/v1/trees/{told['id']}", headers=WAIT))
    await asyncio.sleep(0.05)
    assert not asked.done()
    work.open_gate()
    assert (await asked).json()["status"] == "completed"


async def test_a_draft_is_not_waited_for(api: Api) -> None:
    body = {"tasks": tree("a"), "start": False}
    answer = await api.admin.post("/v1/trees", json=body, headers=WAIT)
    assert (answer.status_code, answer.json()["draft"]) == (202, True)


async def test_who_waits_is_answered_when_the_server_stops(api: Api, work: Work) -> None:
    asked = asyncio.create_task(
        api.admin.post("/v1/trees", json=tree({"key": "a", "name": "gated"}), headers=WAIT)
    )
    await until(lambda: work.calls)
    api.server.stop()
    answer = await asked
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")
    work.open_gate()


FAULTY = tree(
    {"key": "a", "name": "nobody"},
    {"key": "b", "name": "give", "dependencies": ["c"]},
    {"key": "c", "name": "give", "dependencies": ["b"]},
    {"key": "d", "name": "give", "dependencies": ["nowhere"]},
    {"key": "e", "name": "give", "priority": 9},
)


async def test_all_faults_are_told_at_once_and_nothing_is_stored(each_api: Api) -> None:
    before = each_api.store.journal.position()
    answer = await each_api.admin.post("/v1/trees", json=FAULTY)
    told = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["type"] == "/docs/problems/invalid-graph"
    keys = " ".join(fault.get("key", "") + fault["detail"] for fault in told["errors"])
    assert len(told["errors"]) >= 4
    assert all(key in keys for key in "abde")
    assert each_api.store.journal.position() == before


@pytest.mark.parametrize(
    "body",
    [
        b"", b"   ", b"{", b"[", b"null", b"1", b'"text"', b"[1]", b"[[]]", b"[null]", b"{}", b"[]",
        b'{"tasks": []}', b'{"tasks": {}}', b'{"tasks": null}', b'{"name": "x"}', b"\xff\xfe",
        b'{"tasks": [{"name": "give"}], "unknown": 1}', b'[{"name": "give", "unknown": 1}]',
        b'{"tasks": [{"name": "give"}], "limit": 0}',
        b'{"tasks": [{"name": "give"}], "limit": 1.5}', b'[{"name": "give"}, {"name": "give"}]',
        b'{"tasks": [{"name": "give"}], "start": "yes"}', b'[{"name": "give", "inputs": 1}]',
        b'{"tasks": [{"name": "give"}], "name": 1}', b'[{"name": ""}]',
        b'[{"name": "give", "inputs": NaN}]', b'[{"name":"give"}] x', b'[{"name": "\\ud800"}]',
        b'[{"name": "give", "name": "give", "inputs": {"a": 1e999}}]',
        b'{"name": "give", "children": [1]}', b'{"name": "give", "children": {}}',
        b'[{"name": "give\\u0000"}]',
    ],
)  # fmt: skip
async def test_what_is_no_tree_is_refused_with_a_reason(api: Api, body: bytes) -> None:
    before = api.store.journal.position()
    headers = {"Content-Type": "application/json"}
    answer = await api.admin.post("/v1/trees", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]
    assert api.store.journal.position() == before


@pytest.mark.parametrize("form", ["%b", '{"tasks":%b}'])
async def test_an_array_with_too_many_items_is_refused_before_it_is_read(
    api: Api, form: str
) -> None:
    body = form.replace("%b", "[" + "{}," * 100_001 + "{}]")
    answer = await api.admin.post("/v1/trees", content=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json()["errors"]] == ["too_many_tasks"]


async def test_another_users_id_in_a_body_is_refused_unless_an_admin_sends_it(api: Api) -> None:
    body = [{"name": "give", "user_id": "bob"}]
    ann = await api.user("ann", "operate").post("/v1/trees", json=body)
    assert ann.status_code == 422
    assert [fault["code"] for fault in ann.json()["errors"]] == ["other_owner"]
    told = await made(api.admin, body)
    assert told["user_id"] == "bob"
    own = await api.user("ann", "operate").post(
        "/v1/trees", json=[{"name": "give", "user_id": "ann"}]
    )
    assert own.status_code == 202


async def test_ids_of_others_are_replaced_and_ones_own_are_a_conflict(api: Api) -> None:
    body = [{"id": "mine", "name": "give"}]
    ann, bob = api.user("ann"), api.user("bob")
    first = await made(ann, body)
    assert first["tasks"] == {"mine": "mine"}
    again = await ann.post("/v1/trees", json=body)
    assert (again.status_code, again.json()["type"]) == (409, "/docs/problems/id-taken")
    other = await made(bob, body)
    assert other["tasks"]["mine"] != "mine"


# -- idempotency keys; with many at once and kills in `test_idempotency`


async def test_the_same_key_and_body_have_the_same_answer(each_api: Api) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = await each_api.admin.post("/v1/trees", json=tree("a"), headers=headers)
    await each_api.store.settled(first.json()["id"])
    again = await each_api.admin.post("/v1/trees", json=tree("a"), headers=headers)
    assert again.status_code == first.status_code == 202
    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert len(await ids(each_api.admin)) >= 1


async def test_the_same_key_with_another_body_is_refused(each_api: Api) -> None:
    headers = {"Idempotency-Key": "k2"}
    await made(each_api.admin, tree("a"), **headers)
    answer = await each_api.admin.post("/v1/trees", json=tree("b"), headers=headers)
    assert answer.status_code == 422
    assert "body" in answer.json()["detail"]


async def test_a_key_is_its_owners_own(api: Api) -> None:
    headers = {"Idempotency-Key": "k3"}
    ann = await made(api.user("ann"), tree("a"), **headers)
    bob = await made(api.user("bob"), tree("b"), **headers)
    assert ann["id"] != bob["id"]


async def test_a_key_of_a_refused_body_may_be_used_again(api: Api) -> None:
    headers = {"Idempotency-Key": "k4"}
    refused = await api.admin.post("/v1/trees", json=FAULTY, headers=headers)
    assert refused.status_code == 422
    assert (await made(api.admin, tree("a"), **headers))["draft"] is False


async def test_a_draft_with_a_key_has_the_same_answer_after_it_was_started(api: Api) -> None:
    headers = {"Idempotency-Key": "k5"}
    body = {"tasks": tree("a"), "start": False}
    first = await made(api.admin, body, **headers)
    await api.admin.post(f"/v1/trees/{first['id']}/start")
    await api.store.settled(first["id"])
    again = await made(api.admin, body, **headers)
    assert again["id"] == first["id"]


async def test_one_in_flight_is_waited_for_and_then_told_of(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aipartnerupflow.api.http.idempotency.PATIENCE", 0.05)
    first = await made(api.admin, tree("a"), **{"Idempotency-Key": "k6"})
    key = next(
        view.request for view in api.store.reads.trees() if view.id == first["id"]
    )  # as if another request with it were on its way
    assert key is not None
    api.server.in_flight[key] = asyncio.get_running_loop().create_future()
    answer = await api.admin.post("/v1/trees", json=tree("a"), headers={"Idempotency-Key": "k6"})
    assert answer.status_code == 409
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_has_1_to_255_characters(api: Api, key: str) -> None:
    answer = await api.admin.post("/v1/trees", json=tree("a"), headers={"Idempotency-Key": key})
    assert answer.status_code == 422


# -- reading


async def test_an_etag_is_the_version_and_saves_the_second_reading(each_api: Api) -> None:
    told = await settled(each_api.admin)
    for path in (f"/v1/trees/{told['id']}", f"/v1/trees/{told['id']}/tasks"):
        first = await each_api.admin.get(path)
        assert first.headers["etag"] == f'"{told["version"]}"'
        tag = first.headers["etag"]
        for tags in (tag, "*", f'"0", {tag}', f"W/{tag}"):
            same = await each_api.admin.get(path, headers={"If-None-Match": tags})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == tag
        other = await each_api.admin.get(path, headers={"If-None-Match": '"1"'})
        assert other.status_code == 200


async def test_a_tree_is_read_as_it_stood_at_each_of_its_versions(each_api: Api) -> None:
    told = await settled(each_api.admin, chain(2))
    place = f"/v1/trees/{told['id']}"
    for version in range(1, told["version"] + 1):
        then = await each_api.admin.get(place, params={"at_version": version})
        assert then.headers["etag"] == f'"{version}"'
        assert then.json()["version"] == version
        tasks = (await read(each_api.admin, f"{place}/tasks", at_version=version))["items"]
        assert len(tasks) == 3
    assert (await read(each_api.admin, place, at_version=1))["draft"] is True
    assert (await read(each_api.admin, place, at_version=told["version"])) == told


async def test_a_tree_is_read_as_it_stood_at_a_time(each_api: Api) -> None:
    told = await settled(each_api.admin)
    place = f"/v1/trees/{told['id']}"
    assert (await read(each_api.admin, place, at=told["completed_at"])) == told
    first = await read(each_api.admin, place, at=told["created_at"])
    assert first["version"] < told["version"]
    later = await read(each_api.admin, place, at="2999-01-01T01:00:00+01:00")
    assert later == told


@pytest.mark.parametrize("rest", ["", "/tasks", "/events"])
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"at_version": 0}, 422),
        ({"at_version": -1}, 422),
        ({"at_version": "x"}, 422),
        ({"at_version": 10**20}, 422),
        ({"at_version": 10_000}, 422),
        ({"at": "yesterday"}, 422),
        ({"at": "2026-01-01T00:00:00"}, 422),
        ({"at": "2026-13-01T00:00:00Z"}, 422),
        ({"at": "0001-01-01T00:00:00+14:00"}, 422),
        ({"at": "9999-12-31T23:59:59-14:00"}, 422),
        ({"at": "2000-01-01T00:00:00Z"}, 404),
        ({"at": "2999-01-01T00:00:00Z", "at_version": 1}, 422),
    ],
    ids=str,
)
async def test_a_past_that_never_was_is_refused(
    api: Api, rest: str, query: dict[str, Any], status: int
) -> None:
    told = await settled(api.admin)
    answer = await api.admin.get(f"/v1/trees/{told['id']}{rest}", params=query)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_tasks_come_in_pages_with_results_and_errors(each_api: Api) -> None:
    body = tree(
        {"key": "a", "name": "give", "inputs": {"value": {"x": [1, None, "ä"]}}},
        {"key": "b", "name": "broken"},
        "c",
    )
    told = await settled(each_api.admin, body)
    path: str | None = f"/v1/trees/{told['id']}/tasks?limit=2"
    found: list[dict[str, Any]] = []
    while path is not None:
        answer = await each_api.admin.get(path)
        found += answer.json()["items"]
        link = answer.links.get("next")
        assert (link is None) == (answer.json()["next"] is None)
        path = None if link is None else link["url"]
    by_key = {task["key"]: task for task in found}
    assert [task["key"] for task in found] == ["root", "a", "b", "c"]
    assert by_key["a"]["result"] == {"x": [1, None, "ä"]}
    assert by_key["b"]["error"]["type"] == "ValueError"
    failed = await read(each_api.admin, f"/v1/trees/{told['id']}/tasks", status="failed")
    assert "b" in [task["key"] for task in failed["items"]]


async def test_a_page_of_tasks_reads_no_more_than_it_gives(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await settled(api.admin, tree(*"abcdef"))
    reads, read_tasks = api.store.reads, api.store.reads.tasks
    counts: list[int] = []

    def counted(*args: Any, **more: Any) -> Any:
        found = read_tasks(*args, **more)
        counts.append(len(found))
        return found

    monkeypatch.setattr(reads, "tasks", counted)
    page = await read(api.admin, f"/v1/trees/{told['id']}/tasks", limit=2, after=1)
    assert [task["key"] for task in page["items"]] == ["b", "c"]
    assert counts == [3]


@pytest.mark.parametrize("path", ["", "/tasks", "/events", "/why", "/stream"])
async def test_a_tree_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    answer = await api.admin.get(f"/v1/trees/nowhere{path}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/docs/problems/not-found"


# -- listing


async def test_trees_are_listed_newest_first_in_pages_that_lead_on(each_api: Api) -> None:
    kim = each_api.user("kim")
    made_ids = [(await made(kim, [{"name": "give"}]))["id"] for _ in range(7)]
    found: list[str] = []
    path: str | None = "/v1/trees?limit=3"
    while path is not None:
        answer = await kim.get(path)
        page = answer.json()
        found += [item["id"] for item in page["items"]]
        link = answer.links.get("next")
        assert (link is None) == (page["next"] is None)
        path = None if link is None else link["url"]
        if path is not None:
            assert "limit=3" in path
    assert found == made_ids[::-1]


async def test_a_page_is_the_same_while_new_trees_come(api: Api) -> None:
    for _ in range(4):
        await made(api.admin, [{"name": "give"}])
    first = await read(api.admin, "/v1/trees", limit=2)
    before = await ids(api.admin, limit=2, after=first["next"])
    await made(api.admin)
    assert await ids(api.admin, limit=2, after=first["next"]) == before


async def test_trees_are_filtered(each_api: Api, work: Work) -> None:
    lee = each_api.user("lee")
    names = ("done", "failed", "running", "draft")
    done = (await settled(lee, {"name": "alpha one", "tasks": tree("a")}))["id"]
    failed = (await settled(lee, {"name": "beta", "tasks": tree({"name": "broken"})}))["id"]
    running = (await made(lee, {"name": "alpha two", "tasks": [{"name": "gated"}]}))["id"]
    draft = (await made(lee, {"tasks": tree("a"), "start": False}))["id"]
    await until(lambda: work.calls.count("gated"))

    async def expect(wanted: Sequence[str], **query: Any) -> None:
        found = await ids(lee, **query)
        told = dict(zip((done, failed, running, draft), names, strict=True))
        assert [told[id] for id in found] == list(wanted), query

    await expect(["draft", "running", "failed", "done"])
    await expect(["done"], status="completed")
    await expect(["failed"], status="failed")
    await expect(["running"], status="in_progress")
    await expect([], status="cancelled")
    await expect(["running", "done"], name="alpha")
    await expect([], name="alp%")
    await expect(["failed"], executor="broken")
    await expect(["running"], executor="gated")
    await expect([], executor="nothing")
    await expect(["failed"], error="ValueError")
    await expect([], error="KeyError")
    await expect(["draft"], draft=True)
    await expect(["draft", "running", "failed", "done"], user="lee")
    await expect([], user="local")
    view = await read(lee, f"/v1/trees/{running}")
    await expect(["draft", "running"], since=view["created_at"])
    await expect(["failed", "done"], until=view["created_at"])
    await expect(["failed"], until=view["created_at"], status="failed", error="ValueError")
    work.open_gate()


async def test_an_admin_lists_all_trees_or_those_of_a_user(api: Api) -> None:
    ann = (await made(api.user("ann")))["id"]
    bob = (await made(api.user("bob")))["id"]
    assert await ids(api.admin) == [bob, ann]
    assert await ids(api.admin, user="ann") == [ann]
    assert await ids(api.user("ann")) == [ann]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "unknown"}, {"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"after": "x"},
        {"after": "-1"}, {"after": "9" * 19}, {"since": "x"}, {"until": "2026-01-01"},
        {"name": "x" * 256}, {"draft": "perhaps"}, {"after": "٣"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_filter_that_does_not_fit_is_refused(api: Api, query: dict[str, Any]) -> None:
    answer = await api.admin.get("/v1/trees", params=query)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_zero_in_a_filter_finds_nothing(each_api: Api) -> None:
    for field in ("name", "user", "executor", "error"):
        answer = await each_api.admin.get("/v1/trees", params={field: "\x00"})
        assert answer.status_code in (200, 422), (field, answer.text)
        assert json.loads(answer.content).get("items", []) == []


async def test_what_has_no_root_is_refused_alike_with_an_engine_and_without(
    api: Api, place: Path
) -> None:
    circle = [{"id": "a", "name": "give", "parent_id": "b"},
              {"id": "b", "name": "give", "parent_id": "a"}]  # fmt: skip
    async with application(f"memory://{uuid4().hex}", place, engine=False) as bare:
        bodies: list[Any] = [[], circle, {"tasks": []}, {"tasks": [], "start": False}]
        for body in bodies:
            told = [await each.admin.post("/v1/trees", json=body) for each in (api, bare)]
            assert [answer.status_code for answer in told] == [422, 422]
            assert told[0].json()["errors"] == told[1].json()["errors"] != []


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ({"nmae": "x"}, "Did you mean 'name'?"),
        ({"colour": "x"}, "There are tasks, name, limit, start, demo, webhooks."),
        ({"n" * 1_000: 1}, "There are tasks, name, limit, start, demo, webhooks."),
    ],
)
async def test_a_misspelled_field_beside_the_tasks_is_told_with_what_there_is(
    api: Api, beside: dict[str, Any], told: str
) -> None:
    answer = await api.admin.post("/v1/trees", json={"tasks": tree("a"), **beside})
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert len(answer.text) < 1_000


@pytest.mark.parametrize("name", ["n" * 256, "a\0b"])
async def test_a_tree_has_a_name_like_those_of_its_tasks(api: Api, name: str) -> None:
    answer = await api.admin.post("/v1/trees", json={"tasks": tree("a"), "name": name})
    assert answer.status_code == 422
    assert len(answer.text) < 1_000
    assert (await made(api.admin, {"tasks": tree("a"), "name": "ü" * 255}))["name"] == "ü" * 255


@pytest.mark.parametrize("user", ["u" * 256, "a\0b"])
async def test_an_owner_has_a_name_of_that_kind_too(api: Api, user: str) -> None:
    answer = await api.admin.post("/v1/trees", json=[{"name": "give", "user_id": user}])
    assert answer.status_code == 422
    assert len(answer.text) < 1_000


@pytest.mark.parametrize("start", [True, False])
async def test_an_id_that_comes_several_times_at_once_makes_one_tree(
    each_api: Api, start: bool
) -> None:
    id = uuid4().hex
    body = {"tasks": [{"id": id, "name": "give"}], "start": start}
    answers = await asyncio.gather(*(each_api.admin.post("/v1/trees", json=body) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    assert answers[[answer.status_code for answer in answers].index(202)].json()["id"] == id


@pytest.mark.parametrize("past", [False, True])
async def test_a_page_of_tasks_ends_when_it_is_large(
    api: Api, monkeypatch: pytest.MonkeyPatch, past: bool
) -> None:
    monkeypatch.setattr(paging, "MAX_PAGE", 100_000)
    large = [{"key": f"k{n}", "name": "give", "inputs": {"x": "y" * 40_000}} for n in range(7)]
    large[3]["inputs"] = {"x": "y" * 200_000}
    told = await settled(api.admin, tree(*large))
    query = {"at_version": told["version"]} if past else {}
    pages: list[list[str]] = []
    after: dict[str, str] = {}
    while True:
        page = await read(api.admin, f"/v1/trees/{told['id']}/tasks", limit=50, **query, **after)
        pages.append([item["key"] for item in page["items"]])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert [key for keys in pages for key in keys] == ["root", *(f"k{n}" for n in range(7))]
    assert max(map(len, pages)) == 3
    assert ["k3"] in pages


async def test_a_page_of_tasks_is_read_a_few_at_a_time(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await settled(api.admin, tree(*(f"k{n}" for n in range(40))))
    tasks, asked = api.store.reads.tasks, list[int]()

    def counting(tree: str, **more: Any) -> Any:
        asked.append(more["limit"])
        return tasks(tree, **more)

    monkeypatch.setattr(api.store.reads, "tasks", counting)
    page = await read(api.admin, f"/v1/trees/{told['id']}/tasks", limit=1000)
    assert (len(page["items"]), page["next"]) == (41, None)
    assert max(asked) == paging.MAX_STEP


@pytest.mark.parametrize(
    "other", ["until=true", "status=completed", "draft=true", "after=3", "name=a", "user=ann"]
)
async def test_a_beginning_of_an_id_is_looked_up_by_itself(api: Api, other: str) -> None:
    answer = await api.admin.get(f"/v1/trees?id_prefix=a&{other}")
    assert answer.status_code == 422
    assert "by itself" in answer.json()["detail"]
    assert (await api.admin.get("/v1/trees?id_prefix=a&limit=3")).status_code == 200
