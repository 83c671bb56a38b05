"""What executors are made from."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from aipartnerupflow.adapters.executors import (
    BaseTask,
    ExecutableTask,
    Registry,
    executor_register,
)
from tests.adapters.executors.calls import call, error, result


class Numbers(BaseModel):
    n: int
    label: str = ""

    @field_validator("label")
    @classmethod
    def short(cls, value: str) -> str:
        if len(value) > 5:
            raise ValueError(f"{value} is too long")
        return value


class Modelled(BaseTask):
    id = "modelled"
    name = "Modelled"
    inputs_schema = Numbers

    async def execute(self, inputs: dict[str, Any]) -> Any:
        return inputs


class Described(BaseTask):
    id = "described"
    name = "Described"
    inputs_schema = {  # noqa: RUF012 - as people write it
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    }

    async def execute(self, inputs: dict[str, Any]) -> Any:
        return inputs


async def test_the_smallest_documented_executor_runs(clean_default: Registry) -> None:
    @executor_register()
    class MyCustomExecutor(BaseTask):
        """My custom task executor"""

        id = "my_custom_executor"
        name = "My Custom Executor"

        async def execute(self, inputs):  # type: ignore[no-untyped-def]
            return {"result": "done"}

    assert await result(clean_default, "my_custom_executor") == {"result": "done"}
    assert MyCustomExecutor().get_input_schema() == {}
    assert MyCustomExecutor().get_output_schema() == {}


async def test_a_class_with_nothing_but_id_name_and_execute_runs(registry: Registry) -> None:
    class Plain:
        id = "plain"
        name = "Plain"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return inputs["n"] + 1

    registry.register(Plain)
    assert await result(registry, "plain", {"n": 1}) == 2
    assert await result(registry, "plain", {"n": 1}, params={"executor_id": "plain"}) == 2


async def test_a_plain_class_may_be_synchronous_and_then_runs_in_a_thread(
    registry: Registry,
) -> None:
    class Blocking:
        id = "blocking"
        name = "Blocking"

        def execute(self, inputs: dict[str, Any]) -> Any:
            with pytest.raises(RuntimeError, match="no running event loop"):
                asyncio.get_running_loop()
            return "from a thread"

    registry.register(Blocking)
    assert registry.kind("blocking").runs == "thread"
    assert await result(registry, "blocking") == "from a thread"


async def test_a_class_that_can_hold_no_attributes_runs_without_context(registry: Registry) -> None:
    class Tight:
        __slots__ = ()
        id = "tight"
        name = "Tight"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    registry.register(Tight)
    assert await result(registry, "tight") == 1


async def test_id_and_name_may_be_properties(registry: Registry) -> None:
    class Old(ExecutableTask):
        @property
        def id(self) -> str:
            return "old"

        @property
        def name(self) -> str:
            return "Old"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return {}

        def get_input_schema(self) -> dict[str, Any]:
            return {"type": "object", "properties": {"url": {"type": "string"}}}

    registry.register(Old)
    assert await result(registry, "old") == {}
    assert registry.kind("old").properties == ("url",)
    assert (await Old().execute({}), Old().description) == ({}, "")
    assert Old().cancel() == {"status": "failed", "message": "old cannot be cancelled"}


async def test_the_constructor_gets_the_params_of_the_task(registry: Registry) -> None:
    class Keeps(BaseTask):
        id = "keeps"
        name = "Keeps"

        def __init__(self, model: str = "", **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.model = model

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return [self.model, self.user_id, self.inputs]

    registry.register(Keeps)
    params = {"executor_id": "keeps", "model": "small", "user_id": "kim"}
    assert await result(registry, "keeps", {"n": 1}, params=params) == ["small", "kim", {"n": 1}]
    assert await result(registry, "keeps", params=params, owner="lee") == ["small", "lee", {}]


async def test_params_that_a_constructor_does_not_take_fail_the_task(registry: Registry) -> None:
    class Narrow:
        id = "narrow"
        name = "Narrow"

        def __init__(self, size: int = 0) -> None:
            self.size = size

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return self.size

    registry.register(Narrow)
    params = {"executor_id": "narrow", "size": 3}
    assert await result(registry, "narrow", params=params) == 3
    assert (await error(registry, "narrow", params={"sise": 3})).type == "TypeError"


async def test_the_task_is_seen_as_it_was_submitted(registry: Registry) -> None:
    class Looks(BaseTask):
        id = "looks"
        name = "Looks"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            task = self.task
            assert task is not None
            assert task.inputs is inputs
            return [
                task.id, task.key, task.name, task.task_tree_id, task.parent_id, task.user_id,
                task.priority, task.params, task.schemas, task.status, task.attempt,
                task.generation, self.task_id,
            ]  # fmt: skip

    registry.register(Looks)
    params, schemas = {"executor_id": "looks"}, {"method": "looks"}
    seen = await result(registry, "looks", {}, params=params, schemas=schemas, owner="kim")
    assert seen == [
        "a-task", "a", "A task", "root", "root", "kim", 0, params, schemas, "in_progress", 2, 1,
        "a-task",
    ]  # fmt: skip


def test_inputs_are_checked_against_a_json_schema() -> None:
    described = Described()
    assert described.validate_input_schema({"n": 1})
    assert not described.validate_input_schema({"n": "secret"})
    with pytest.raises(ValueError, match=r'^/n: type "integer"$'):
        described.check_input_schema({"n": "secret"})
    with pytest.raises(ValueError, match=r'^/: required \["n"\]$'):
        described.check_input_schema({})


def test_inputs_are_checked_against_a_pydantic_model() -> None:
    modelled = Modelled()
    assert modelled.validate_input_schema({"n": 1})
    with pytest.raises(ValueError, match=r"^/n: int_parsing; /label: value_error$"):
        modelled.check_input_schema({"n": "secret", "label": "far too long"})
    assert set(modelled.get_input_schema()["properties"]) == {"n", "label"}


def test_a_schema_given_to_the_constructor_counts_instead() -> None:
    given = Described(inputs_schema={"required": ["m"]}, outputs_schema={"type": "object"})
    assert given.validate_input_schema({"m": 1})
    assert given.get_output_schema() == {"type": "object"}


def test_an_executor_can_be_used_without_an_engine() -> None:
    class Talks(BaseTask):
        id = "talks"
        name = "Talks"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            await self.context.progress(0.5)
            await self.context.save({"at": 1})
            return self.cancellation_checker()

    assert asyncio.run(Talks(inputs={"n": 1}).execute({})) is False
    assert Talks(inputs={"n": 1}).inputs == {"n": 1}
    assert Talks().get_demo_result(None, {}) is None


async def test_kinds_say_where_an_executor_runs_and_how_often(registry: Registry) -> None:
    class Heavy(BaseTask):
        id = "heavy"
        name = "Heavy"
        limit = 2
        runs = "process"

        def execute(self, inputs: dict[str, Any]) -> Any:
            return None

    registry.register(Heavy)
    registry.register(Modelled)
    heavy = registry.kind("heavy")
    assert (heavy.runs, heavy.limit, heavy.by_key) == ("process", 2, False)
    assert registry.kind("modelled").runs == "loop"
    assert registry.kind("modelled").properties == ("n", "label")
    assert call("x").key == "a"
