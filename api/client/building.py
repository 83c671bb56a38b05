"""How calls are put together."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from ...domain.errors import NotFound
from ...domain.specs import is_id
from ..documents import Accepted
from ..encoding import as_json
from .types import Call, Some

T = TypeVar("T")

COMMAND_SECONDS: Final = 15.0
JSON: Final = {"Content-Type": "application/json"}


def of_tree(id: str, *rest: str) -> str:
    """A path below a tree."""
    return "/".join(("/v1/trees", safe("tree", id), *rest))


def of_task(id: str, *rest: str) -> str:
    """A path below a task."""
    return "/".join(("/v1/tasks", safe("task", id), *rest))


def safe(what: str, id: str) -> str:
    """As a part of a path. Raises `NotFound` for what cannot be an id."""
    if not is_id(id):
        raise NotFound(what, id)
    return id if id.strip(".") else id.replace(".", "%2E")


def items_of(call: Call[Some[T]]) -> Call[list[T]]:
    """What is on a page that is the only one."""
    page = call.read
    return Call(
        method=call.method, path=call.path, read=lambda body: page(body).items, repeatable=True
    )


def get(path: str, kind: type[T], **params: str | int | None) -> Call[T]:
    return Call(
        method="GET", path=path, read=reading(kind), params=given(**params), repeatable=True
    )


def commanding(path: str, said: Mapping[str, Any], if_version: int | None) -> Call[Accepted]:
    """What changes a tree, at a version if one is given."""
    headers = JSON if if_version is None else {**JSON, "If-Match": f'"{if_version}"'}
    return Call(
        method="POST", path=path, read=reading(Accepted), body=as_json(said, "the command"),
        headers=headers, takes=COMMAND_SECONDS,
    )  # fmt: skip


def reading(kind: type[T]) -> Callable[[bytes], T]:
    """Reads a body as this type."""
    any_kind: Any = kind
    decode: Callable[[bytes], T] = _decoder(any_kind)
    return decode


@cache
def _decoder(kind: Any) -> Any:
    return msgspec.json.Decoder(kind).decode


def given(**params: str | int | None) -> dict[str, str]:
    """Those parameters that were given."""
    return {key: str(value) for key, value in params.items() if value is not None}


def listed(types: Sequence[str] | None) -> str | None:
    """With commas between."""
    return None if types is None else ",".join(types)
