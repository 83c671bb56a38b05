"""Envelopes: what is a request, what is answered, and how."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aipartnerupflow.api.rpc.envelope import LARGE, MAX_BATCH, Invalid, parse
from aipartnerupflow.api.rpc.errors import Code, RpcError
from aipartnerupflow.api.rpc.methods import METHODS as METHODS_OF_ALL
from tests.api.rpc.conftest import Rpc
from tests.support.servers import Api, application

HEALTH = {"jsonrpc": "2.0", "id": 1, "method": "tasks.running.count"}
CANARY = "canary-4711"


def code_of(answer: httpx.Response) -> int:
    assert answer.status_code == 200
    code: int = answer.json()["error"]["code"]
    return code


@pytest.mark.parametrize("id", [0, -1, 1.5, 2**63, "", "a", "7", None])
async def test_an_answer_has_the_id_of_its_request(rpc: Rpc, id: Any) -> None:
    answer = (await rpc.post(HEALTH | {"id": id})).json()
    assert answer == {"jsonrpc": "2.0", "result": {"count": 0}, "id": id}


@pytest.mark.parametrize("id", [True, False, [], {}, [1]])
async def test_an_id_is_a_string_a_number_or_null(rpc: Rpc, id: Any) -> None:
    answer = await rpc.post(HEALTH | {"id": id})
    assert code_of(answer) == Code.INVALID_REQUEST
    assert answer.json()["id"] is None


@pytest.mark.parametrize("wrong", [{"jsonrpc": "1.0"}, {"jsonrpc": 2.0}, {"jsonrpc": None},
                                   {"method": 1}, {"method": None}, {"params": "x"},
                                   {"params": 1}, {"params": None}])  # fmt: skip
async def test_what_is_no_request_is_told_so_under_its_id(rpc: Rpc, wrong: dict[str, Any]) -> None:
    answer = await rpc.post(HEALTH | wrong)
    assert code_of(answer) == Code.INVALID_REQUEST
    assert answer.json()["id"] == 1
    assert [one["field"] for one in answer.json()["error"]["data"]] == list(wrong)


async def test_all_that_is_wrong_with_a_request_is_told_at_once(rpc: Rpc) -> None:
    answer = await rpc.post({"id": [], "params": 1})
    fields = {one["field"] for one in answer.json()["error"]["data"]}
    assert fields == {"jsonrpc", "method", "id", "params"}


@pytest.mark.parametrize("body", [
    b"", b"  ", b"{", b"[1,", b"nul", b'{"a":1}x', b"\xff", b"'a'", b"[" * 5000,
    b'{"jsonrpc":"2.0","method":"x","params":[01]}',
])  # fmt: skip
async def test_what_is_no_json_cannot_be_parsed(rpc: Rpc, body: bytes) -> None:
    answer = await rpc.client.post(
        "/tasks", content=body, headers={"content-type": "application/json"}
    )
    assert code_of(answer) == Code.PARSE_ERROR
    assert answer.json()["id"] is None


@pytest.mark.parametrize("body", [1, "x", None, True])
async def test_a_value_is_no_request(rpc: Rpc, body: Any) -> None:
    answer = await rpc.client.post("/tasks", content=json.dumps(body))
    assert code_of(answer) == Code.INVALID_REQUEST


async def test_another_type_of_body_is_a_problem_of_http(rpc: Rpc) -> None:
    answer = await rpc.client.post(
        "/tasks", content=json.dumps(HEALTH), headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_notification_is_carried_out_and_not_answered(rpc: Rpc) -> None:
    body = {"jsonrpc": "2.0", "method": "tasks.create", "params": {"name": "give", "id": "quiet"}}
    answer = await rpc.post(body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await rpc.call("tasks.get", {"task_id": "quiet"}))["name"] == "give"


@pytest.mark.parametrize("method", ["tasks.nothing", "tasks.get", "tasks.generate"])
async def test_a_notification_that_fails_is_not_answered_either(rpc: Rpc, method: str) -> None:
    answer = await rpc.post({"jsonrpc": "2.0", "method": method})
    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_batch_is_answered_in_its_order_without_its_notifications(rpc: Rpc) -> None:
    answer = await rpc.post([
        {"jsonrpc": "2.0", "id": 1, "method": "tasks.create", "params": {"name": "x", "id": "a"}},
        {"jsonrpc": "2.0", "method": "tasks.create", "params": {"name": "x", "id": "b"}},
        7,
        {"jsonrpc": "2.0", "id": "last", "method": "tasks.count"},
        {"jsonrpc": "2.0", "id": None, "method": "tasks.nothing"},
    ])  # fmt: skip
    assert answer.status_code == 200
    created, invalid, counted, unknown = answer.json()
    assert (created["id"], created["result"]["id"]) == (1, "a")
    assert (invalid["id"], invalid["error"]["code"]) == (None, Code.INVALID_REQUEST)
    assert (counted["id"], counted["result"]["total"]) == ("last", 2)
    assert (unknown["id"], unknown["error"]["code"]) == (None, Code.METHOD_NOT_FOUND)


async def test_a_defect_fails_one_call_of_a_batch_and_is_told_without_its_inside(
    rpc: Rpc, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("canary-of-the-inside")

    monkeypatch.setattr("aipartnerupflow.api.rpc.system.reasons_against", broken)
    made = {"jsonrpc": "2.0", "id": 1, "method": "tasks.create", "params": {"name": "x"}}
    failing = {"jsonrpc": "2.0", "id": 2, "method": "system.health"}
    counting = {"jsonrpc": "2.0", "id": 3, "method": "tasks.count"}
    answer = await rpc.client.post("/", json=[made, failing, counting])
    assert answer.status_code == 200
    created, defect, counted = answer.json()
    assert created["result"]["name"] == "x"
    assert counted["result"]["total"] == 1
    assert (defect["id"], defect["error"]["code"]) == (2, Code.INTERNAL_ERROR)
    assert "canary" not in answer.text
    assert defect["error"]["data"][0]["reason"].rpartition(" ")[2] in caplog.text
    assert "canary-of-the-inside" in caplog.text


async def test_a_batch_of_notifications_has_no_answer(rpc: Rpc) -> None:
    answer = await rpc.post([{"jsonrpc": "2.0", "method": "tasks.count"}] * 3)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("size", [0, MAX_BATCH + 1])
async def test_a_batch_is_neither_empty_nor_without_end(rpc: Rpc, size: int) -> None:
    answer = await rpc.post([HEALTH] * size)
    assert code_of(answer) == Code.INVALID_REQUEST
    assert isinstance(answer.json(), dict)


async def test_the_largest_batch_is_answered_whole(rpc: Rpc) -> None:
    assert len((await rpc.post([HEALTH] * MAX_BATCH)).json()) == MAX_BATCH


@pytest.mark.parametrize(("path", "method", "there"), [
    ("/tasks", "tasks.count", True), ("/tasks", "system.health", False),
    ("/system", "system.health", True), ("/system", "tasks.count", False),
    ("/", "tasks.count", True), ("/", "system.health", True),
])  # fmt: skip
async def test_each_address_has_its_methods(api: Api, path: str, method: str, there: bool) -> None:
    told = await Rpc(api.admin, path).ask(method)
    assert ("result" in told) is there
    assert there or told["error"]["code"] == Code.METHOD_NOT_FOUND


@pytest.mark.parametrize("path", ["/tasks", "/system", "/"])
async def test_nobody_is_answered_without_a_token(api: Api, path: str) -> None:
    answer = await api.nobody.post(path, json=HEALTH)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_parameters_have_names(rpc: Rpc) -> None:
    error = await rpc.refused("tasks.get", ["a"])
    assert error["code"] == Code.INVALID_PARAMS


async def test_a_body_may_be_as_large_as_a_tree(rpc: Rpc) -> None:
    text = "x" * 400_000
    tasks = [{"name": "root", "id": "root"}] + [
        {"name": "give", "parent_id": "root", "inputs": {"value": text}} for _ in range(4)
    ]
    made = await rpc.call("tasks.create", tasks)
    assert [len(task["inputs"].get("value", "")) for task in made] == [0, *[400_000] * 4]


# -- whatever comes

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([CANARY, "", "2.0", "tasks.get", "tasks.list", "\0", "a,b"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["task_id", "tasks", "name", "limit", "id", "x"]), inner),
    max_leaves=12,
)  # fmt: skip
METHODS = [*METHODS_OF_ALL, "tasks.generate", CANARY]
requests = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0") | values, "method": st.sampled_from(METHODS) | values},
    optional={"id": values, "params": values},
)
bodies = requests | st.lists(requests | values, max_size=5) | values


@given(st.binary(max_size=200) | bodies.map(lambda body: json.dumps(body).encode()))
def test_whatever_comes_is_taken_apart_or_told_what_it_is_not(body: bytes) -> None:
    codes: list[Code] = []
    try:
        codes += [item.error.code for item in parse(body).items if isinstance(item, Invalid)]
    except RpcError as error:
        codes.append(error.code)
    assert set(codes) <= {Code.PARSE_ERROR, Code.INVALID_REQUEST}


def test_whatever_comes_is_answered_and_never_repeated(place: Path, executors: None) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        api = runner.run(stack.enter_async_context(application(f"memory://{uuid4().hex}", place)))

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(bodies)
        def check(body: Any) -> None:
            answer = runner.run(api.admin.post("/", content=json.dumps(body)))
            require_good(body, answer)

        check()
        runner.run(stack.aclose())


def require_good(body: Any, answer: httpx.Response) -> None:
    if answer.status_code == 204:
        assert answer.content == b""
        return
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        return
    told = answer.json()
    assert isinstance(told, list) <= isinstance(body, list)
    for one in told if isinstance(told, list) else [told]:
        assert one["jsonrpc"] == "2.0"
        assert ("result" in one) != ("error" in one)
        assert "id" in one
        if "error" in one:
            assert one["error"]["code"] in set(Code)
            assert one["error"]["data"]
            assert CANARY not in json.dumps(one["error"])


async def test_a_large_body_takes_one_who_may_submit(api: Api) -> None:
    body = HEALTH | {"more": "x" * (LARGE + 1)}
    assert code_of(await Rpc(api.user("ann", "read")).post(body)) == Code.UNAUTHORIZED
    assert "result" in (await Rpc(api.user("ann", "submit")).post(body)).json()


async def test_a_batch_whose_answers_are_large_is_not_carried_out_to_its_end(rpc: Rpc) -> None:
    value = "x" * 500_000
    done = await rpc.run({"name": "give", "inputs": {"value": value}})
    get = {"jsonrpc": "2.0", "method": "tasks.get", "params": {"task_id": done["task_id"]}}
    fresh = {"name": "give", "id": "late"}
    create = {"jsonrpc": "2.0", "id": 40, "method": "tasks.create", "params": fresh}
    answers = (await rpc.post([*(get | {"id": n} for n in range(40)), create])).json()
    assert [answer["id"] for answer in answers] == list(range(41))
    good = [answer["id"] for answer in answers if "result" in answer]
    assert good == list(range(len(good)))
    assert 1 < len(good) < 30
    assert {answer["error"]["code"] for answer in answers[len(good) :]} == {Code.INVALID_REQUEST}
    assert (await rpc.refused("tasks.get", {"task_id": "late"}))["code"] == Code.NOT_FOUND


async def test_a_batch_is_not_large(rpc: Rpc) -> None:
    answer = await rpc.post([HEALTH | {"more": "x" * (LARGE + 1)}])
    assert code_of(answer) == Code.INVALID_REQUEST


@pytest.mark.parametrize("params", [
    {"task_ids": ["x" * 300_000]}, {"task_ids": "x" * 300_000}, {"task_ids": [1]},
])  # fmt: skip
async def test_parameters_are_not_large(rpc: Rpc, params: Any) -> None:
    assert (await rpc.refused("tasks.running.status", params))["code"] == Code.INVALID_PARAMS


async def test_what_a_draft_is_changed_to_is_not_large(rpc: Rpc) -> None:
    made = await rpc.call("tasks.create", {"name": "give"})
    params = {"task_id": made["id"], "updates": {"inputs": {"value": "x" * 600_000}}}
    error = await rpc.refused("tasks.update", params)
    assert (error["code"], error["data"][0]["field"]) == (Code.INVALID_PARAMS, "inputs")


@pytest.mark.parametrize("chunked", [True, False])
async def test_what_is_too_large_for_a_reader_is_not_read_to_its_end(
    api: Api, chunked: bool
) -> None:
    given: list[int] = []

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(64):
            given.append(1 << 20)
            yield b" " * (1 << 20)

    headers = {"content-type": "application/json"}
    if not chunked:
        headers["content-length"] = str(64 << 20)
    client = api.user("ann", "read")
    answer = await client.post("/tasks", content=parts(), headers=headers)
    assert answer.json()["error"]["code"] == Code.UNAUTHORIZED
    assert len(given) <= 3
