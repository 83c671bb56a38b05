"""`wait` and `signal`: what they take. They are never called."""

from typing import Any

import pytest

from aipartnerupflow.adapters.executors import BaseTask, Registry
from aipartnerupflow.adapters.executors.inventory import describe
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.domain.specs import MAX_SECONDS
from aipartnerupflow.engine.ports import SIGNAL, WAIT, Kind
from tests.adapters.executors.calls import error, raw


def wrong(registry: Registry, id: str, inputs: dict[str, Any]) -> list[str]:
    return list(registry.violations(id, raw({}), inputs))


@pytest.mark.parametrize(
    "inputs",
    [
        {"seconds": 0},
        {"seconds": 0.5},
        {"seconds": MAX_SECONDS},
        {"until": "2026-01-31T09:00:00Z"},
        {"until": "2026-01-31T09:00:00.123456789+05:30"},
        {"until": "1999-12-31T23:59:59-00:00"},
    ],
)
def test_a_wait_is_for_some_seconds_or_until_a_time(
    registry: Registry, inputs: dict[str, Any]
) -> None:
    assert wrong(registry, WAIT, inputs) == []


@pytest.mark.parametrize(
    "until",
    [
        "2026-01-31T09:00:00", "2026-01-31", "2026-01-31T09:00Z", "20260131T090000Z",
        "2026-01-31 09:00:00Z", "2026-01-31T09:00:00z", "2026-02-30T09:00:00Z",
        "2026-01-31T24:00:00Z", "2026-01-31T09:00:00+24:00", "2026-W05-6T09:00:00Z",
        "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00", "٢٠٢٦-01-31T09:00:00Z",
        "2026-01-31T09:00:00Z\n", "tomorrow", "",
    ],
)  # fmt: skip
def test_a_time_that_can_be_misread_is_refused(registry: Registry, until: str) -> None:
    (found,) = wrong(registry, WAIT, {"until": until})
    assert found.startswith("/until: a time like 2026-01-31T09:00:00Z")


@pytest.mark.parametrize("inputs", [{}, {"seconds": 1, "until": "2026-01-31T09:00:00Z"}])
def test_a_wait_needs_one_of_the_two(registry: Registry, inputs: dict[str, Any]) -> None:
    assert wrong(registry, WAIT, inputs) == ["/: either until or seconds is needed, and not both"]


@pytest.mark.parametrize(
    ("inputs", "place"),
    [
        ({"seconds": -1}, "/seconds: minimum"),
        ({"seconds": MAX_SECONDS + 1}, "/seconds: maximum"),
        ({"seconds": "5"}, "/seconds: type"),
        ({"seconds": True}, "/seconds: type"),
        ({"seconds": None}, "/seconds: type"),
        ({"until": 5}, "/until: type"),
        ({"minutes": 5}, "/: additionalProperties"),
    ],
)
def test_other_waits_are_refused(registry: Registry, inputs: dict[str, Any], place: str) -> None:
    (found,) = wrong(registry, WAIT, inputs)
    assert found.startswith(place)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"name": "approved", "timeout": 0.5, "default": None},
        {"schema": {"type": "object", "required": ["by"]}},
        {"schema": True, "default": {"by": "nobody"}},
        {"schema": {"$schema": "http://json-schema.org/draft-07/schema#"}},
    ],
)
def test_a_signal_may_be_left_to_its_task_or_described(
    registry: Registry, inputs: dict[str, Any]
) -> None:
    assert wrong(registry, SIGNAL, inputs) == []


@pytest.mark.parametrize(
    ("inputs", "place"),
    [
        ({"name": ""}, "/name: minLength"),
        ({"name": "n" * 256}, "/name: maxLength"),
        ({"name": 5}, "/name: type"),
        ({"name": "a\0b"}, "/name: a name holds no NUL"),
        ({"timeout": 0}, "/timeout: exclusiveMinimum"),
        ({"timeout": MAX_SECONDS + 1}, "/timeout: maximum"),
        ({"schema": "object"}, "/schema: type"),
        ({"schema": {"type": "any"}}, "/schema/type: must be one of the seven"),
        ({"schema": {"pattern": "^(a+)+$"}}, "/schema/pattern: not allowed"),
        ({"schema": {"$ref": "file:///etc/passwd"}}, "/schema/$ref: only references"),
        ({"schema": {"$comment": "x" * 70_000}}, "/schema: 70"),
        ({"payload": 1}, "/: additionalProperties"),
    ],
)
def test_other_signals_are_refused(registry: Registry, inputs: dict[str, Any], place: str) -> None:
    (found,) = wrong(registry, SIGNAL, inputs)
    assert found.startswith(place)


@pytest.mark.parametrize("id", [WAIT, SIGNAL])
async def test_they_are_listed_with_examples_that_fit_and_never_called(
    registry: Registry, id: str
) -> None:
    info = describe(registry, id)
    assert (info.runs, info.usable, info.built_in) == ("engine", True, True)
    assert info.cancelable
    assert info.description
    assert info.input_schema["properties"]
    assert info.examples
    for example in info.examples:
        assert wrong(registry, id, example) == []
    found = await error(registry, id, info.examples[0])
    assert "never called" in found.message


@pytest.mark.parametrize("id", [WAIT, SIGNAL])
def test_nothing_of_a_result_gets_into_what_is_waited_for(registry: Registry, id: str) -> None:
    assert registry.kind(id) == Kind(id, properties=(), runs="engine", checked=True)


def test_no_other_executor_can_be_left_to_the_engine(registry: Registry) -> None:
    class Mine(BaseTask):
        id = "mine"
        name = "Mine"
        runs = "engine"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    with pytest.raises(InvalidInput, match='"process" or left out'):
        registry.register(Mine)


def test_they_can_be_replaced(registry: Registry) -> None:
    class Mine(BaseTask):
        id = "wait"
        name = "Mine"

        async def execute(self, inputs: dict[str, Any]) -> Any:
            return 1

    registry.register(Mine, override=True)
    assert registry.kind("wait").runs == "loop"
    assert wrong(registry, "wait", {"any": 1}) == []
