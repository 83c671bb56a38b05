"""Input schemas: those of executors, and those that come with a task."""

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.adapters.executors import BaseTask, Registry, schema_faults, validation
from aipartnerupflow.adapters.executors.schemas import check_of
from tests.adapters.executors.calls import raw


class Anything(BaseTask):
    id = "anything"
    name = "Anything"

    async def execute(self, inputs: dict[str, Any]) -> Any:
        return inputs


class Strict(Anything):
    id = "strict"
    inputs_schema = {  # noqa: RUF012 - as people write it
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"code": {"type": "string", "pattern": "^[a-z]+$"}},
        "required": ["code"],
    }


@pytest.fixture
def registry() -> Registry:
    registry = Registry(installed=list)
    registry.register(Anything)
    registry.register(Strict)
    return registry


def given(schema: Any) -> Raw:
    return Raw(json.dumps({"method": "anything", "input_schema": schema}).encode())


def nested(levels: int) -> Any:
    schema: Any = True
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def test_without_a_schema_everything_fits(registry: Registry) -> None:
    assert registry.violations("anything", raw({"method": "anything"}), {"any": 1}) == ()
    assert registry.properties("anything", raw({})) is None


def test_violations_name_place_and_rule_and_never_the_value(registry: Registry) -> None:
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "maximum": 3},
            "who/what": {"items": {"properties": {"age": {"minimum": 0}}}},
            "kind": {"enum": ["a", "b"]},
        },
        "required": ["n", "m"],
        "additionalProperties": False,
    }
    inputs = {"n": 77777, "who/what": [{"age": -77777}], "kind": "77777", "extra": "77777"}
    found = registry.violations("anything", given(schema), inputs)
    assert set(found) == {
        "/n: maximum 3",
        "/who~1what/0/age: minimum 0",
        '/kind: enum ["a", "b"]',
        '/: required ["m"]',
        "/: additionalProperties false: 'extra' is unknown; known are n, who/what, kind",
    }


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"properties": {"timeout": {}}}, "'timeuot' is unknown, did you mean 'timeout'?"),
        ({"properties": {"n": {}, "m": {}}}, "'timeuot' is unknown; known are n, m"),
        ({"properties": {f"p{n}": {} for n in range(99)}}, "'timeuot' is unknown"),
        ({}, "'timeuot' is unknown"),
    ],
)
def test_a_property_that_is_not_known_is_named_with_what_may_have_been_meant(
    registry: Registry, rules: dict[str, Any], told: str
) -> None:
    schema = given(rules | {"additionalProperties": False})
    found = registry.violations("anything", schema, {"timeuot": "77777"})
    assert found == [f"/: additionalProperties false: {told}"]


def test_only_the_first_property_too_many_is_named_and_none_is_sought_among_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sought: list[tuple[str, int]] = []

    def close(name: str, known: list[str], n: int) -> list[str]:
        sought.append((name, len(known)))
        return []

    monkeypatch.setattr(validation, "get_close_matches", close)

    def told(known: int, name: str) -> list[str]:
        shut = {"properties": {f"p{n}": {} for n in range(known)}, "additionalProperties": False}
        return list(check_of({"items": shut})([{name: 1}, {name: 1}]))

    assert told(2, "x") == [
        "/0: additionalProperties false: 'x' is unknown; known are p0, p1",
        "/1: additionalProperties false",
    ]
    for known, name in ((51, "x"), (2, "x" * 81)):
        told(known, name)
    assert sought == [("x", 2)]


def test_where_properties_have_patterns_none_is_named() -> None:
    check = check_of({"additionalProperties": False, "patternProperties": {"^x-": {}}})
    assert check({"x-a": 1, "b": 1}) == ["/: additionalProperties false"]


def test_the_schema_of_the_task_and_that_of_the_executor_both_count(registry: Registry) -> None:
    schemas = given({"properties": {"n": {"type": "integer"}}})
    assert registry.violations("strict", schemas, {"code": "abc", "n": 1}) == []
    assert list(registry.violations("strict", schemas, {"code": "ABC", "n": "x"})) == [
        '/n: type "integer"',
        '/code: pattern "^[a-z]+$"',
    ]


