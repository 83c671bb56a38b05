"""What changed between two descriptions of an API, and which of it breaks clients.

python -m tests.support.openapi_diff     # writes tests/approved/openapi.json anew
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aipartnerupflow.api.http.app import create_app
from tests.support.repository import ROOT

APPROVED: Final = ROOT / "tests" / "approved" / "openapi.json"
METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
BOUNDS: Final = {
    "minimum": 1, "exclusiveMinimum": 1, "minLength": 1, "minItems": 1, "minProperties": 1,
    "maximum": -1, "exclusiveMaximum": -1, "maxLength": -1, "maxItems": -1, "maxProperties": -1,
}  # fmt: skip
"""Keywords that narrow a type as they rise (1) or fall (-1)."""
Document = Mapping[str, Any]


def described() -> dict[str, Any]:
    """The description as it stands; the version is no part of it."""
    app = create_app(None, hosts=[])  # type: ignore[arg-type]
    made: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    made["info"].pop("version")
    return made


def written(document: Document) -> str:
    """As it is approved."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def breaking(old: Document, new: Document) -> list[str]:
    """All for which a client of the old one may fail with the new one."""
    return sorted(set(_paths(old, new)) | set(_components(old, new)))


def _paths(old: Document, new: Document) -> Iterator[str]:
    for path, operations in old["paths"].items():
        if path not in new["paths"]:
            yield f"{path}: the path is gone"
            continue
        for method in (m for m in METHODS if m in operations):
            where = f"{method.upper()} {path}"
            if method not in new["paths"][path]:
                yield f"{where}: the operation is gone"
            else:
                yield from _operation(where, operations[method], new["paths"][path][method])


def _operation(where: str, old: Document, new: Document) -> Iterator[str]:
    if old.get("operationId") != new.get("operationId"):
        yield f"{where}: operationId is {new.get('operationId')}, was {old.get('operationId')}"
    if old.get("security") == [] != new.get("security"):
        yield f"{where}: it was public"
    before, after = _parameters(old), _parameters(new)
    for key in before.keys() - after.keys():
        yield f"{where}: the parameter {key[1]} in {key[0]} is gone"
    for key, parameter in after.items():
        was = before.get(key, {})
        if parameter.get("required") and not was.get("required"):
            yield f"{where}: the parameter {key[1]} in {key[0]} is required now"
        if was:
            place = f"{where}: the parameter {key[1]}"
            yield from _given(place, was.get("schema", {}), parameter.get("schema", {}))
    yield from _bodies(where, old.get("requestBody", {}), new.get("requestBody", {}))
    yield from _answers(where, old.get("responses", {}), new.get("responses", {}))


def _parameters(operation: Document) -> dict[tuple[str, str], Any]:
    return {(each["in"], each["name"]): each for each in operation.get("parameters", [])}


def _bodies(where: str, old: Document, new: Document) -> Iterator[str]:
    if new.get("required") and not old.get("required"):
        yield f"{where}: a body is required now"
    for media, content in old.get("content", {}).items():
        if media not in new.get("content", {}):
            yield f"{where}: a body of {media} is not taken any more"
        else:
            after = new["content"][media].get("schema", {})
            yield from _given(f"{where}: the body", content.get("schema", {}), after)


def _answers(where: str, old: Document, new: Document) -> Iterator[str]:
    for status, answer in old.items():
        if status.startswith("2") and status not in new:
            yield f"{where}: the answer {status} is gone"
        if status not in new:
            continue
        for name in answer.get("headers", {}).keys() - new[status].get("headers", {}).keys():
            yield f"{where}: the header {name} of the answer {status} is gone"
        for media, content in answer.get("content", {}).items():
            if media not in new[status].get("content", {}):
                yield f"{where}: the answer {status} is not {media} any more"
            else:
                after = new[status]["content"][media].get("schema", {})
                place = f"{where}: the answer {status}"
                yield from _told(place, content.get("schema", {}), after)


def _components(old: Document, new: Document) -> Iterator[str]:
    before = old.get("components", {}).get("schemas", {})
    after = new.get("components", {}).get("schemas", {})
    given, told = _reached(old, requests=True), _reached(old, requests=False)
    for name, schema in before.items():
        if name in given:
            yield from _given(name, schema, after.get(name, {"not": {}}))
        if name in told:
            yield from _told(name, schema, after.get(name, {}))


