"""StreamingCallbacks: what happens, told as it is committed."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow import StreamingCallbacks, TaskManager, TaskTreeNode, task
from aipartnerupflow.api.library.sessions import Session


@pytest.fixture(autouse=True)
def work(executors: None) -> None:
    @task
    async def work(context: Any, give: Any = None) -> Any:
        await context.progress(0.5, "half way")
        return give

    @task
    async def broken() -> None:
        raise RuntimeError("it broke")


async def tree(manager: TaskManager, *tasks: dict[str, Any]) -> TaskTreeNode:
    specs = [{"id": "r", "name": "r"}, *({"parent_id": "r"} | each for each in tasks)]
    await manager.task_repository.create_tasks(specs)
    return await manager.task_repository.build_task_tree("r")


async def test_each_step_is_told_in_the_order_of_the_log(manager: TaskManager) -> None:
    told: list[dict[str, Any]] = []
    manager.streaming_callbacks.add_listener(told.append)
    chain = await tree(
        manager,
        {"id": "a", "name": "work", "inputs": {"give": 1}},
        {"id": "b", "name": "work", "dependencies": ["a"]},
    )
    assert manager.stream is False
    await manager.distribute_task_tree_with_streaming(chain)
    assert [(each["type"], each["task_id"], each["status"]) for each in told] == [
        ("task_start", "a", "in_progress"),
        ("task_start", "r", "in_progress"),
        ("progress", "a", "in_progress"),
        ("task_completed", "a", "completed"),
        ("task_start", "b", "in_progress"),
        ("progress", "b", "in_progress"),
        ("task_completed", "b", "completed"),
        ("task_completed", "r", "completed"),
        ("final", "r", "completed"),
    ]
    assert (told[2]["progress"], told[2]["message"]) == (0.5, "half way")
    assert told[3]["result"] == 1
    assert told[-1]["final"] is True
    assert [each["timestamp"] for each in told] == sorted(each["timestamp"] for each in told)


async def test_a_failure_is_told_with_its_error_and_the_end_always_comes(
    manager: TaskManager,
) -> None:
    told: list[dict[str, Any]] = []

    @manager.streaming_callbacks.add_listener
    def listen(event: dict[str, Any]) -> None:
        told.append(event)

    await manager.distribute_task_tree(await tree(manager, {"id": "a", "name": "broken"}))
    failed = next(each for each in told if each["type"] == "task_failed")
    assert (failed["task_id"], failed["error"]) == ("a", "it broke")
    assert (told[-1]["type"], told[-1]["status"]) == ("final", "failed")


async def test_what_is_told_is_stored_already(manager: TaskManager, db: Session) -> None:
    stored: list[bool] = []

    def listen(event: dict[str, Any]) -> None:
        view = db.store.reads.task(event["task_id"])
        assert view is not None
        stored.append(event["type"] != "task_completed" or view.status == "completed")

    manager.streaming_callbacks.add_listener(listen)
    await manager.distribute_task_tree(await tree(manager, {"id": "a", "name": "work"}))
    assert stored
    assert all(stored)


async def test_a_queue_gets_the_same_and_a_full_one_is_passed_over(
    manager: TaskManager, caplog: pytest.LogCaptureFixture
) -> None:
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=2)
    manager.streaming_callbacks.event_queue = queue
    settled = await manager.distribute_task_tree(await tree(manager, {"id": "a", "name": "work"}))
    assert settled.task.status == "completed"
    assert [queue.get_nowait()["type"] for _ in range(2)] == ["task_start", "task_start"]
    assert "the event queue is full: final was left out" in caplog.text


async def test_a_listener_that_fails_stops_nothing(
    manager: TaskManager, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    @manager.streaming_callbacks.add_listener
    def fail(event: dict[str, Any]) -> None:
        raise RuntimeError("not listening")

    manager.streaming_callbacks.add_listener(lambda event: told.append(event["type"]))
    run = manager.distribute_task_tree(await tree(manager, {"id": "a", "name": "work"}))
    settled = await asyncio.wait_for(run, 10)
    assert settled.task.status == "completed"
    assert told[-1] == "final"
    assert "a listener failed at task_start" in caplog.text


async def test_a_large_result_is_not_told_but_read(manager: TaskManager) -> None:
    told: list[dict[str, Any]] = []
    manager.streaming_callbacks.add_listener(told.append)
    big = {"id": "a", "name": "work", "inputs": {"give": "x" * 100_000}}
    settled = await manager.distribute_task_tree(await tree(manager, big))
    completed = next(each for each in told if each["type"] == "task_completed")
    assert completed["result"] is None
    assert settled.children[0].task.result == "x" * 100_000


async def test_nothing_is_told_where_callbacks_are_not_wanted(manager: TaskManager) -> None:
    told: list[dict[str, Any]] = []
    manager.streaming_callbacks.add_listener(told.append)
    run = await tree(manager, {"id": "a", "name": "work"})
    await manager.distribute_task_tree(run, use_callback=False)
    assert told == []


def test_callbacks_listen_where_there_is_a_queue_or_a_listener() -> None:
    assert not StreamingCallbacks("r").listening
    assert StreamingCallbacks(event_queue=asyncio.Queue()).listening
    callbacks = StreamingCallbacks()
    callbacks.add_listener(lambda event: None)
    assert callbacks.listening