def test_the_properties_of_the_task_go_before_those_of_the_executor(registry: Registry) -> None:
    assert registry.properties("strict", given({"properties": {"x": {}, "y": True}})) == ("x", "y")
    assert registry.properties("strict", given({"properties": {}})) == ()
    assert registry.properties("strict", given({"type": "object"})) == ("code",)
    assert registry.properties("strict", raw({})) == ("code",)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        {},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object"},
        {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "http://example.org/x"},
        {"$defs": {"a b": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a%20b"}}},
        {"$defs": {"t": {"$anchor": "tree"}}, "properties": {"x": {"$ref": "#tree"}}},
        {"properties": {"children": {"items": {"$ref": "#"}}}},
        {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}},
        {"enum": [{"pattern": "(a+)+$"}], "default": {"$ref": "http://example.org"}},
        {"items": [{"type": "string"}, True], "additionalItems": False},
        {"dependencies": {"a": ["b"], "c": {"required": ["d"]}}},
        {"dependentRequired": {"a": ["b"]}, "minProperties": 1, "multipleOf": 0.5},
        nested(31),
    ],
)
def test_an_ordinary_schema_may_come_with_a_task(registry: Registry, schema: Any) -> None:
    assert schema_faults(given(schema)) == []
    registry.violations("anything", given(schema), {"x": "text", "children": [{}]})


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"$ref": "file:///etc/passwd"}, "/$ref"),
        ({"$ref": "http://127.0.0.1/schema"}, "/$ref"),
        ({"$ref": "other.json#/definitions/a"}, "/$ref"),
        ({"$dynamicRef": "https://example.org/x"}, "/$dynamicRef"),
        ({"$ref": "http://json-schema.org/draft-07/schema#"}, "/$ref"),
        ({"$ref": "#/$defs/missing"}, "/$ref"),
        ({"$ref": "#/default", "default": {"pattern": "(a+)+$"}}, "/$ref"),
        ({"$ref": "#/enum/0", "enum": [{"patternProperties": {"(a+)+$": True}}]}, "/$ref"),
        ({"$ref": "#/x", "x": {"pattern": "(a+)+$"}}, "/$ref"),
        ({"properties": {"a": {"$id": "http://example.org/", "$ref": "#"}}}, "/properties/a/$id"),
        ({"allOf": [{"$schema": "http://json-schema.org/draft-04/schema#"}]}, "/allOf/0/$schema"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "/$schema"),
        ({"pattern": "(a+)+$"}, "/pattern"),
        ({"properties": {"a": {"pattern": "x"}}}, "/properties/a/pattern"),
        ({"properties": {"properties": {"pattern": "x"}}}, "/properties/properties/pattern"),
        ({"contentSchema": {"$anchor": "a", "pattern": "x"}}, "/contentSchema/pattern"),
        ({"patternProperties": {"x": {}}}, "/patternProperties"),
        ({"propertyNames": {"pattern": "x"}}, "/propertyNames/pattern"),
        ({"unevaluatedProperties": False}, "/unevaluatedProperties"),
        (nested(33), "deeper"),
        ({"enum": [json.loads("[" * 33 + "]" * 33)]}, "deeper"),
        ({"title": "x" * 65536}, "bytes"),
        ([], "a schema is"),
        ("string", "a schema is"),
        ({"properties": []}, "/properties"),
        ({"properties": {"a": 3}}, "/properties/a"),
        ({"allOf": []}, "/allOf"),
        ({"anyOf": {"a": True}}, "/anyOf"),
        ({"type": "text"}, "/type"),
        ({"type": []}, "/type"),
        ({"required": "n"}, "/required"),
        ({"minLength": -1}, "/minLength"),
        ({"maximum": "3"}, "/maximum"),
        ({"multipleOf": 0}, "/multipleOf"),
        ({"uniqueItems": 1}, "/uniqueItems"),
        ({"dependentRequired": {"a": "b"}}, "/dependentRequired"),
        ({"$ref": 3}, "/$ref"),
    ],
)
def test_a_schema_with_tricks_is_refused_at_submission_and_never_used(
    registry: Registry, schema: Any, fault: str
) -> None:
    faults = schema_faults(given(schema))
    assert any(fault in each for each in faults), faults
    assert list(registry.violations("anything", given(schema), {"a": "a" * 40})) == faults
    assert list(registry.schema_faults(given(schema))) == faults


def test_a_schema_that_is_no_json_at_all_is_refused() -> None:
    assert schema_faults(Raw(b'{"input_schema": {"a": }}')) == [
        "input_schema: not JSON, or nested too deeply"
    ]
    deep = b'{"input_schema": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"
    assert schema_faults(Raw(deep)) == ["input_schema: not JSON, or nested too deeply"]


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"false")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}/schema", asked
        served.shutdown()
        thread.join()


def test_no_schema_whatever_its_origin_is_fetched(
    registry: Registry, server: tuple[str, list[str]], tmp_path: Path
) -> None:
    url, asked = server
    beside = tmp_path / "schema.json"
    beside.write_text("false")

    class Remote(Anything):
        id = "remote"
        inputs_schema = {"$ref": url}  # noqa: RUF012

    class File(Anything):
        id = "file"
        inputs_schema = {"$ref": beside.as_uri()}  # noqa: RUF012

    for cls in (Remote, File):
        registry.register(cls)
        assert list(registry.violations(cls.id, raw({}), {})) == [
            "/: the schema refers to something outside of it, which is never read"
        ]
    assert registry.violations("anything", given({"$ref": url}), {})
    assert asked == []


