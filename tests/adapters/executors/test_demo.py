"""Attempts for show: nothing works, everything seems to."""

import time
from typing import Any

import pytest

from aipartnerupflow.adapters.executors import BaseTask, Registry
from tests.adapters.executors.calls import error, outcome, result


class Oven(BaseTask):
    id = "oven"
    name = "Oven"

    async def execute(self, inputs: dict[str, Any]) -> Any:
        raise AssertionError("a demo bakes nothing")

    def get_demo_result(self, task: Any, inputs: dict[str, Any]) -> Any:
        return inputs["shows"]


class Stove(Oven):
    id = "stove"
    name = "Stove"

    def execute(self, inputs: dict[str, Any]) -> Any:
        raise AssertionError("a demo cooks nothing")


class Plain:
    id = "plain"

    async def execute(self, inputs: dict[str, Any]) -> Any:
        raise AssertionError("a demo does nothing")


@pytest.fixture(autouse=True)
def executors(registry: Registry) -> None:
    for cls in (Oven, Stove, Plain):
        registry.register(cls)


@pytest.mark.parametrize("executor", ["oven", "stove"])
async def test_an_executor_shows_what_it_has_for_demos(registry: Registry, executor: str) -> None:
    shown = await result(registry, executor, {"shows": {"cake": 1}}, demo=True)
    assert shown == {"cake": 1, "demo_mode": True}


@pytest.mark.parametrize(("executor", "shows"), [("oven", None), ("plain", None)])
async def test_one_that_has_nothing_for_demos_shows_something(
    registry: Registry, executor: str, shows: Any
) -> None:
    shown = await result(registry, executor, {"shows": shows}, demo=True)
    assert shown == {"result": "Demo execution result", "demo_mode": True}


async def test_what_is_no_object_stands_under_result(registry: Registry) -> None:
    shown = await result(registry, "oven", {"shows": [1]}, demo=True)
    assert shown == {"result": [1], "demo_mode": True}


@pytest.mark.parametrize("executor", ["oven", "stove"])
async def test_it_may_seem_to_take_its_time(registry: Registry, executor: str) -> None:
    registry.configure({"APFLOW_DEMO_SLEEP_SCALE": 0.5})
    begun = time.monotonic()
    shown = await result(registry, executor, {"shows": {"_demo_sleep": 0.2}}, demo=True)
    assert shown == {"demo_mode": True}
    assert time.monotonic() - begun >= 0.1


@pytest.mark.parametrize("sleep", [True, "long", None, -1.0, [], 0])
async def test_a_time_that_is_none_takes_none(registry: Registry, sleep: Any) -> None:
    shown = await result(registry, "oven", {"shows": {"_demo_sleep": sleep}}, demo=True)
    assert shown == {"demo_mode": True}


async def test_the_operator_may_let_demos_take_no_time(registry: Registry) -> None:
    registry.configure({"APFLOW_DEMO_SLEEP_SCALE": 0})
    shown = await result(registry, "oven", {"shows": {"_demo_sleep": 600}}, demo=True)
    assert shown == {"demo_mode": True}


async def test_one_that_fails_at_its_demo_has_failed(registry: Registry) -> None:
    assert (await error(registry, "oven", {}, demo=True)).type == "KeyError"


async def test_a_demo_that_was_interrupted_is_shown_again(registry: Registry) -> None:
    first = await outcome(registry, "plain", demo=True)
    assert await outcome(registry, "plain", demo=True, reattach=True) == first
