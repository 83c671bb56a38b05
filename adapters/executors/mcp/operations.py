"""What can be asked of an MCP server, whatever the way to it."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from ....domain.errors import InvalidInput
from ..base import Inputs
from ..errors import TransientError
from ..secrets import plain
from .schemas import OPERATIONS

MAX_MESSAGE: Final = 10 << 20
"""Bytes of one message that are read."""
MAX_PAGES: Final = 100
MAX_ITEMS: Final = 10_000
IDEMPOTENCY_KEY: Final = "aipartnerupflow/idempotency-key"
"""Under `_meta` of a call: the same in all attempts."""
READS: Final = frozenset(OPERATIONS) - {"call_tool"}


class Operation(Struct, frozen=True):
    """``method`` and ``params`` of the protocol; ``offer`` is the capability that it takes.

    ``keeps`` are the parts of the answer that become the result; where ``pages``, the first of
    them is a list that may come in several.
    """

    name: str
    method: str
    offer: str
    keeps: tuple[str, ...]
    params: dict[str, Any] = {}
    pages: bool = False


class ServerGone(TransientError):
    """The server ended, or gave no answer in time."""


class ServerRefused(Exception):
    """An answer of the server that is an error, as JSON-RPC has it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotUnderstood(Exception):
    """The server does not speak the protocol as it should."""


def operation_of(inputs: Inputs, key: str) -> Operation:
    """What is asked for. Raises `InvalidInput` where something of it is missing."""
    name = inputs.get("operation")
    arguments = _arguments(inputs)
    match name:
        case "list_tools":
            return Operation(name, "tools/list", "tools", ("tools",), pages=True)
        case "list_resources":
            return Operation(name, "resources/list", "resources", ("resources",), pages=True)
        case "list_prompts":
            return Operation(name, "prompts/list", "prompts", ("prompts",), pages=True)
        case "call_tool":
            tool = _needed(inputs, "tool_name")
            params = {"name": tool, "arguments": arguments, "_meta": {IDEMPOTENCY_KEY: key}}
            keeps = ("content", "structuredContent", "isError")
            return Operation(name, "tools/call", "tools", keeps, params)
        case "read_resource":
            params = {"uri": _needed(inputs, "resource_uri")}
            return Operation(name, "resources/read", "resources", ("contents",), params)
        case "get_prompt":
            prompt = _needed(inputs, "prompt_name")
            if not all(isinstance(value, str) for value in arguments.values()):
                raise InvalidInput("the arguments of a prompt are texts")
            params = {"name": prompt, "arguments": arguments}
            return Operation(name, "prompts/get", "prompts", ("description", "messages"), params)
        case _:
            raise InvalidInput(f"operation is one of {', '.join(OPERATIONS)}")


def shaped(operation: Operation, transport: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The result of the task. A tool that says that it failed makes it fail."""
    kept = {name: answer[name] for name in operation.keeps if answer.get(name) is not None}
    result = {"success": True, "operation": operation.name, "transport": transport, "result": kept}
    if operation.name == "call_tool":
        kept["isError"] = bool(kept.get("isError"))
        if kept["isError"]:
            result |= {"success": False, "error": f"the tool failed: {_said(kept)}"}
    if answer.get("truncated"):
        result["truncated"] = True
    return result


def refused(operation: Operation, transport: str, error: ServerRefused) -> dict[str, Any]:
    """The result where the server answers with an error."""
    return {
        "success": False, "operation": operation.name, "transport": transport,
        "error": f"the server refused it: {error}", "error_code": error.code,
    }  # fmt: skip


class Pages:
    """A list that comes in pages, up to a bound."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._items: list[Any] = []
        self._seen = 0
        self._size = 0
        self._cut = False

    def add(self, page: Mapping[str, Any]) -> str | None:
        """Returns the cursor of the next page, if there is one that is to be read."""
        found = page.get(self._name)
        if not isinstance(found, list):
            raise NotUnderstood(f"the server's answer has no list of {self._name}")
        self._items += found
        self._seen += 1
        self._size += len(msgspec.json.encode(found))
        cursor = page.get("nextCursor")
        if not isinstance(cursor, str) or not cursor:
            return None
        if (
            self._seen >= MAX_PAGES
            or len(self._items) >= MAX_ITEMS
            or self._size >= MAX_MESSAGE // 2
        ):
            self._cut = True
            return None
        return cursor

    def answer(self) -> dict[str, Any]:
        """All pages as one answer."""
        cut = self._cut or len(self._items) > MAX_ITEMS
        return {self._name: self._items[:MAX_ITEMS], "truncated": cut}


def fraction(progress: Any, total: Any) -> float | None:
    """How far it is; None where the server does not tell of how much."""
    numbers = isinstance(progress, int | float) and isinstance(total, int | float)
    return progress / total if numbers and total > 0 else None


def _said(kept: Mapping[str, Any]) -> str:
    content = kept.get("content")
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            return str(part["text"])
    return "it does not say why"


def _arguments(inputs: Inputs) -> dict[str, Any]:
    """A copy with plain texts, as libraries expect them."""
    given = inputs.get("arguments") or {}
    if not isinstance(given, dict):
        raise InvalidInput("arguments is an object")
    copied: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(given, enc_hook=plain))
    return copied


def _needed(inputs: Inputs, name: str) -> str:
    value = inputs.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{inputs['operation']} needs {name}")
    return str(value)