def test_an_executor_with_a_broken_schema_says_so(registry: Registry) -> None:
    class Wrong(Anything):
        id = "wrong"
        inputs_schema = {"properties": {"a": {"type": "text"}}}  # noqa: RUF012

    registry.register(Wrong)
    assert list(registry.violations("wrong", raw({}), {})) == [
        "the executor's input schema is itself not valid at /properties/a/type"
    ]


def doubling(levels: int) -> dict[str, Any]:
    """References that double at each level: 2 ** levels steps from some hundred bytes."""
    twice = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
        for n in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**twice, f"d{levels}": {"type": "object"}}}


def test_references_that_double_cannot_hold_the_process(registry: Registry) -> None:
    began = time.thread_time()
    found = registry.violations("anything", given(doubling(40)), {})
    assert time.thread_time() - began < 2
    assert "takes more than" in found[0]


@pytest.mark.parametrize("dialect", ["draft/2020-12", "draft-07"])
def test_naming_a_dialect_does_not_lift_the_bound(registry: Registry, dialect: str) -> None:
    scheme = "https" if "/" in dialect else "http"
    schema = {
        "$schema": f"{scheme}://json-schema.org/{dialect}/schema",
        "$id": "http://example.org/tree",
        "properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}},
    }
    inputs: dict[str, Any] = {}
    for _ in range(24):
        inputs = {"a": inputs}
    assert schema_faults(given(schema)) == []
    began = time.thread_time()
    found = registry.violations("anything", given(schema), inputs)
    assert time.thread_time() - began < 2
    assert "takes more than" in found[0]


def test_large_inputs_and_many_wrong_branches_cannot_hold_the_process(registry: Registry) -> None:
    schema = {"anyOf": [{"type": "string", "title": str(n)} for n in range(1_500)]}
    began = time.thread_time()
    found = registry.violations("anything", given(schema), {"a": ["long"] * 200_000})
    assert time.thread_time() - began < 2
    assert "takes more than" in found[0]


def test_a_long_list_and_a_cheap_schema_cannot_hold_the_process(registry: Registry) -> None:
    schema = {"properties": {"a": {"allOf": [{"items": {"title": str(n)}} for n in range(500)]}}}
    began = time.thread_time()
    found = registry.violations("anything", given(schema), {"a": [0] * 100_000})
    assert time.thread_time() - began < 2
    assert "takes more than" in found[0]


def test_a_schema_that_refers_to_itself_for_ever_is_told(registry: Registry) -> None:
    assert list(registry.violations("anything", given({"$ref": "#"}), {})) == [
        "/: the schema refers to itself without an end"
    ]


def test_unique_items_are_compared_as_json_and_quickly(registry: Registry) -> None:
    schemas = given({"properties": {"a": {"uniqueItems": True}}})

    def unique(*items: Any) -> bool:
        return not registry.violations("anything", schemas, {"a": list(items)})

    assert unique(1, True, "1", [1], [True], {"a": 1}, {"a": 2}, None, 0, False)
    assert not unique(1, 1.0)
    assert not unique({"a": 1, "b": [2]}, {"b": [2.0], "a": 1})
    began = time.thread_time()
    assert unique(*({"n": n} for n in range(20_000)))
    assert time.thread_time() - began < 1


def test_numbers_beyond_all_measure_do_not_break_the_check(registry: Registry) -> None:
    schemas = given({"properties": {"n": {"multipleOf": 0.1}}})
    assert len(registry.violations("anything", schemas, {"n": 10**400})) <= 1


def test_a_payload_is_checked_against_the_schema_of_its_task(registry: Registry) -> None:
    schema = {"type": "object", "properties": {"by": {"type": "string"}}, "required": ["by"]}
    assert list(registry.payload_faults(schema, {"by": "kim"})) == []
    assert list(registry.payload_faults(schema, {"by": 7})) == ['/by: type "string"']
    assert list(registry.payload_faults(schema, None)) == ['/: type "object"']
    assert list(registry.payload_faults(True, None)) == []
    assert list(registry.payload_faults(False, 1)) == ["/: nothing is allowed here"]
    assert list(registry.payload_faults(None, 1)) == []


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"pattern": "^(a+)+$"}, "schema/pattern: not allowed"),
        ({"$ref": "https://example.com/schema"}, "schema/$ref: only references"),
        ({"type": "any"}, "schema/type: must be"),
        ({"$comment": "x" * 70_000}, "schema: 70"),
        (nested(40), "schema: nested deeper"),
        (7, "schema: a schema is an object, true or false"),
    ],
)
def test_a_payload_does_not_fit_a_schema_with_tricks(
    registry: Registry, schema: Any, place: str
) -> None:
    (found,) = registry.payload_faults(schema, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!")
    assert found.startswith(place)


def test_a_payload_cannot_hold_the_process(registry: Registry) -> None:
    began = time.thread_time()
    (found,) = registry.payload_faults(doubling(24), {})
    assert "takes more than" in found
    assert time.thread_time() - began < 5
