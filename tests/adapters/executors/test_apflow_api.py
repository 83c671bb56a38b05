"""`apflow_api_executor` against a second instance."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.apflow import tree as apflow_tree
from aipartnerupflow.adapters.executors.apflow.executor import ApflowApiExecutor
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.engine.ports import Gone, Outcome, Raised, Returned
from tests.adapters.executors.calls import Port, call
from tests.support.http_target import http_target
from tests.support.places import executors, place, until
from tests.support.servers import Threaded, Work, bearer, program, threaded, tree

__all__ = ["executors", "place"]

API = "apflow_api_executor"
TOKEN = {"$secret": "FAR"}
HANG = {"id": "h", "name": "signal", "inputs": {"name": "go"}}


@pytest.fixture
def work(executors: None) -> Work:
    made = Work()
    made.register()
    return made


@pytest.fixture
def far(place: Path, work: Work) -> Iterator[Threaded]:
    with threaded(f"memory://{uuid4().hex}", place) as server:
        yield server


def registry_for(token: str, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("FAR_TOKEN", token)
    found = Registry()
    source = {"source": "env", "name": "FAR_TOKEN", "executors": [API], "hosts": ["127.0.0.1"]}
    found.configure({"APFLOW_PRIVATE_TARGETS": ("127.0.0.1",), "APFLOW_SECRETS": {"FAR": source}})
    return found


class Near:
    """Attempts of one engine that have to do with one far instance."""

    def __init__(self, registry: Registry, url: str, token: str) -> None:
        self._registry = registry
        self._shared = Shared()
        self.url, self._token = url, token

    async def outcome(
        self, inputs: Mapping[str, Any], *, port: Port | None = None, **more: Any
    ) -> Outcome:
        made = call(API, {"base_url": self.url, "auth_token": TOKEN, **inputs}, port=port)
        made = msgspec.structs.replace(made, **{"attempt": 1, **more})
        return await invoke(self._registry, made, asyncio.to_thread, self._shared)

    async def __call__(self, port: Port | None = None, **inputs: Any) -> Any:
        return value(await self.outcome(inputs, port=port))

    async def refused(self, **inputs: Any) -> Raised:
        found = await self.outcome(inputs)
        assert isinstance(found, Raised), found
        return found

    async def ask(self, path: str, method: str = "GET", **more: Any) -> Any:
        async with httpx.AsyncClient(base_url=self.url, headers=bearer(self._token)) as client:
            answer = await client.request(method, path, **more)
            assert answer.is_success, answer.text
            return answer.json()

    async def trees(self) -> list[Any]:
        found: list[Any] = (await self.ask("/v1/trees"))["items"]
        return found

    async def open(self, count: int = 1) -> None:
        """Returns once so many trees are under way there."""
        async with asyncio.timeout(10):
            while await self._under_way() != count:  # noqa: ASYNC110 - another server knows
                await asyncio.sleep(0.02)

    async def _under_way(self) -> int:
        return sum(each["completed_at"] is None for each in await self.trees())

    async def let_go(self) -> None:
        for each in await self.trees():
            if each["completed_at"] is None:
                await self.ask(f"/v1/trees/{each['id']}/signals", "POST", json={"name": "go"})

    async def close(self) -> None:
        await self._shared.close()


@pytest.fixture
async def near(far: Threaded, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Near]:
    made = Near(registry_for(far.token, monkeypatch), far.url, far.token)
    yield made
    await made.close()


def value(found: Outcome) -> Any:
    assert isinstance(found, Returned), found
    return msgspec.json.decode(found.result)


async def test_the_results_of_the_remote_tasks_come_back_by_key(near: Near) -> None:
    port = Port()
    tasks = tree({"key": "a", "name": "give", "inputs": {"value": 1}}, "b")
    found = await near(port, tasks=tasks, name="there", limit=1)
    assert (found["success"], found["status"]) == (True, "completed")
    assert found["tasks"] == {"root": None, "a": 1, "b": None}
    (made,) = await near.trees()
    assert (made["id"], made["name"]) == (found["tree_id"], "there")
    shares = [fraction for fraction, _ in port.progressed]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert (1 / 3, "1 of 3 tasks ended") in port.progressed


async def test_a_nested_tree_is_as_good(near: Near) -> None:
    child = {"key": "c", "name": "give", "inputs": {"value": "x"}}
    found = await near(tree={"key": "top", "name": "top", "children": [child]})
    assert found["tasks"] == {"top": None, "c": "x"}


async def test_a_result_that_does_not_stand_in_its_event_is_fetched(near: Near) -> None:
    large = "x" * 100_000
    found = await near(tasks=[{"key": "a", "name": "give", "inputs": {"value": large}}])
    assert found["tasks"]["a"] == large


async def test_a_remote_tree_that_fails_says_which_of_its_tasks_failed_first(near: Near) -> None:
    found = await near.refused(tasks=tree("a", {"key": "b", "name": "broken"}))
    assert found.error.message == "task b of the remote tree failed: no"
    detail = msgspec.json.decode(msgspec.json.encode(found.error.detail))
    assert detail["status"] == "failed"
    assert detail["errors"]["b"] == "no"


async def test_the_same_attempt_again_finds_the_tree_that_it_has_made(near: Near) -> None:
    first = await near(tasks=tree("a"))
    again = await near(tasks=tree("a"))
    assert first["tree_id"] == again["tree_id"]
    assert len(await near.trees()) == 1


async def test_a_later_attempt_begins_anew_only_where_the_former_has_ended_badly(
    near: Near, work: Work
) -> None:
    work.break_next(1)
    inputs = {"tasks": [{"key": "f", "name": "flaky"}]}
    assert isinstance(await near.outcome(inputs, attempt=1), Raised)
    assert value(await near.outcome(inputs, attempt=2))["tasks"] == {"f": "done"}
    assert len(await near.trees()) == 2
    assert value(await near.outcome(inputs, attempt=3))["tasks"] == {"f": "done"}
    assert len(await near.trees()) == 2


async def test_ids_are_keys_there_so_that_the_same_tasks_can_run_again(near: Near) -> None:
    tasks = [
        {"id": "top", "name": "give", "dependencies": [{"id": "low"}]},
        {"id": "low", "name": "give", "parent_id": "top", "inputs": {"value": 1}},
    ]
    first = value(await near.outcome({"tasks": tasks}, idempotency_key="one"))
    second = value(await near.outcome({"tasks": tasks}, idempotency_key="two"))
    assert first["tasks"] == second["tasks"] == {"low": 1, "top": None}
    assert first["tree_id"] != second["tree_id"]
    nested = {"key": "top", "name": "top", "children": [{"id": "a", "key": "b", "name": "give"}]}
    assert "not both" in (await near.refused(tree=nested)).error.message


async def test_a_cancel_cancels_the_remote_tree(near: Near) -> None:
    running = asyncio.create_task(near.outcome({"tasks": [HANG]}))
    await near.open()
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    (made,) = await near.trees()
    assert made["status"] == "cancelled"
    again = asyncio.create_task(near.outcome({"tasks": [HANG]}, attempt=2))
    await near.open()
    await near.let_go()
    assert value(await again)["tree_id"] != made["id"]


async def test_a_timeout_cancels_the_remote_tree_and_is_final(near: Near) -> None:
    found = await near.refused(tasks=[HANG], timeout=0.5)
    assert found.error.type == "RemoteTimeout"
    assert "TransientError" not in found.error.bases
    (made,) = await near.trees()
    assert made["status"] == "cancelled"


async def test_after_a_crash_the_tree_is_found_again_and_followed(near: Near) -> None:
    inputs = {"tasks": [HANG]}
    key = {"Idempotency-Key": "the-key"}
    made = await near.ask(
        "/v1/trees", "POST", headers=key, content=apflow_tree.body_of(inputs, inputs["tasks"])
    )
    port = Port()
    following = asyncio.create_task(near.outcome(inputs, port=port, reattach=True))
    await until(lambda: port.taken)
    await near.let_go()
    assert value(await following)["tree_id"] == made["id"]
    assert len(await near.trees()) == 1
    assert port.taken == 1


async def test_what_cannot_be_asked_after_a_crash_counts_as_interrupted(near: Near) -> None:
    near.url = "http://127.0.0.1:9"
    found = await near.outcome({"tasks": [HANG]}, reattach=True)
    assert isinstance(found, Gone)


async def test_where_there_is_no_stream_the_history_is_asked_for(
    near: Near, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apflow_tree, "STREAMS", 0)
    port = Port()
    running = asyncio.create_task(near(port, tasks=tree("a", HANG)))
    await near.open()
    await near.let_go()
    assert (await running)["status"] == "completed"
    assert port.progressed[-1] == (1.0, "3 of 3 tasks ended")


@pytest.mark.slow
async def test_a_restart_of_the_other_instance_is_borne(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with program(place) as server:
        near = Near(registry_for(server.token, monkeypatch), server.url, server.token)
        running = asyncio.create_task(near(tasks=[HANG], poll_interval=0.2))
        await near.open()
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await near.let_go()
        assert (await running)["status"] == "completed"
        assert len(await near.trees()) == 1
        await near.close()


async def test_a_token_is_given_as_a_secret_only(near: Near) -> None:
    for more in (
        {"auth_token": "in the clear"},
        {"auth_token": None, "headers": {"authorization": "Bearer in-the-clear"}},
    ):
        found = await near.refused(tasks=[HANG], **more)
        assert found.error.type == "InvalidInput"
        assert "clear" not in found.error.message
    assert await near.trees() == []


async def test_secrets_of_the_other_instance_are_named_and_ours_not_sent(near: Near) -> None:
    task = {"key": "a", "name": "give", "inputs": {"value": {"$remote_secret": "THEIRS"}}}
    await near.refused(tasks=[task])
    (made,) = await near.trees()
    (stored,) = (await near.ask(f"/v1/trees/{made['id']}/tasks"))["items"]
    assert stored["inputs"] == {"value": {"$secret": "THEIRS"}}
    found = await near.refused(tasks=[{**task, "inputs": {"value": TOKEN}}])
    assert "$remote_secret" in found.error.message
    assert len(await near.trees()) == 1


async def test_remote_tasks_refer_to_each_other(near: Near) -> None:
    tasks = tree(
        {"key": "a", "name": "give", "inputs": {"value": {"n": 7}}},
        {
            "key": "b", "name": "give", "dependencies": ["a"],
            "inputs": {"value": {"$remote_from": "a", "pointer": "/n"}},
        },
    )  # fmt: skip
    assert (await near(tasks=tasks))["tasks"]["b"] == 7


async def test_a_refusal_is_final_and_says_why(near: Near) -> None:
    found = await near.refused(tasks=[{"key": "a", "name": "nobody knows this"}])
    assert found.error.type == "RemoteRefused"
    assert found.error.message.startswith("the other instance answered 422: ")
    assert "TransientError" not in found.error.bases


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_is_busy_is_asked_again_later(near: Near, status: int) -> None:
    with http_target() as target:
        near.url = target.url
        target.will("/v1/trees", status, Retry_After="7")
        found = await near.refused(tasks=[HANG])
    assert "TransientError" in found.error.bases
    assert found.retry_after == 7


async def test_what_is_no_instance_is_told_so(near: Near) -> None:
    with http_target() as target:
        near.url = target.url
        found = await near.refused(tasks=[HANG])
    assert found.error.type == "RemoteRefused"


async def test_a_redirect_is_not_followed_and_told(near: Near) -> None:
    with http_target() as target, http_target() as elsewhere:
        near.url = target.url
        target.will("/v1/trees", 307, times=5, Location=f"{elsewhere.url}/v1/trees")
        found = await near.refused(tasks=[HANG])
    assert found.error.type == "RemoteRefused"
    assert found.error.message.startswith(
        "the other instance answered 307; it redirects: give the address it redirects to"
    )
    assert not elsewhere.asked


async def test_an_address_that_is_not_public_needs_the_operator(near: Near) -> None:
    near.url = "http://10.1.2.3:8000"
    assert (await near.refused(tasks=[HANG], auth_token=None)).error.type == "TargetRefused"


# -- by JSON-RPC


async def test_a_method_answers(near: Near) -> None:
    found = await near(method="system.health")
    assert found["result"]["status"] == "healthy"
    assert (found["status_code"], found["method"]) == (200, "system.health")


async def test_an_error_of_a_method_fails_the_task_with_its_code(near: Near) -> None:
    found = await near.refused(method="tasks.nonsense")
    detail = msgspec.json.decode(msgspec.json.encode(found.error.detail))
    assert detail["error_code"] == -32601
    assert found.error.message.startswith("the other instance refused it: ")


async def test_without_waiting_execute_only_starts(near: Near) -> None:
    found = await near(method="tasks.execute", params={"tasks": [HANG]})
    assert found["result"]["root_task_id"]
    await near.open()
    await near.let_go()


@pytest.mark.parametrize("way", ["wait_for_completion", "use_streaming"])
async def test_the_end_of_what_was_started_is_waited_for(near: Near, way: str) -> None:
    port = Port()
    params = {"tasks": tree("a", {"key": "b", "name": "give", "inputs": {"value": 5}})}
    found = await near(
        port, method="tasks.execute", params=params, poll_interval=0.05, **{way: True}
    )
    assert (found["success"], found["status"]) == (True, "completed")
    assert found["task"]["id"] == found["task_id"]
    assert found["poll_count"] >= 1
    assert port.progressed[-1][0] == 1.0
    assert port.saved == [{"task_id": found["task_id"], "attempt": 1}]


async def test_a_tree_that_cannot_go_on_is_over(near: Near) -> None:
    tasks = [
        {"id": "top", "name": "give", "dependencies": ["low"]},
        {"id": "low", "name": "broken", "parent_id": "top"},
    ]
    found = await near.refused(
        method="tasks.execute", params={"tasks": tasks}, wait_for_completion=True,
        poll_interval=0.05,
    )  # fmt: skip
    assert found.error.message == "the remote task was failed: no"


@pytest.mark.parametrize("way", ["wait_for_completion", "use_streaming"])
async def test_a_cancel_reaches_what_a_method_has_started(near: Near, way: str) -> None:
    inputs = {"method": "tasks.execute", "params": {"tasks": [HANG]}, way: True}
    port = Port()
    running = asyncio.create_task(near.outcome(inputs, port=port))
    await until(lambda: port.saved)
    running.cancel()
    await asyncio.wait({running})
    await near.open(0)
    assert (await near.trees())[0]["status"] == "cancelled"


async def test_after_a_crash_what_a_method_started_is_found_by_its_checkpoint(near: Near) -> None:
    started = await near(method="tasks.execute", params={"tasks": [HANG]})
    saved = {"task_id": started["result"]["root_task_id"], "attempt": 1}
    inputs = {
        "method": "tasks.execute", "params": {"tasks": [HANG]}, "wait_for_completion": True,
        "poll_interval": 0.05,
    }  # fmt: skip
    port = Port()
    checkpoint = msgspec.Raw(msgspec.json.encode(saved))
    following = asyncio.create_task(
        near.outcome(inputs, port=port, reattach=True, checkpoint=checkpoint)
    )
    await until(lambda: port.taken)
    await near.let_go()
    assert value(await following)["status"] == "completed"
    assert len(await near.trees()) == 1
    assert isinstance(await near.outcome(inputs, reattach=True), Gone)


def test_trees_and_reads_may_be_repeated() -> None:
    safe: Callable[[Any], Any] = ApflowApiExecutor.safe_to_repeat
    assert safe({"tasks": []})
    assert safe({"method": "tasks.get"})
    assert not safe({"method": "tasks.execute"})


async def test_for_show_nobody_is_called(near: Near) -> None:
    assert value(await near.outcome({"tasks": [HANG]}, demo=True))["status"] == "completed"
    assert value(await near.outcome({"method": "tasks.get"}, demo=True))["success"]
    assert await near.trees() == []
