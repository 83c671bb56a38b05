"""What becomes of work that another instance was asked for, when nobody waits for it any more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import json

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.apflow import after as apflow_after
from aipartnerupflow.adapters.executors.apflow import rpc as apflow_rpc
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.engine.ports import Outcome, Raised
from tests.adapters.executors.calls import call
from tests.support.places import until


class Far:
    """An instance that takes its time for `tasks.execute`."""

    def __init__(self) -> None:
        self.seconds = 0.3
        self.asked: list[tuple[str, Any]] = []
        self.execute: Any = {"root_task_id": "T1"}
        self.cancel: Any = [{"task_id": "T1", "status": "cancelled"}]
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                size = int(head.split("content-length:")[1].split("\r\n")[0])
                said = json.decode(await reader.readexactly(size))
                self.asked.append((said["method"], said["params"]))
                result = self.cancel
                if said["method"] == "tasks.execute":
                    await asyncio.sleep(self.seconds)
                    result = self.execute
                body = json.encode({"jsonrpc": "2.0", "id": 1, "result": result})
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(body) + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it is gone
        finally:
            writer.close()

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    made = Far()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()


@pytest.fixture
async def shared() -> AsyncIterator[Shared]:
    made = Shared()
    yield made
    await made.close()


async def send(far: Far, shared: Shared, **more: Any) -> Outcome:
    registry = Registry(installed=list)
    registry.configure({"APFLOW_PRIVATE_TARGETS": ["127.0.0.1"]})
    inputs = {"base_url": far.url, "method": "tasks.execute", "params": {}, **more}
    return await invoke(registry, call("apflow_api_executor", inputs), asyncio.to_thread, shared)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_cancel_while_the_call_is_unanswered_reaches_what_it_starts(
    far: Far, shared: Shared, waits: bool
) -> None:
    running = asyncio.create_task(send(far, shared, wait_for_completion=waits))
    await until(lambda: far.asked)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()
    assert far.asked[1:] == [("tasks.cancel", {"task_ids": ["T1"]})]


async def test_a_timeout_does_too_and_says_so(far: Far, shared: Shared) -> None:
    found = await send(far, shared, wait_for_completion=True, timeout=0.1)
    assert isinstance(found, Raised)
    assert found.error.message == "it took longer than 0.1 s and was cancelled there"
    assert far.methods == ["tasks.execute", "tasks.cancel"]


async def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(
    far: Far, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apflow_rpc, "LAST", 0.2)
    far.seconds = 30.0
    known = {"task_id": "T1"}
    found = await send(far, shared, params=known, wait_for_completion=True, timeout=0.1)
    assert isinstance(found, Raised)
    assert "was cancelled there" in found.error.message
    assert far.asked[1:] == [("tasks.cancel", {"task_ids": ["T1"]})]


@pytest.mark.parametrize("refusal", [{"status": "not_found"}, {"status": "completed", "code": -1}])
async def test_what_was_not_cancelled_is_not_called_so(
    far: Far, shared: Shared, refusal: dict[str, Any]
) -> None:
    far.cancel = [refusal]
    found = await send(far, shared, wait_for_completion=True, timeout=0.1)
    assert isinstance(found, Raised)
    assert found.error.message == "it took longer than 0.1 s and may go on there"


async def test_of_what_nobody_can_name_it_is_not_said_that_it_was_cancelled(
    far: Far, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apflow_rpc, "LAST", 0.2)
    monkeypatch.setattr(apflow_after, "LONGEST", 0.2)
    far.seconds = 30.0
    found = await send(far, shared, wait_for_completion=True, timeout=0.1)
    assert isinstance(found, Raised)
    assert "may go on there" in found.error.message
    await shared.close()
    assert far.methods == ["tasks.execute"]


async def test_what_is_named_later_is_cancelled_then(
    far: Far, shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apflow_rpc, "LAST", 0.1)
    far.seconds = 0.6
    found = await send(far, shared, wait_for_completion=True, timeout=0.1)
    assert isinstance(found, Raised)
    assert "may go on there" in found.error.message
    monkeypatch.setattr(apflow_rpc, "LAST", 2.0)
    await until(lambda: far.asked[1:] == [("tasks.cancel", {"task_ids": ["T1"]})])
