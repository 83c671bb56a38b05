"""Hooks: functions of users around tasks and trees."""

import asyncio
from typing import Any

import pytest

from aipartnerupflow import (
    BaseTask,
    TaskManager,
    TaskTreeNode,
    add_executor_hook,
    clear_config,
    executor_register,
    get_task_tree_hooks,
    register_post_hook,
    register_pre_hook,
    register_task_tree_hook,
    task,
)
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.domain.events import TaskStarted


@pytest.fixture(autouse=True)
def echo(executors: None) -> None:
    @task
    async def echo(inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs

    @task
    async def broken() -> None:
        raise RuntimeError("it broke")


async def run(manager: TaskManager, name: str, inputs: dict[str, Any] | None = None) -> Any:
    """The settled task ``r`` of a tree of one."""
    created = await manager.task_repository.create_task(name, "chef", id="r", inputs=inputs)
    return (await manager.distribute_task_tree(TaskTreeNode(created))).task


def stored_inputs(db: Session) -> list[Any]:
    """What each ``task.started`` says of changed inputs."""
    return [
        bytes(recorded.event.inputs) if recorded.event.inputs else None
        for recorded in db.store.journal.read("r")
        if isinstance(recorded.event, TaskStarted)
    ]


async def test_what_a_pre_hook_changes_reaches_the_executor_and_the_log(
    manager: TaskManager, db: Session
) -> None:
    @register_pre_hook
    async def season(each: Any) -> None:
        assert (each.id, each.name, each.user_id) == ("r", "echo", "chef")
        each.inputs["salt"] = True

    @register_pre_hook
    def taste(each: Any) -> None:
        each.inputs["tasted"] = "salt" in each.inputs

    settled = await run(manager, "echo", {"water": 2})
    assert settled.result == {"water": 2, "salt": True, "tasted": True}
    assert stored_inputs(db) == [b'{"water":2,"salt":true,"tasted":true}']
    assert settled.inputs == {"water": 2}


async def test_a_pre_hook_that_changes_nothing_leaves_no_trace(
    manager: TaskManager, db: Session
) -> None:
    seen = []

    @register_pre_hook
    def look(each: Any) -> None:
        seen.append(each.inputs)

    await run(manager, "echo", {"water": 2})
    assert seen == [{"water": 2}]
    assert stored_inputs(db) == [None]


async def test_a_post_hook_sees_the_result_of_what_succeeded_only(manager: TaskManager) -> None:
    seen = []

    @register_post_hook
    async def note(each: Any, inputs: Any, result: Any) -> None:
        seen.append((each.name, inputs, result))

    root, *_ = await manager.task_repository.create_tasks(
        [{"name": "r", "children": [{"name": "echo", "inputs": {"a": 1}}, {"name": "broken"}]}]
    )
    await manager.distribute_task_tree(TaskTreeNode(root))
    assert seen == [("echo", {"a": 1}, {"a": 1})]


async def test_a_hook_that_fails_is_logged_and_changes_nothing(
    manager: TaskManager, caplog: pytest.LogCaptureFixture
) -> None:
    @register_pre_hook
    def fail_before(each: Any) -> None:
        raise RuntimeError("before")

    @register_post_hook
    def fail_after(each: Any, inputs: Any, result: Any) -> None:
        raise RuntimeError("after")

    @register_task_tree_hook("on_tree_completed")
    def fail_at_the_end(root: Any, status: str) -> None:
        raise RuntimeError("at the end")

    settled = await run(manager, "echo", {"a": 1})
    assert (settled.status, settled.result) == ("completed", {"a": 1})
    assert "fail_before failed" in caplog.text
    assert "fail_after failed" in caplog.text
    assert "on_tree_completed failed" in caplog.text


async def test_hooks_of_an_executor_may_take_its_place(manager: TaskManager) -> None:
    seen: list[Any] = []

    def before(executor: Any, each: Any, inputs: Any) -> Any:
        seen.append(("before", executor.id, each.id, inputs))
        return {"from": "the hook"} if inputs.get("short") else None

    async def after(executor: Any, each: Any, inputs: Any, result: Any) -> None:
        seen.append(("after", result))

    @executor_register(pre_hook=before, post_hook=after)
    class Real(BaseTask):
        id = "real"
        name = "Real"

        async def execute(self, inputs: dict[str, Any]) -> dict[str, str]:
            return {"from": "the executor"}

    settled = await run(manager, "real", {"short": True})
    assert settled.result == {"from": "the hook"}
    other = await manager.task_repository.create_task("real")
    node = await manager.distribute_task_tree(TaskTreeNode(other))
    assert node.task.result == {"from": "the executor"}
    assert seen == [
        ("before", "real", "r", {"short": True}),
        ("after", {"from": "the hook"}),
        ("before", "real", other.id, {}),
        ("after", {"from": "the executor"}),
    ]


async def test_hooks_are_added_to_any_executor_and_forgotten_by_clear_config(
    manager: TaskManager,
) -> None:
    add_executor_hook("system_info_executor", "pre_hook", lambda *_: {"system": "mine"})
    settled = await run(manager, "system_info_executor")
    assert settled.result == {"system": "mine"}
    clear_config()
    other = await manager.task_repository.create_task("system_info_executor")
    node = await manager.distribute_task_tree(TaskTreeNode(other))
    assert node.task.result.keys() == {"cpu", "memory", "disk"}
    with pytest.raises(InvalidInput, match="no executor is called 'nobody'; there are aggregate"):
        add_executor_hook("nobody", "pre_hook", lambda *_: None)


@pytest.fixture
def told() -> list[tuple[Any, ...]]:
    """What the hooks of trees were told."""
    said: list[tuple[Any, ...]] = []

    @register_task_tree_hook("on_tree_created")
    async def created(root: Any, tree: Any) -> None:
        said.append(("created", root.status, root.draft, [node.task.name for node in tree]))

    @register_task_tree_hook("on_tree_started")
    def started(root: Any) -> None:
        said.append(("started", root.status))

    @register_task_tree_hook("on_tree_completed")
    def completed(root: Any, status: str) -> None:
        said.append(("completed", root.status, status))

    @register_task_tree_hook("on_tree_failed")
    async def failed(root: Any, message: str) -> None:
        said.append(("failed", root.status, message))

    return said


async def test_the_hooks_of_a_tree_are_called_once_in_order(
    manager: TaskManager, told: list[Any]
) -> None:
    created = await manager.task_repository.create_task("echo", id="r")
    tree = TaskTreeNode(created)
    await asyncio.gather(*(manager.distribute_task_tree(tree) for _ in range(3)))
    await manager.distribute_task_tree(tree)
    assert told == [
        ("created", "pending", True, ["echo"]),
        ("started", "pending"),
        ("completed", "completed", "completed"),
    ]


async def test_a_tree_that_failed_says_so_to_its_hook(
    manager: TaskManager, told: list[Any]
) -> None:
    await run(manager, "broken")
    assert told[-1] == ("failed", "failed", "Tree finished with status: failed")


def test_the_hooks_of_trees_can_be_listed_and_have_fixed_names(told: list[Any]) -> None:
    assert [hook.__name__ for hook in get_task_tree_hooks("on_tree_started")] == ["started"]
    with pytest.raises(InvalidInput, match="no tree event 'on_tree_cancelled'; there are"):
        register_task_tree_hook("on_tree_cancelled")(lambda: None)
