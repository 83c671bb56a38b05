"""What a JSON Schema may contain that comes with a task: draft-07 or 2020-12, cut down.

Such a schema is somebody else's program. It reads nothing but itself: every reference leads to a
schema in the same document, at a place where schemas stand. Keywords whose cost nobody can bound
are refused. All is checked here by hand, because the library's own check of a schema takes
seconds for 64 KiB, and its import a tenth of one.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote

MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_SCHEMA_DEPTH: Final = 32

DRAFT_7: Final = "http://json-schema.org/draft-07/schema"
DRAFT_2020: Final = "https://json-schema.org/draft/2020-12/schema"

REFUSED: Final = {
    "pattern": "regular expressions can take for ever",
    "patternProperties": "regular expressions can take for ever",
    "unevaluatedProperties": "its cost has no bound; use additionalProperties",
    "unevaluatedItems": "its cost has no bound; use items",
}
REFERENCES: Final = {"$ref", "$dynamicRef"}
ANCHORS: Final = {"$anchor", "$dynamicAnchor"}

_ONE: Final = frozenset(
    {"additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items",
     "not", "propertyNames", "then"}
)  # fmt: skip
_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAP: Final = frozenset({"$defs", "definitions", "dependentSchemas", "dependencies", "properties"})
_TYPES: Final = {"array", "boolean", "integer", "null", "number", "object", "string"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


_RULES: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "type": (_is_type, "one of the seven JSON types, or a list of them"),
    "enum": (lambda value: isinstance(value, list), "a list"),
    "required": (_are_texts, "a list of strings"),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(map(_are_texts, value.values())),
        "an object of lists of strings",
    ),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), (_is_number, "a number")
    ),
    **{
        f"{bound}{what}": (_is_count, "a whole number from 0 on")
        for bound in ("min", "max")
        for what in ("Length", "Items", "Properties", "Contains")
    },
    **dict.fromkeys(("$schema", "$id", "format", *REFERENCES, *ANCHORS), (_is_text, "a string")),
}


def faults_of(schema: Any) -> list[str]:
    """Each fault as pointer and reason; empty where the schema may be used."""
    if _nesting(schema) > MAX_SCHEMA_DEPTH:
        return [f": nested deeper than {MAX_SCHEMA_DEPTH} levels"]
    return list(_Walk(schema).faults())


def dialect(schema: Any) -> str | None:
    """`DRAFT_7` or `DRAFT_2020`, the default; None where another one is asked for."""
    named = schema.get("$schema", DRAFT_2020) if isinstance(schema, dict) else DRAFT_2020
    wanted = str(named).rstrip("#").replace("https://", "http://")
    for known in (DRAFT_7, DRAFT_2020):
        if wanted == known.replace("https://", "http://"):
            return known
    return None


def _nesting(value: Any) -> int:
    deepest, todo = 0, [(value, 1)]
    while todo and deepest <= MAX_SCHEMA_DEPTH:
        item, depth = todo.pop()
        if isinstance(item, dict | list):
            deepest = max(deepest, depth)
            children = item.values() if isinstance(item, dict) else item
            todo.extend((child, depth + 1) for child in children)
    return deepest


class _Walk:
    """Visits every place where a schema stands, and only those."""

    def __init__(self, schema: Any) -> None:
        self.root = schema
        self.todo: list[tuple[str, Any]] = [("", schema)]
        self.places: set[str] = set()
        self.anchors: set[str] = set()
        self.references: list[tuple[str, str]] = []

    def faults(self) -> Iterator[str]:
        if dialect(self.root) is None:
            yield f"/$schema: only {DRAFT_7} and {DRAFT_2020} are known"
        for where, schema in self.todo:  # grows: breadth first
            self.places.add(where)
            if isinstance(schema, dict):
                for keyword, value in schema.items():
                    yield from self._keyword(where, keyword, value)
            elif not isinstance(schema, bool):
                yield f"{where}: a schema is an object, true or false"
        for where, target in self.references:
            if not self._is_here(target):
                yield f"{where}: only references to schemas in this document are allowed"

    def _keyword(self, where: str, keyword: str, value: Any) -> Iterator[str]:
        here = f"{where}/{_escape(keyword)}"
        if keyword in REFUSED:
            yield f"{here}: not allowed in a task's schema: {REFUSED[keyword]}"
        elif keyword in ("$schema", "$id") and where:
            yield f"{here}: allowed at the top only"
        elif keyword in _RULES:
            fits, wanted = _RULES[keyword]
            if not fits(value):
                yield f"{here}: must be {wanted}"
            elif keyword in REFERENCES:
                self.references.append((here, value))
            elif keyword in ANCHORS:
                self.anchors.add(value)
        else:
            yield from self._below(here, keyword, value)

    def _below(self, here: str, keyword: str, value: Any) -> Iterator[str]:
        listed = keyword in _LIST or (keyword == "items" and isinstance(value, list))
        if listed and isinstance(value, list) and value:
            self.todo.extend((f"{here}/{n}", item) for n, item in enumerate(value))
        elif listed:
            yield f"{here}: must be a list of schemas, not empty"
        elif keyword in _ONE:
            self.todo.append((here, value))
        elif keyword in _MAP and isinstance(value, dict):
            self.todo.extend(
                (f"{here}/{_escape(name)}", item)
                for name, item in value.items()
                if not (keyword == "dependencies" and _are_texts(item))
            )
        elif keyword in _MAP:
            yield f"{here}: must be an object of schemas"

    def _is_here(self, reference: str) -> bool:
        if not reference.startswith("#"):
            return False
        fragment = unquote(reference[1:])
        return fragment in self.places or fragment in self.anchors


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