def _reached(document: Document, *, requests: bool) -> set[str]:
    """The components that requests, or answers, are made of."""
    todo: list[Any] = []
    for operations in document["paths"].values():
        for method in (m for m in METHODS if m in operations):
            operation = operations[method]
            if requests:
                todo += [operation.get("requestBody", {}), operation.get("parameters", [])]
            else:
                todo.append(operation.get("responses", {}))
    found: set[str] = set()
    schemas = document.get("components", {}).get("schemas", {})
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            name = str(item.get("$ref", "")).rpartition("/")[2]
            if name in schemas and name not in found:
                found.add(name)
                todo.append(schemas[name])
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return found


def _given(where: str, old: Document, new: Document) -> Iterator[str]:
    """What clients give may not become narrower."""
    yield from _same_reference(where, old, new)
    if gone := _types(old) - _types(new):
        yield f"{where}: narrower: no {', '.join(sorted(gone))} any more"
    if "enum" in new and (gone := _values(old, "enum", new["enum"]) - set(map(str, new["enum"]))):
        yield f"{where}: narrower: no {', '.join(sorted(gone))} any more"
    for keyword, way in BOUNDS.items():
        if keyword in new and (keyword not in old or way * (new[keyword] - old[keyword]) > 0):
            yield f"{where}: narrower: {keyword} is {new[keyword]}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{where}: narrower: it has another pattern"
    for name in set(new.get("required", [])) - set(old.get("required", [])):
        yield f"{where}: {name} is required now"
    closed = new.get("additionalProperties") is False
    if closed and old.get("additionalProperties") is not False and "properties" in old:
        yield f"{where}: narrower: unknown fields are refused"
    for name, schema in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from _given(f"{where}.{name}", schema, new["properties"][name])
        elif closed:
            yield f"{where}: {name} is not taken any more"
    yield from _alternatives(where, old, new, _given)


def _told(where: str, old: Document, new: Document) -> Iterator[str]:
    """What clients are told may not become less, or other."""
    yield from _same_reference(where, old, new)
    if "type" in old and (more := _types(new) - _types(old)):
        yield f"{where}: it may be {', '.join(sorted(more))} now"
    if "enum" in old and (more := _values(new, "enum", ["anything"]) - set(map(str, old["enum"]))):
        yield f"{where}: it may be {', '.join(sorted(more))} now"
    for name in set(old.get("required", [])) - set(new.get("required", [])):
        yield f"{where}: {name} may be missing now"
    for name, schema in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from _told(f"{where}.{name}", schema, new["properties"][name])
        else:
            yield f"{where}: {name} is gone"
    yield from _alternatives(where, old, new, _told)


def _same_reference(where: str, old: Document, new: Document) -> Iterator[str]:
    if "$ref" in old and old["$ref"] != new.get("$ref"):
        yield f"{where}: it is no {old['$ref'].rpartition('/')[2]} any more"


def _values(schema: Document, keyword: str, otherwise: list[Any]) -> set[str]:
    return set(map(str, schema.get(keyword, otherwise)))


def _types(schema: Document) -> set[str]:
    """As names; nothing said is everything."""
    everything = ["array", "boolean", "integer", "null", "number", "object", "string"]
    said = schema.get("type", everything)
    return set(said if isinstance(said, list) else [said])


def _alternatives(where: str, old: Document, new: Document, compare: Any) -> Iterator[str]:
    if "items" in old and "items" in new:
        yield from compare(f"{where}[]", old["items"], new["items"])
    for keyword in ("anyOf", "oneOf"):
        before, after = old.get(keyword, []), new.get(keyword, [])
        if before and after and len(before) != len(after):
            fewer = compare is _given and len(after) < len(before)
            more = compare is _told and len(after) > len(before)
            if fewer or more:
                yield f"{where}: {len(after)} alternatives, were {len(before)}"
        for n, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from compare(f"{where}({n + 1})", one, other)


def main() -> int:
    """Approve what is described now."""
    APPROVED.write_text(written(described()), encoding="utf-8")
    sys.stdout.write(f"{APPROVED.relative_to(ROOT)} is what is described now\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
