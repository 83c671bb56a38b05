"""Plain functions as executors."""

from collections.abc import Mapping
from typing import Any, Literal, Optional

import pytest

from aipartnerupflow.adapters.executors import Context, Registry, task
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.domain.inputs import effective
from tests.adapters.executors.calls import Port, raw, result


async def test_a_function_becomes_an_executor_by_its_name(clean_default: Registry) -> None:
    @task
    async def add(a: int, b: int = 1) -> dict[str, int]:
        """Adds two numbers.

        No more.
        """
        return {"sum": a + b}

    assert await result(clean_default, "add", {"a": 2}) == {"sum": 3}
    assert await result(clean_default, "add", {"a": 2, "b": 5}) == {"sum": 7}
    assert await add(1, 1) == {"sum": 2}
    entry = clean_default.entry("add")
    assert entry.cls.description == "Adds two numbers."  # type: ignore[attr-defined]
    assert clean_default.module_of("add") == __name__


async def test_id_name_and_limit_can_be_given(registry: Registry) -> None:
    @task(id="my.adder", name="Adder", limit=3, tags=("sums",), registry=registry)
    def add(a: int) -> int:
        return a + 1

    assert await result(registry, "my.adder", {"a": 1}) == 2
    kind = registry.kind("my.adder")
    assert (kind.limit, kind.runs, kind.properties) == (3, "thread", ("a",))
    assert add(1) == 2


def test_the_schema_follows_from_the_parameters(registry: Registry) -> None:
    @task(registry=registry)
    async def many(  # type: ignore[no-untyped-def]
        text: str,
        count: int,
        share: float,
        flag: bool,
        items: list[int],
        fields: Mapping[str, Any],
        maybe: str | None,
        old_maybe: Optional[int],  # noqa: UP045 - people write it
        color: Literal["red", "blue"],
        anything: Any,
        mixed: int | object,
        untyped,
        optional: int = 1,
    ) -> None: ...

    assert registry.entry("many").declared == {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer"},
            "share": {"type": "number"},
            "flag": {"type": "boolean"},
            "items": {"type": "array"},
            "fields": {"type": "object"},
            "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "old_maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "color": {"enum": ["red", "blue"]},
            "anything": {},
            "mixed": {},
            "untyped": {},
            "optional": {"type": "integer"},
        },
        "required": [
            "text", "count", "share", "flag", "items", "fields", "maybe", "old_maybe", "color",
            "anything", "mixed", "untyped",
        ],
        "additionalProperties": False,
    }  # fmt: skip


def test_inputs_that_do_not_fit_the_parameters_are_violations(registry: Registry) -> None:
    @task(registry=registry)
    async def add(a: int) -> None: ...

    def wrong(inputs: dict[str, Any]) -> list[str]:
        return list(registry.violations("add", raw({}), inputs))

    assert wrong({"a": 1}) == []
    assert wrong({}) == ['/: required ["a"]']
    assert wrong({"a": "1"}) == ['/a: type "integer"']
    (told,) = wrong({"a": 1, "typo": 2})
    assert told == "/: additionalProperties false: 'typo' is unknown; known are a"


async def test_results_of_dependencies_fill_the_parameters(registry: Registry) -> None:
    @task(registry=registry)
    async def total(count: int, price: int = 1) -> int:
        return count * price

    declared = registry.properties("total", raw({}))
    inputs = effective(raw({"price": 3}), [("shop", lambda: {"count": 2, "price": 9})], declared)
    assert inputs == {"count": 2, "price": 3}
    assert await result(registry, "total", inputs) == 6


async def test_a_function_without_parameters_needs_nothing_from_its_dependencies(
    registry: Registry,
) -> None:
    @task(registry=registry)
    async def ping() -> str:
        return "pong"

    declared = registry.properties("ping", raw({}))
    inputs = effective(raw({}), [("before", lambda: {"n": 1})], declared)
    assert list(registry.violations("ping", raw({}), inputs)) == []
    assert await result(registry, "ping", inputs) == "pong"


async def test_one_parameter_called_inputs_gets_them_all(registry: Registry) -> None:
    @task(registry=registry)
    async def echo(inputs: dict[str, Any], context: Context) -> Any:
        return [inputs, context.attempt]

    assert registry.kind("echo").properties is None
    assert await result(registry, "echo", {"a": 1, "context": 2}) == [{"a": 1, "context": 2}, 2]


async def test_keyword_arguments_take_the_rest(registry: Registry) -> None:
    @task(registry=registry)
    async def some(a: int, **rest: Any) -> Any:
        return [a, rest]

    @task(registry=registry)
    def all_of_it(**rest: Any) -> Any:
        return rest

    assert await result(registry, "some", {"a": 1, "b": 2}) == [1, {"b": 2}]
    assert registry.kind("some").properties == ("a",)
    assert list(registry.violations("some", raw({}), {"a": 1, "b": 2})) == []
    assert await result(registry, "all_of_it", {"b": 2}) == {"b": 2}
    assert registry.kind("all_of_it").properties is None


async def test_inputs_beside_other_parameters_is_an_ordinary_name(registry: Registry) -> None:
    @task(registry=registry)
    async def both(inputs: int, other: int) -> int:
        return inputs + other

    assert await result(registry, "both", {"inputs": 1, "other": 2}) == 3


async def test_a_blocking_function_has_a_context_too(registry: Registry) -> None:
    @task(registry=registry)
    def works(context: Context, n: int) -> int:
        context.save_now({"n": n})
        return n

    port = Port()
    assert await result(registry, "works", {"n": 4}, port=port) == 4
    assert port.saved == [{"n": 4}]
    assert registry.kind("works").properties == ("n",)


async def test_annotations_that_cannot_be_looked_up_leave_the_names(registry: Registry) -> None:
    @task(registry=registry)
    async def odd(a: "NoSuchType") -> Any:  # type: ignore[name-defined] # noqa: F821
        return a

    assert registry.kind("odd").properties == ("a",)
    assert await result(registry, "odd", {"a": 1}) == 1


def test_parameters_without_a_name_are_refused(registry: Registry) -> None:
    with pytest.raises(InvalidInput, match="'args'"):

        @task(registry=registry)
        async def star(*args: int) -> None: ...

    with pytest.raises(InvalidInput, match="'a'"):

        @task(registry=registry)
        async def slash(a: int, /) -> None: ...
