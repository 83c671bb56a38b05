"""Trees on an instance that answers late, or says what it should not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import Raw, json

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.apflow import after as apflow_after
from aipartnerupflow.adapters.executors.apflow import kept as apflow_kept
from aipartnerupflow.adapters.executors.apflow import tree as apflow_tree
from aipartnerupflow.adapters.executors.apflow.kept import Kept
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.engine.ports import Outcome, Raised, Returned
from tests.adapters.executors.calls import call
from tests.support.places import until

JSON = "application/json"
CANCELLED = "POST /v1/trees/T1/cancel"


class Far:
    """An instance that has one tree, T1 with the task a, and takes its time to say so."""

    def __init__(self) -> None:
        self.submitting = asyncio.Event()
        self.tasks: Any = {"a": "T1"}
        self.facts: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                sizes = [line[16:] for line in head.split("\r\n") if "ontent-" in line]
                await reader.readexactly(next((int(size) for size in sizes if size.isdigit()), 0))
                self.asked.append(head.partition(" HTTP")[0].partition("?")[0])
                kind, body = await self._answer(self.asked[-1])
                writer.write(
                    f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it is gone
        finally:
            writer.close()

    async def _answer(self, asked: str) -> tuple[str, bytes]:
        if asked == "POST /v1/trees":
            await self.submitting.wait()
            return JSON, json.encode({"id": "T1", "tasks": self.tasks})
        if asked.endswith("/stream"):
            facts = [{**fact, "version": n} for n, fact in enumerate(self.facts, 1)]
            events = [f"id: {fact['version']}\ndata: {json.encode(fact).decode()}\n\n"
                      for fact in facts]  # fmt: skip
            return "text/event-stream", "".join(events).encode()
        return JSON, b"{}"


@pytest.fixture
async def far() -> AsyncIterator[Far]:
    made = Far()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    made.submitting.set()
    server.close()


@pytest.fixture
async def shared() -> AsyncIterator[Shared]:
    made = Shared()
    yield made
    await made.close()


async def send(far: Far, shared: Shared, **more: Any) -> Outcome:
    registry = Registry(installed=list)
    registry.configure({"APFLOW_PRIVATE_TARGETS": ["127.0.0.1"]})
    inputs = {"base_url": far.url, "tasks": [{"key": "a", "name": "x"}], **more}
    return await invoke(registry, call("apflow_api_executor", inputs), asyncio.to_thread, shared)


async def cancelled(far: Far, shared: Shared) -> None:
    """A task that is cancelled while the other instance does not say yet what it has made."""
    running = asyncio.create_task(send(far, shared))
    await until(lambda: far.asked)
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apflow_tree, "LAST", 0.1)


@pytest.mark.usefixtures("hasty")
async def test_a_tree_that_is_told_of_after_a_cancel_is_cancelled_then(
    far: Far, shared: Shared
) -> None:
    await cancelled(far, shared)
    assert far.asked == ["POST /v1/trees"]
    far.submitting.set()
    await until(lambda: CANCELLED in far.asked)


@pytest.mark.usefixtures("hasty")
async def test_so_is_one_that_is_told_of_after_a_timeout(far: Far, shared: Shared) -> None:
    found = await send(far, shared, timeout=0.2)
    assert isinstance(found, Raised)
    assert found.error.message == "it took longer than 0.2 s and may go on there"
    far.submitting.set()
    await until(lambda: CANCELLED in far.asked)


@pytest.mark.usefixtures("hasty")
async def test_an_engine_that_ends_waits_for_it(far: Far, shared: Shared) -> None:
    await cancelled(far, shared)
    closing = asyncio.create_task(shared.close())
    await asyncio.sleep(0.1)
    assert not closing.done()
    far.submitting.set()
    await closing
    assert CANCELLED in far.asked


@pytest.mark.usefixtures("hasty")
async def test_but_not_for_ever(far: Far, shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apflow_after, "LONGEST", 0.1)
    await cancelled(far, shared)
    await asyncio.wait_for(shared.close(), 5.0)
    assert far.asked == ["POST /v1/trees"]


async def test_of_tasks_that_are_none_of_the_tree_nothing_is_kept(far: Far, shared: Shared) -> None:
    far.submitting.set()
    far.facts = [
        {"type": "task.completed", "task_id": "other", "result": 1},
        {"type": "task.failed", "task_id": "another", "error": {"message": "no"}},
        {"type": "task.completed", "task_id": "T1", "result": 2},
        {"type": "tree.settled", "status": "completed"},
    ]
    found = await send(far, shared)
    assert isinstance(found, Returned)
    result = json.decode(found.result)
    assert result["tasks"] == {"a": 2}
    assert "errors" not in result


async def test_more_tasks_than_were_asked_for_are_no_answer(far: Far, shared: Shared) -> None:
    far.submitting.set()
    far.tasks = {f"{n:060}": f"{n:060}" for n in range(10_000)}
    found = await send(far, shared)
    assert isinstance(found, Raised)
    assert found.error.type == "RemoteRefused"


def kept(*ids: str) -> Kept:
    made = Kept()
    made.keys = {id: id for id in ids}
    return made


def test_results_beyond_the_room_for_them_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apflow_kept, "MAX_RESULTS", 10)
    found = kept("a", "b")
    found.complete("a", Raw(b'"12345"'), fetch=False)
    found.complete("b", Raw(b'"12345"'), fetch=False)
    assert found.cut
    assert found.ended == {"a": Raw(b'"12345"'), "b": False}


def test_so_are_reasons_of_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apflow_kept, "MAX_ERRORS", 10)
    found = kept("a", "b")
    found.end("a", "1234567")
    found.end("b", "1234567")
    assert found.cut
    assert found.errors == {"a": "1234567"}
    assert found.ended == {"a": False, "b": False}


def test_a_task_that_runs_again_leaves_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apflow_kept, "MAX_RESULTS", 10)
    monkeypatch.setattr(apflow_kept, "MAX_ERRORS", 10)
    found = kept("a")
    for _ in range(3):
        found.complete("a", Raw(b'"12345"'), fetch=False)
        found.forget("a")
        found.end("a", "1234567")
    assert not found.cut
    assert (found.ended, found.errors) == ({"a": False}, {"a": "1234567"})
