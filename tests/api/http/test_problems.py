"""Whatever goes wrong is told by a problem document, which repeats nothing that was given."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.servers import Api, Work, application, tree

PROBLEM = "application/problem+json"


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The document, checked for what each of them holds."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    told: dict[str, Any] = answer.json()
    assert told["status"] == status
    assert told["type"].startswith("/docs/problems/")
    assert told["title"]
    assert told["detail"]
    assert len(told["trace_id"]) == 32
    return told


async def test_every_kind_of_refusal_is_a_problem_document_with_a_page(api: Api) -> None:
    big = b'{"reason": "' + b"x" * (1 << 20) + b'"}'
    json_ = {"Content-Type": "application/json"}
    packed = {"Content-Encoding": "br"}
    asked = [
        (401, api.nobody.get("/v1/trees")),
        (403, api.user("ann", "read").post("/v1/trees", json=tree("a"))),
        (404, api.admin.get("/nowhere")),
        (404, api.admin.get("/v1/trees/nowhere")),
        (404, api.nobody.get("/docs/problems/nothing")),
        (405, api.admin.delete("/v1/trees")),
        (405, api.admin.put("/livez")),
        (409, api.admin.post("/v1/trees/draft/pause")),
        (412, api.admin.post("/v1/trees/draft/start", headers={"If-Match": '"9"'})),
        (413, api.admin.post("/v1/trees/draft/cancel", content=big, headers=json_)),
        (415, api.admin.post("/v1/trees", content=b"a=b", headers={"Content-Type": "text/plain"})),
        (415, api.admin.post("/v1/trees", content=b"x", headers=json_ | packed)),
        (421, api.admin.get("/livez", headers={"Host": "example.org"})),
        (403, api.admin.post("/v1/trees", json=[], headers={"Origin": "http://example.org"})),
        (422, api.admin.post("/v1/trees", content=b"{", headers=json_)),
        (422, api.admin.get("/v1/trees?limit=x")),
    ]  # fmt: skip
    await api.admin.post(
        "/v1/trees", json={"tasks": [{"id": "draft", "name": "give"}], "start": False}
    )
    for status, asking in asked:
        told = problem(await asking, status)
        page = await api.nobody.get(told["type"])
        assert page.status_code == 200, told["type"]
        assert told["title"] in page.text


async def test_a_method_that_is_not_there_names_those_that_are(api: Api) -> None:
    answer = await api.admin.delete("/v1/trees")
    problem(answer, 405)
    allowed = {method.strip() for method in answer.headers["allow"].split(",")}
    assert {"GET", "POST"} <= allowed


async def test_no_token_is_challenged(api: Api) -> None:
    answer = await api.nobody.get("/v1/trees")
    problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_defect_is_told_without_its_inside_and_logged_with_its_trace(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("canary-of-the-inside")

    monkeypatch.setattr("aipartnerupflow.api.http.system.inventory", broken)
    told = problem(await api.admin.get("/v1/executors"), 500)
    assert "canary" not in json.dumps(told)
    assert told["trace_id"] in caplog.text
    assert "canary-of-the-inside" in caplog.text


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", True),
        (f"00-{TRACE.upper()}-b7ad6b7169203331-01", False),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", False),
        ("00-xyz-b7ad6b7169203331-01", False),
        (TRACE, False),
    ],
)
async def test_the_trace_is_that_of_the_caller_where_it_is_one(
    api: Api, given_: str, kept: bool
) -> None:
    answer = await api.admin.get("/v1/trees/nowhere", headers={"traceparent": given_})
    trace = problem(answer, 404)["trace_id"]
    assert (trace == TRACE) is kept
    assert trace != "0" * 32


async def test_faults_of_parameters_point_at_them(api: Api) -> None:
    answer = await api.admin.get("/v1/trees?limit=0&status=odd&after=x")
    told = problem(answer, 422)
    assert {fault["pointer"] for fault in told["errors"]} == {
        "/query/limit", "/query/status", "/query/after",
    }  # fmt: skip
    assert all(fault["code"] and fault["detail"] for fault in told["errors"])


async def test_faults_of_a_tree_name_the_task_or_point_at_it(api: Api) -> None:
    body = [
        {"key": "root", "name": "root"},
        {"key": "a", "name": "give", "parent_id": "root", "dependencies": ["gone"]},
        {"key": "b", "name": "give", "parent_id": "root", "inputs": 7},
    ]
    told = problem(await api.admin.post("/v1/trees", json=body), 422)
    assert all(fault.get("key") or fault.get("pointer") for fault in told["errors"])
    assert {fault.get("key") for fault in told["errors"]} >= {"a", "b"}


# -- nothing is repeated

CANARY = "zq7canary7qz"
Places = st.sampled_from(
    [
        "inputs", "params", "schemas", "policy value", "unknown value", "name type", "payload",
        "reason", "mode", "query", "header", "token", "if-match", "last-event-id", "broken json",
        "key", "at", "content-type", "host", "origin", "limit", "schema pattern",
        "hook events", "hook url", "hook headers", "start",
    ]
)  # fmt: skip
Values = st.one_of(
    st.just(CANARY),
    st.lists(st.just(CANARY), min_size=1, max_size=3),
    st.dictionaries(st.just(CANARY), st.just(CANARY), min_size=1),
    st.integers(0, 9).map(lambda n: f"{n}{CANARY}\u0000\U0001f600"),
)


def task(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "give", **fields}]


async def ask(api: Api, place: str, value: Any) -> httpx.Response:
    """A request that is wrong in ``place``, where ``value`` stands."""
    if place.startswith("/"):
        return await api.admin.post(place, json=value)
    text = json.dumps(value)
    header = "".join(c for c in text if c.isascii() and c.isprintable())
    post, get = api.admin.post, api.admin.get
    bodies: dict[str, Any] = {
        "inputs": task(inputs=[value]),
        "params": task(params=[value]),
        "schemas": task(schemas={"input_schema": {"type": value}}),
        "policy value": task(retry={"max_attempts": value}),
        "unknown value": task(unknown=value),
        "name type": [{"name": [value]}],
        "limit": {"tasks": task(), "limit": [value]},
        "schema pattern": task(schemas={"input_schema": {"pattern": text}}),
        "hook events": {"tasks": task(), "webhooks": [{"url": "http://x/", "events": [text]}]},
        "hook url": {"tasks": task(), "webhooks": [{"url": text}]},
        "hook headers": {"tasks": task(), "webhooks": [{"url": "http://x/", "headers": [value]}]},
        "start": {"tasks": task(), "start": text},
    }
    if place in bodies:
        return await post("/v1/trees", json=bodies[place])
    commands: dict[str, tuple[str, Any]] = {
        "payload": ("signals", {"name": "go", "payload": value}),
        "reason": ("cancel", {"reason": [value]}),
        "mode": ("rerun", {"mode": text}),
    }
    if place in commands:
        path, body = commands[place]
        return await post(f"/v1/trees/asks/{path}", json=body)
    headers = {
        "header": {"Idempotency-Key": header * 40}, "token": {"Authorization": f"Bearer {header}"},
        "if-match": {"If-Match": header}, "content-type": {"Content-Type": header},
        "host": {"Host": f"{CANARY}.org"}, "origin": {"Origin": f"http://{CANARY}"},
        "last-event-id": {"Last-Event-ID": header},
    }  # fmt: skip
    if place == "last-event-id":
        return await get("/v1/trees/asks/stream", headers=headers[place])
    if place == "if-match":
        return await post("/v1/trees/asks/pause", headers=headers[place])
    if place in headers:
        return await post("/v1/trees", content=json.dumps(task()), headers=headers[place])
    if place == "broken json":
        body = json.dumps(task(inputs={"x": value}))[:-2].encode() + b", "
        return await post("/v1/trees", content=body)
    names = {"query": "limit", "at": "since", "key": "status"}
    return await get("/v1/trees", params={names[place]: text})


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=Places, value=Values)
def test_no_problem_repeats_what_was_given(canary_api: Any, place: str, value: Any) -> None:
    answer = canary_api(place, value)
    assert 400 <= answer.status_code < 500, (place, answer.text)
    problem(answer, answer.status_code)
    assert CANARY not in answer.text, place
    assert not [name for name, text in answer.headers.items() if CANARY in text]


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(field=st.sampled_from(["url", "method", "headers", "timeout", "max_retries"]), value=Values)
def test_no_webhook_config_is_repeated(canary_api: Any, field: str, value: Any) -> None:
    config = {"url": "http://x.example/", field: [value] if field == "headers" else value}
    params = {"tasks": task(), "webhook_config": config}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tasks.execute", "params": params}
    answer = canary_api("/tasks", call)
    assert CANARY not in answer.text
    assert answer.json()["error"]["data"], field


LONG = "zq" * 60_000
"""A name of which no message is to be full."""


def long_names() -> dict[str, tuple[str, Any]]:
    root = {"key": "root", "name": "root"}
    below = {"key": "b", "name": "give", "parent_id": "root"}
    twice = [root, below, below | {"key": LONG}, below | {"key": LONG}]
    return {
        "executor": ("/v1/trees", [{"name": "x", "params": {"executor_id": LONG}}]),
        "name": ("/v1/trees", [{"name": LONG}]),
        "name that is none": ("/v1/trees", [{"name": "n" * 150 + LONG[:100]}]),
        "key": ("/v1/trees", task(key=LONG, dependencies=["gone"])),
        "two keys": ("/v1/trees", twice),
        "parent": ("/v1/trees", [root, below | {"parent_id": LONG}]),
        "dependency": ("/v1/trees", [root, below | {"dependencies": [LONG]}]),
        "words of a dependency": (
            "/v1/trees", [root, below | {"dependencies": [{"id": "root", LONG: 1}]}]
        ),
        "reference": ("/v1/trees", task(inputs={"value": {"$from": LONG}})),
        "field": ("/v1/trees", task(**{LONG: 1})),
        "field of the whole": ("/v1/trees", {"tasks": task(), LONG: 1}),
        "field of a hook": ("/v1/trees", {"tasks": task(), "webhooks": [{LONG: 1}]}),
        "rerun": ("/v1/trees/asks/rerun", {"mode": "from", "tasks": [LONG]}),
        "field of a command": ("/v1/trees/asks/cancel", {LONG: 1}),
    }  # fmt: skip


@pytest.mark.parametrize("case", long_names())
def test_long_names_are_cut_in_problems(canary_api: Any, case: str) -> None:
    answer = canary_api(*long_names()[case])
    assert 400 <= answer.status_code < 500, answer.text
    assert len(answer.text) < 3_000
    assert all(LONG[:102] not in told["detail"] for told in answer.json().get("errors", ()))
    assert LONG[:201] not in answer.json()["detail"]


@pytest.fixture
def canary_api(place: Any, work: Work) -> Any:
    """Asks an application that lives as long as the test, in a loop of its own."""
    with asyncio.Runner() as runner:
        manager = application("memory://canaries", place)
        api = runner.run(manager.__aenter__())
        schema = {"type": "integer"}
        body = [{"id": "asks", "name": "signal", "inputs": {"name": "go", "schema": schema}}]
        assert runner.run(api.admin.post("/v1/trees", json=body)).status_code == 202
        yield lambda where, value: runner.run(ask(api, where, value))
        runner.run(manager.__aexit__(None, None, None))
