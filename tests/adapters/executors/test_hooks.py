"""Functions that run around executors."""

import threading
from typing import Any

import pytest

from aipartnerupflow.adapters.executors import (
    BaseTask,
    Registry,
    TaskView,
    add_executor_hook,
    clear_config,
    executor_register,
    get_task_tree_hooks,
    register_post_hook,
    register_pre_hook,
    register_task_tree_hook,
)
from aipartnerupflow.domain.errors import InvalidInput
from tests.adapters.executors.calls import call, error, outcome, result


class Echo(BaseTask):
    id = "echo"
    name = "Echo"

    async def execute(self, inputs: dict[str, Any]) -> Any:
        return inputs


class BlockingEcho(BaseTask):
    id = "blocking_echo"
    name = "Blocking echo"

    def execute(self, inputs: dict[str, Any]) -> Any:
        return inputs


both = pytest.mark.parametrize("executor", ["echo", "blocking_echo"])


@pytest.fixture
def registry() -> Registry:
    registry = Registry(installed=list)
    registry.register(Echo)
    registry.register(BlockingEcho)
    return registry


@both
async def test_hooks_of_an_executor_run_before_and_after_it(
    registry: Registry, executor: str
) -> None:
    log: list[Any] = []

    async def before(executor: Any, task: TaskView, inputs: dict[str, Any]) -> None:
        log.append(["before", executor.id, task.id, dict(inputs)])

    def after(executor: Any, task: TaskView, inputs: dict[str, Any], result: Any) -> Any:
        log.append(["after", executor.id, task.id, result])
        return "not looked at"

    registry.add_executor_hook(executor, "pre_hook", before)
    registry.add_executor_hook(executor, "post_hook", after)
    assert await result(registry, executor, {"n": 1}) == {"n": 1}
    assert log == [
        ["before", executor, "a-task", {"n": 1}],
        ["after", executor, "a-task", {"n": 1}],
    ]


@both
async def test_what_a_pre_hook_of_an_executor_returns_stands_for_its_result(
    registry: Registry, executor: str
) -> None:
    seen: list[Any] = []
    registry.add_executor_hook(executor, "pre_hook", lambda *_: None)
    registry.add_executor_hook(executor, "pre_hook", lambda *_: {"from": "cache"})
    registry.add_executor_hook(executor, "pre_hook", lambda *_: seen.append("not reached"))
    registry.add_executor_hook(executor, "post_hook", lambda *args: seen.append(args[3]))
    assert await result(registry, executor) == {"from": "cache"}
    assert seen == [{"from": "cache"}]


async def test_hooks_can_be_named_where_an_executor_is_registered(clean_default: Registry) -> None:
    seen: list[str] = []

    @executor_register(
        pre_hook=lambda *_: seen.append("pre"), post_hook=lambda *_: seen.append("post")
    )
    class Hooked(Echo):
        id = "hooked"

    add_executor_hook("hooked", "post_hook", lambda *_: seen.append("added"))
    await result(clean_default, Hooked.id)
    assert seen == ["pre", "post", "added"]


def test_a_hook_for_nobody_or_of_no_kind_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidInput, match="nobody"):
        registry.add_executor_hook("nobody", "pre_hook", print)
    with pytest.raises(InvalidInput, match="pre_hook or post_hook"):
        registry.add_executor_hook("echo", "mid_hook", print)
    with pytest.raises(InvalidInput, match="function"):
        registry.add_executor_hook("echo", "pre_hook", 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="on_tree_created"):
        registry.add_tree_hook("on_tree_planted", print)


def fails(*_: Any) -> Any:
    raise SystemExit("no")


async def fails_later(*_: Any) -> Any:
    raise ValueError("no")


@pytest.mark.parametrize("hook", [fails, fails_later])
async def test_a_failing_hook_is_logged_and_changes_nothing(
    registry: Registry, hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    registry.add_executor_hook("echo", "pre_hook", hook)
    registry.add_executor_hook("echo", "post_hook", hook)
    registry.add_post_hook(hook)
    registry.add_pre_hook(hook)
    assert await registry.before(call("echo", {"n": 1})) is None
    assert await result(registry, "echo", {"n": 1}) == {"n": 1}
    assert len([record for record in caplog.records if hook.__name__ in record.message]) == 4


async def test_global_post_hooks_run_after_success_only(registry: Registry) -> None:
    seen: list[Any] = []

    class Sad(BaseTask):
        id = "sad"
        name = "Sad"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return {"success": False}

    class Odd(BaseTask):
        id = "odd"
        name = "Odd"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return object()

    def after(task: TaskView, inputs: dict[str, Any], result: Any) -> None:
        seen.append((task.name, inputs, result, threading.get_ident()))

    registry.add_post_hook(after)
    for cls in (Sad, Odd):
        registry.register(cls)
        await error(registry, cls.id)
    assert seen == []
    await result(registry, "echo", {"n": 1})
    (name, inputs, given, thread) = seen[0]
    assert (name, inputs, given) == ("A task", {"n": 1}, {"n": 1})
    assert thread != threading.get_ident()


async def test_a_global_pre_hook_may_change_the_inputs(registry: Registry) -> None:
    def adds(task: TaskView) -> None:
        task.inputs["added"] = [1]

    async def replaces(task: TaskView) -> None:
        task.inputs = task.inputs | {"who": task.user_id}

    found = [registry.has_before]
    registry.add_pre_hook(adds)
    registry.add_pre_hook(replaces)
    assert [*found, registry.has_before] == [False, True]
    before = call("echo", {"n": {"m": 1}}, owner="kim")
    assert await registry.before(before) == {"n": {"m": 1}, "added": [1], "who": "kim"}
    assert before.inputs == {"n": {"m": 1}}


@pytest.mark.parametrize("inputs", [None, [], object(), {"a": object()}])
async def test_inputs_that_are_no_json_object_are_not_taken_from_a_hook(
    registry: Registry, inputs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def spoils(task: TaskView) -> None:
        task.inputs = inputs

    registry.add_pre_hook(spoils)
    assert await registry.before(call("echo", {"n": 1})) is None
    assert "not a JSON object" in caplog.text


async def test_without_hooks_nothing_is_changed(registry: Registry) -> None:
    assert await registry.before(call("echo", {"n": 1})) is None
    registry.add_pre_hook(lambda task: task.inputs.update(n=1))
    assert await registry.before(call("echo", {"n": 1})) is None


async def test_the_decorators_fill_the_registry_of_the_process(clean_default: Registry) -> None:
    seen: list[str] = []

    @register_pre_hook
    def before(task: TaskView) -> None:
        seen.append("before")

    @register_post_hook
    async def after(task: TaskView, inputs: Any, result: Any) -> None:
        seen.append("after")

    @register_task_tree_hook("on_tree_completed")
    async def completed(root: Any, status: str) -> None: ...

    register_pre_hook(before)
    clean_default.register(Echo)
    await clean_default.before(call("echo"))
    await result(clean_default, "echo")
    assert seen == ["before", "after"]
    assert get_task_tree_hooks("on_tree_completed") == (completed,)
    clear_config()
    assert not clean_default.has_before
    assert get_task_tree_hooks("on_tree_completed") == ()
    await outcome(clean_default, "echo")
    assert seen == ["before", "after"]
    assert "echo" in clean_default.ids()
