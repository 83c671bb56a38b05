"""The description of the API: complete, valid, and as it was approved."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.openapi_diff import APPROVED, METHODS, breaking, described, written

schemathesis = pytest.importorskip(
    "schemathesis", reason="a tool of the tests; not installed beside the lowest versions"
)

DOCUMENT = described()
HOW = "If it is meant so: python -m tests.support.openapi_diff, and name it in CHANGELOG.md"
PROBLEM = {"$ref": "#/components/schemas/Problem"}


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, found in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in found:
                yield f"{method.upper()} {path}", found[method]


OPERATIONS = dict(operations())
each_operation = pytest.mark.parametrize("name", OPERATIONS)


def test_the_description_is_openapi_3_1_and_valid() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(
        described() | {"info": {"title": "x", "version": "1"}}
    ).validate()
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    def walk(item: Any) -> Iterator[str]:
        if isinstance(item, dict):
            if isinstance(item.get("$ref"), str):
                yield item["$ref"]
            for value in item.values():
                yield from walk(value)
        elif isinstance(item, list):
            for value in item:
                yield from walk(value)

    for reference in set(walk(DOCUMENT)):
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
        assert place, reference


def test_every_schema_is_used_and_says_what_it_is() -> None:
    text = json.dumps(DOCUMENT)
    for name in DOCUMENT["components"]["schemas"]:
        assert f'"#/components/schemas/{name}"' in text, name


def test_operation_ids_are_unique_names() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(ids) == len(set(ids))
    assert all(id.isidentifier() for id in ids)


@each_operation
def test_an_operation_says_what_it_does_and_who_may(name: str) -> None:
    operation = OPERATIONS[name]
    for field in ("operationId", "summary", "description"):
        assert operation[field], field
    assert len(operation["tags"]) == 1
    schemes = {scheme for option in operation["security"] for scheme in option}
    assert schemes <= set(DOCUMENT["components"]["securitySchemes"])
    public = name in ("GET /livez", "GET /readyz")
    assert (operation["security"] == []) is public


@each_operation
def test_an_operation_tells_of_its_errors(name: str) -> None:
    operation = OPERATIONS[name]
    answers = operation["responses"]
    wanted = set() if operation["security"] == [] else {"401", "403", "503"}
    if "{" in name:
        wanted |= {"404", "422"}
    if operation.get("parameters"):
        wanted |= {"422"}
    if "requestBody" in operation:
        wanted |= {"413", "415", "422"}
    assert wanted <= set(answers)
    for status, answer in answers.items():
        assert answer["description"], status
        if status >= "400" and name != "GET /readyz":
            assert answer["content"]["application/problem+json"]["schema"] == PROBLEM


@each_operation
def test_a_parameter_says_what_it_is(name: str) -> None:
    for parameter in OPERATIONS[name].get("parameters", []):
        assert parameter.get("description"), parameter["name"]
        assert parameter["schema"], parameter["name"]


def example_of(media: dict[str, Any]) -> tuple[Any, Any]:
    """An example and its schema."""
    schema = media["schema"]
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "example" in media:
        return media["example"], schema
    if "examples" in schema:
        return schema["examples"][0], schema
    alternatives = [each for each in schema.get("anyOf", []) if "examples" in each]
    return alternatives[0]["examples"][0], schema


@each_operation
def test_an_operation_shows_what_is_given_and_what_comes_back(name: str) -> None:
    operation = OPERATIONS[name]
    contents = [
        answer["content"]
        for status, answer in operation["responses"].items()
        if status < "300" and "content" in answer
    ]
    if "requestBody" in operation:
        contents.append(operation["requestBody"]["content"])
    for content in contents:
        for kind, media in content.items():
            if kind != "application/json":
                continue
            example, schema = example_of(media)
            whole = {**schema, "components": DOCUMENT["components"]}
            whole.pop("examples", None)
            Draft202012Validator(whole).validate(example)


def test_links_lead_to_operations_that_are_there() -> None:
    ids = {operation["operationId"]: operation for operation in OPERATIONS.values()}
    count = 0
    for operation in OPERATIONS.values():
        for answer in operation["responses"].values():
            for link in answer.get("links", {}).values():
                names = {each["name"] for each in ids[link["operationId"]]["parameters"]}
                assert set(link["parameters"]) <= names
                count += 1
    assert count > 20


def test_the_description_is_the_approved_one() -> None:
    approved = json.loads(APPROVED.read_text(encoding="utf-8"))
    if approved == DOCUMENT:
        return
    found = breaking(approved, DOCUMENT)
    told = "\n".join(f"  {line}" for line in found) or "  nothing that we know of"
    pytest.fail(f"the description has changed. What breaks clients:\n{told}\n{HOW}", pytrace=False)


def test_the_approved_copy_is_written_as_it_is_approved() -> None:
    text = APPROVED.read_text(encoding="utf-8")
    assert text == written(json.loads(text))


# -- what breaks clients is told from what does not

Change = Callable[[dict[str, Any]], Any]


def schema_of(document: dict[str, Any], name: str) -> Any:
    return document["components"]["schemas"][name]


def operation_of(document: dict[str, Any], path: str, method: str = "get") -> Any:
    return document["paths"][path][method]


def parameter_of(document: dict[str, Any], path: str, name: str) -> Any:
    return next(p for p in operation_of(document, path)["parameters"] if p["name"] == name)


BREAKING: dict[str, Change] = {
    "/v1/commands/{command}: the path is gone": lambda d: d["paths"].pop("/v1/commands/{command}"),
    "POST /v1/trees: the operation is gone": lambda d: d["paths"]["/v1/trees"].pop("post"),
    "GET /v1/trees: the parameter limit in query is gone": lambda d: operation_of(d, "/v1/trees")[
        "parameters"
    ].remove(parameter_of(d, "/v1/trees", "limit")),
    "GET /v1/trees: the parameter status in query is required now": lambda d: parameter_of(
        d, "/v1/trees", "status"
    ).update(required=True),
    "GET /v1/trees: the parameter limit: narrower: maximum is 10": lambda d: parameter_of(
        d, "/v1/trees", "limit"
    )["schema"].update(maximum=10),
    "GET /v1/trees: the parameter limit: narrower: no integer any more": lambda d: parameter_of(
        d, "/v1/trees", "limit"
    )["schema"].update(type="string"),
    "GET /livez: it was public": lambda d: operation_of(d, "/livez").update(
        security=[{"token": []}]
    ),
    "POST /v1/trees/{tree}/cancel: a body is required now": lambda d: operation_of(
        d, "/v1/trees/{tree}/cancel", "post"
    )["requestBody"].update(required=True),
    "POST /v1/trees: the answer 200 is gone": lambda d: operation_of(d, "/v1/trees", "post")[
        "responses"
    ].pop("200"),
    "GET /v1/trees: the header Link of the answer 200 is gone": lambda d: operation_of(
        d, "/v1/trees"
    )["responses"]["200"]["headers"].pop("Link"),
    "Tree: version is gone": lambda d: schema_of(d, "Tree")["properties"].pop("version"),
    "Tree: paused may be missing now": lambda d: schema_of(d, "Tree")["required"].remove("paused"),
    "Tree.version: it may be null now": lambda d: schema_of(d, "Tree")["properties"][
        "version"
    ].update(type=["integer", "null"]),
    "CommandState.state: it may be lost now": lambda d: schema_of(d, "CommandState")["properties"][
        "state"
    ].update(enum=["open", "done", "refused", "lost"]),
    "NewTask: key is required now": lambda d: schema_of(d, "NewTask")["required"].append("key"),
    "NewTask: priority is not taken any more": lambda d: schema_of(d, "NewTask")["properties"].pop(
        "priority"
    ),
    "NewTask.name: narrower: maxLength is 10": lambda d: schema_of(d, "NewTask")["properties"][
        "name"
    ].update(maxLength=10),
    "Rerun.mode: narrower: no all any more": lambda d: schema_of(d, "Rerun")["properties"][
        "mode"
    ].update(enum=["failed", "from"]),
    "GET /v1/tasks/{task}: the answer 200: it is no Task any more": lambda d: operation_of(
        d, "/v1/tasks/{task}"
    )["responses"]["200"]["content"]["application/json"].update(
        schema={"$ref": "#/components/schemas/TaskSummary"}
    ),
}


@pytest.mark.parametrize("told", BREAKING)
def test_what_breaks_clients_is_named(told: str) -> None:
    changed = deepcopy(DOCUMENT)
    BREAKING[told](changed)
    assert told in breaking(DOCUMENT, changed)


def more(document: dict[str, Any]) -> None:
    """Everything that may be added."""
    document["paths"]["/v1/new"] = {"get": {"operationId": "new", "responses": {}}}
    operation_of(document, "/v1/trees")["parameters"].append(
        {"name": "colour", "in": "query", "schema": {"type": "string"}}
    )
    parameter_of(document, "/v1/trees", "limit")["schema"]["maximum"] = 5_000
    schema_of(document, "Tree")["properties"]["colour"] = {"type": "string"}
    schema_of(document, "NewTask")["properties"]["colour"] = {"type": ["string", "null"]}
    schema_of(document, "Rerun")["properties"]["mode"]["enum"].append("none")
    schema_of(document, "Tree")["description"] = "Another word for it."
    operation_of(document, "/v1/trees")["summary"] = "Another one"


def test_what_is_only_more_breaks_nobody() -> None:
    changed = deepcopy(DOCUMENT)
    more(changed)
    assert changed != DOCUMENT
    assert breaking(DOCUMENT, changed) == []
    assert breaking(DOCUMENT, DOCUMENT) == []
