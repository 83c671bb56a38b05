"""tasks.execute as a stream of events."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from aipartnerupflow.api.rpc.errors import Code
from tests.api.rpc.conftest import Rpc
from tests.support.servers import Api, Work, threaded, tree
from tests.support.sse import Seen, parse


async def streamed(rpc: Rpc, **params: Any) -> list[Seen]:
    answer = await rpc.post(order(**params))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    return list(parse(iter(answer.text.splitlines())))


def order(**params: Any) -> dict[str, Any]:
    params = {"use_streaming": True, **params}
    return {"jsonrpc": "2.0", "id": "s", "method": "tasks.execute", "params": params}


def types(seen: list[Seen]) -> list[str]:
    return [one.data.get("type", "answer") for one in seen]


async def test_the_answer_comes_first_and_the_end_last(rpc: Rpc) -> None:
    seen = await streamed(rpc, tasks=[{"name": "give", "id": "g", "inputs": {"value": 1}}])
    first, *events, last = (one.data for one in seen)
    assert (first["jsonrpc"], first["id"]) == ("2.0", "s")
    assert (first["result"]["success"], first["result"]["streaming"]) == (True, True)
    assert last == {"type": "stream_end", "task_id": "g"}
    started, completed, final = events
    assert (
        started.items() >= {"type": "task_start", "task_id": "g", "status": "in_progress"}.items()
    )
    assert completed.items() >= {"type": "task_completed", "result": 1, "progress": 1.0}.items()
    assert final.items() >= {"type": "final", "status": "completed", "result": 1}.items()
    assert final["final"] is True
    assert {event["root_task_id"] for event in events} == {"g"}
    assert [event["timestamp"] for event in events] == sorted(e["timestamp"] for e in events)


async def test_a_tree_that_fails_ends_its_stream_too(rpc: Rpc) -> None:
    seen = await streamed(rpc, tasks=tree("a", {"key": "x", "name": "broken"}))
    assert types(seen)[-2:] == ["final", "stream_end"]
    failed = [one.data for one in seen if one.data.get("type") == "task_failed"]
    assert [event["error"] for event in failed][:1] == ["no"]
    assert seen[-2].data["status"] == "failed"


async def test_retries_are_told(rpc: Rpc, work: Work) -> None:
    work.break_next()
    seen = await streamed(rpc, tasks=[{"name": "flaky", "retry": {"initial_delay": 0.01}}])
    assert types(seen) == [
        "answer", "task_start", "task_retry", "task_start", "task_completed", "final", "stream_end",
    ]  # fmt: skip
    assert seen[2].data["error"] == "not yet"


async def test_a_large_result_is_in_the_stream(rpc: Rpc) -> None:
    value = "x" * 100_000
    seen = await streamed(rpc, tasks=[{"name": "give", "inputs": {"value": value}}])
    assert seen[2].data["result"] == value


async def test_a_result_that_was_written_over_many_lines_comes_on_one(rpc: Rpc) -> None:
    waiting = {"name": "signal", "id": "g", "inputs": {"name": "go"}}
    following = asyncio.ensure_future(streamed(rpc, tasks=[waiting]))
    payload = b'{"name": "go", "payload": {\r\n  "x": [\n    1,\r 2\n  ]\n}}'
    while (  # noqa: ASYNC110 - it is not there yet
        await rpc.client.post(
            "/v1/trees/g/signals", content=payload, headers={"Content-Type": "application/json"}
        )
    ).status_code != 202:
        await asyncio.sleep(0.01)
    final = (await following)[-2].data
    assert final["type"] == "final"
    assert final["result"] == {"x": [1, 2]}


async def test_a_draft_and_what_failed_are_streamed_from_there_on(rpc: Rpc, work: Work) -> None:
    work.break_next()
    made = await rpc.call("tasks.create", {"name": "flaky"})
    seen = await streamed(rpc, task_id=made["id"])
    assert types(seen) == ["answer", "task_start", "task_failed", "final", "stream_end"]
    seen = await streamed(rpc, task_id=made["id"])
    assert types(seen) == ["answer", "task_start", "task_completed", "final", "stream_end"]


@pytest.mark.parametrize(("params", "code"), [
    ({"tasks": []}, Code.INVALID_TREE), ({"task_id": "nobody"}, Code.NOT_FOUND),
    ({"tasks": [{"name": "nothing"}]}, Code.EXECUTOR_NOT_FOUND),
])  # fmt: skip
async def test_what_is_refused_is_no_stream(rpc: Rpc, params: Any, code: Code) -> None:
    assert (await rpc.refused("tasks.execute", {"use_streaming": True, **params}))["code"] == code


async def test_a_stream_is_no_part_of_a_batch(rpc: Rpc) -> None:
    answer = (await rpc.post([order(tasks=[{"name": "give"}])])).json()
    assert answer[0]["error"]["data"][0]["field"] == "use_streaming"
    assert (await rpc.call("tasks.count"))["total"] == 0


async def test_the_stream_of_a_tree_goes_on_where_this_one_was_lost(api: Api, rpc: Rpc) -> None:
    seen = await streamed(rpc, tasks=tree("a"))
    ids = [one.id for one in seen if one.id >= 0]
    assert ids == sorted(ids)
    root = seen[0].data["result"]["root_task_id"]
    events = (await rpc.client.get(f"/v1/trees/{root}/events", params={"after": ids[0]})).json()
    assert [event["version"] for event in events["items"]] == list(range(ids[0] + 1, ids[-1] + 1))


def test_a_cancelled_tree_ends_its_stream_over_a_socket(work: Work, place: Any) -> None:
    with threaded("memory://cancelled-stream", place) as server, server.client() as client:
        ids = followed(client, work)
    assert ids == sorted(set(ids))


def followed(client: httpx.Client, work: Work) -> list[int]:
    """The ids of the events of a tree that is cancelled while it runs."""
    body = order(tasks=tree({"key": "g", "name": "gated"}))
    with client.stream("POST", "/tasks", json=body) as answer:
        seen: list[Seen] = []
        root = ""
        for one in parse(answer.iter_lines()):
            seen.append(one)
            if one.data.get("type") == "task_start" and len(seen) == 2:
                root = seen[0].data["result"]["root_task_id"]
                told = client.post(f"/v1/trees/{root}/cancel", json={"reason": "enough"})
                assert told.status_code == 202
    assert types(seen)[-2:] == ["final", "stream_end"]
    assert seen[-2].data["status"] == "cancelled"
    assert "task_cancelled" in types(seen)
    assert json.dumps(seen[-1].data) == json.dumps({"type": "stream_end", "task_id": root})
    work.open_gate()
    return [one.id for one in seen if one.id >= 0]
