"""How requests and answers look, for OpenAPI."""

from typing import Any, Final

from ..http.parameters import described
from .envelope import MAX_BATCH
from .errors import Code
from .methods import METHODS

_ID: Final = {"type": ["string", "number", "null"]}
_REQUEST: Final[dict[str, Any]] = {
    "type": "object",
    "description": "Without `id` it is a notification: carried out, and not answered.",
    "required": ["jsonrpc", "method"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "method": {"type": "string", "examples": list(METHODS)},
        "params": {"type": ["object", "array"]},
        "id": _ID,
    },
}
_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["code", "message", "data"],
    "properties": {
        "code": {"enum": [int(code) for code in Code]},
        "message": {"type": "string"},
        "data": {
            "type": "array",
            "description": "All that is wrong.",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {
                    "field": {"type": "string"},
                    "reason": {"type": "string"},
                    "fault": {"type": "string"},
                    "code": {"type": "integer"},
                    "path": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}
_ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["jsonrpc", "id"],
    "properties": {"jsonrpc": {"const": "2.0"}, "result": {}, "error": _ERROR, "id": _ID},
    "oneOf": [{"required": ["result"]}, {"required": ["error"]}],
}

BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": False,  # even none at all is answered, with an error
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        _REQUEST,
                        {"type": "array", "minItems": 1, "maxItems": MAX_BATCH, "items": _REQUEST},
                        {"description": "Whatever else is answered with an error."},
                    ]
                },
                "example": {
                    "jsonrpc": "2.0", "id": 1, "method": "tasks.list", "params": {"limit": 10},
                },
            }
        },
    }
}  # fmt: skip
METHOD_LIST: Final[dict[int | str, Any]] = {
    200: {
        "description": "By name.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["methods", "absent"],
                    "properties": {
                        "methods": {"type": "array", "items": {"type": "object"}},
                        "absent": {"type": "array", "items": {"type": "object"}},
                    },
                },
                "example": {
                    "methods": [
                        {"name": "tasks.get", "scope": "read", "about": "One task, by `task_id`."}
                    ],
                    "absent": [{"name": "tasks.generate", "reason": "write trees by hand"}],
                },
            }
        },
    }
}


def answers() -> dict[int | str, Any]:
    """The answers of an address."""
    found = described(200, "", errors=(401, 403, 413, 415, 422, 429, 503))
    found[200] = {
        "description": "The answer, or those of a batch; errors of JSON-RPC too. A stream where "
        "`tasks.execute` asks for one.",
        "content": {
            "application/json": {
                "schema": {"anyOf": [_ANSWER, {"type": "array", "items": _ANSWER}]},
                "example": {"jsonrpc": "2.0", "id": 1, "result": {"tasks": [], "total": 0}},
            },
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
    found[204] = {"description": "There were only notifications."}
    return found
