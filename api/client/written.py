"""Trees as callers hand them in, into the body of a request."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from ...domain.errors import InvalidInput
from ..encoding import as_json

Tree = Sequence[Mapping[str, Any]] | Mapping[str, Any] | bytes | str
"""An array of tasks, a task with ``children``, an object with ``tasks``; or JSON of these."""


def written(tree: Tree, beside: Mapping[str, Any]) -> bytes:
    """The body. ``beside`` stands next to the tasks. Raises `InvalidInput`."""
    body: Any = tree.encode() if isinstance(tree, str) else tree
    if isinstance(body, bytes):
        if not beside:
            return body
        body = _outermost(body)
    if not beside:
        return as_json(body, "the tree")
    whole = dict(body) if isinstance(body, Mapping) and "tasks" in body else {"tasks": _array(body)}
    return as_json(whole | dict(beside), "the tree")


def _array(body: Any) -> Any:
    return [body] if isinstance(body, Mapping) else body


def _outermost(body: bytes) -> Any:
    """What stands in it stays as it was written."""
    try:
        if body.lstrip()[:1] == b"[":
            return msgspec.json.decode(body, type=list[Raw])
        return msgspec.json.decode(body, type=dict[str, Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the tree is not JSON: {error}") from error
