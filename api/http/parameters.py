"""What several routes take and give, and how it is described."""

from typing import Annotated, Any, Final

from fastapi import Header, Path, Query

ID_PATTERN: Final = r"^[A-Za-z0-9._:-]{1,128}$"
MAX_VERSION: Final = 2**53
DATE_TIME: Final[dict[str, Any]] = {"format": "date-time"}

TreeId = Annotated[str, Path(pattern=ID_PATTERN, description="The id of a tree.")]
TaskId = Annotated[str, Path(pattern=ID_PATTERN, description="The id of a task.")]
AtVersion = Annotated[
    int | None,
    Query(ge=1, le=MAX_VERSION, description="As it stood at this version of its tree."),
]
At = Annotated[
    str | None,
    Query(
        max_length=40,
        description="As it stood at this time (RFC 3339).",
        examples=["2026-01-31T09:00:00Z"],
        json_schema_extra=DATE_TIME,
    ),
]
Since = Annotated[
    str | None,
    Query(
        max_length=40, description="Created then or later (RFC 3339).", json_schema_extra=DATE_TIME
    ),
]
Until = Annotated[
    str | None,
    Query(
        max_length=40, description="Created before then (RFC 3339).", json_schema_extra=DATE_TIME
    ),
]
Limit = Annotated[int, Query(ge=1, le=1000, description="So many at most.")]
IfNoneMatch = Annotated[
    str | None, Header(max_length=1000, description='ETags that you have: `"12"`. If one of them '
                       "is the current one: 304.")
]  # fmt: skip
IfMatch = Annotated[
    str | None,
    Header(
        max_length=100,
        description='Only if the tree is at this version: `"12"`; else 412.',
        json_schema_extra={"pattern": r'^(\*|(W/)?"[0-9]{1,15}")$'},
    ),
]
Prefer = Annotated[
    str | None,
    Header(max_length=100, description="`wait=10`: answer when it has settled, or after so many "
           "seconds (at most 60)."),
]  # fmt: skip
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="The same key and body again: the same answer, and nothing happens twice.",
    ),
]

_PROBLEM: Final = {
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
}
_ERRORS: Final = {
    401: "No token, or one that this server does not know.",
    403: "The token has not the scope that this needs.",
    404: "There is nothing by that id, or it is somebody else's.",
    409: "The state does not allow it. Nothing was written.",
    412: "The tree is at another version than `If-Match` says. Nothing was written.",
    413: "The body is larger than this server takes.",
    415: "The body has a type or an encoding that this server does not take.",
    422: "A value is not usable; `errors` lists all that is wrong.",
    429: "Too many streams and waiting requests at once under this token.",
    503: "The store cannot be used now; try again.",
}


def described(
    status: int,
    description: str,
    schema: str | None = None,
    *,
    errors: tuple[int, ...] = (401, 403, 404, 422, 429, 503),
    media: str = "application/json",
    headers: tuple[str, ...] = (),
    more: dict[int | str, Any] | None = None,
) -> dict[int | str, Any]:
    """The answers of a route, for OpenAPI: one good one, and the usual bad ones."""
    content: dict[str, Any] = {"schema": {"type": "string"}}
    if schema is not None:
        content = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    good: dict[str, Any] = {"description": description, "content": {media: content}}
    if headers:
        good["headers"] = {name: _HEADERS[name] for name in headers}
    found: dict[int | str, Any] = {status: good}
    found |= {code: {"description": _ERRORS[code], **_PROBLEM} for code in errors}
    return found | (more or {})


_HEADERS: Final = {
    "ETag": {"description": "The version, quoted.", "schema": {"type": "string"}},
    "Location": {"description": "Where to read it.", "schema": {"type": "string"}},
    "Link": {"description": 'The next page: rel="next".', "schema": {"type": "string"}},
}
NOT_MODIFIED: Final[dict[int | str, Any]] = {304: {"description": "It is as you have it."}}
