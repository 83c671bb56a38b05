"""What schemas say of inputs whose secrets are not known yet."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from aipartnerupflow.adapters.executors import BaseTask, Registry
from tests.adapters.executors.calls import raw

SECRET = {"$secret": "S"}


class Key(BaseModel):
    key: Annotated[str, Field(min_length=40)]
    kind: Literal["a", "b"] = "a"
    number: int = 1


class Anything(BaseTask):
    id = "anything"
    name = "Anything"

    async def execute(self, inputs: dict[str, Any]) -> Any:
        return inputs


class Modelled(Anything):
    id = "modelled"
    inputs_schema = Key


@pytest.fixture
def registry() -> Registry:
    found = Registry(installed=list)
    found.register(Anything)
    found.register(Modelled)
    return found


def told(registry: Registry, rule: Any, value: Any) -> list[str]:
    """By a task's schema, and in the same way by an executor's own."""

    class Own(Anything):
        id = "own"
        inputs_schema = {"properties": {"x": rule}}  # noqa: RUF012 - as people write it

    registry.register(Own, override=True)
    own = registry.violations("own", raw({}), {"x": value})
    schemas = raw({"input_schema": {"properties": {"x": rule}}})
    assert registry.violations("anything", schemas, {"x": value}) == own
    return list(own)


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "string", "minLength": 40},
        {"type": ["string", "null"], "maxLength": 3},
        {"enum": ["a", "b"]},
        {"const": "a"},
        {"not": {"const": "a secret that will be here"}},
        {"anyOf": [{"type": "integer"}, {"minLength": 40}]},
        {"oneOf": [{"minLength": 1}, {"type": "string"}]},
        {"if": {"type": "string"}, "then": {"minLength": 40}},
        {"$ref": "#/properties/x/$defs/long", "$defs": {"long": {"minLength": 40}}},
    ],
)
def test_no_rule_of_a_text_is_broken_by_a_secret(registry: Registry, rule: Any) -> None:
    assert told(registry, rule, SECRET) == []


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"items": {"minLength": 40}}, [SECRET]),
        ({"additionalProperties": {"minLength": 40}}, {"y": SECRET}),
        ({"uniqueItems": True}, [SECRET, SECRET]),
        ({"enum": [["a"], ["b"]]}, [SECRET]),
        ({"contains": {"const": "a"}}, ["b", {"y": SECRET}]),
        ({"anyOf": [{"items": {"minLength": 40}}, {"type": "string"}]}, [SECRET]),
    ],
)
def test_nor_one_of_what_it_is_a_part_of(registry: Registry, rule: Any, value: Any) -> None:
    assert told(registry, rule, value) == []


@pytest.mark.parametrize(
    ("rule", "value", "said"),
    [
        ({"type": "integer"}, SECRET, "/x: type"),
        (False, SECRET, "/: nothing is allowed here"),
        ({"anyOf": [False, {"type": "integer"}]}, SECRET, "/x: anyOf"),
        ({"anyOf": [{"type": "integer"}, {"type": "array"}]}, SECRET, "/x: anyOf"),
        ({"items": {"minLength": 40}}, [SECRET, "short"], "/x/1: minLength"),
        ({"minLength": 40}, "a secret that will be here", "/x: minLength"),
        ({"maxItems": 1}, [SECRET, SECRET], "/x: maxItems"),
        ({"required": ["z"]}, {"y": SECRET}, "/x: required"),
        ({"additionalProperties": False}, {"y": SECRET}, "/x: additionalProperties"),
        ({"uniqueItems": True}, [1, 1], "/x: uniqueItems"),
        ({"anyOf": [{"required": ["z"]}, {"type": "string"}]}, {"y": SECRET}, "/x: anyOf"),
    ],
)
def test_what_no_secret_could_mend_is_told(
    registry: Registry, rule: Any, value: Any, said: str
) -> None:
    (found,) = told(registry, rule, value)
    assert found.startswith(said)


def test_many_secrets_hide_no_violation_behind_them(registry: Registry) -> None:
    found = told(registry, {"items": {"minLength": 40}}, [SECRET] * 100 + ["short"])
    assert found == ["/x/100: minLength 40"]


def test_models_say_nothing_of_secrets_either(registry: Registry) -> None:
    inputs = {"key": SECRET, "kind": SECRET, "number": SECRET}
    assert registry.violations("modelled", raw({}), inputs) == []
    found = registry.violations("modelled", raw({}), inputs | {"key": "short"})
    assert found == ["/key: string_too_short"]
