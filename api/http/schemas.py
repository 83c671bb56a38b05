"""What documents look like: JSON Schemas for OpenAPI, made from the types that are encoded."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from msgspec import Meta

from ... import __version__
from ...domain.policies import WrittenPolicy
from ...domain.specs import MAX_NAME
from ...domain.webhooks import MAX_HOOKS
from ..documents import TaskDocument, TaskInFull, TreeDocument
from ..problems import Problem
from ..submitting import Submitted
from ..webhooks import WrittenHook
from ..wiring import ExecutorInfo
from . import commands, webhooks
from .examples import EXAMPLES, LINKS

TITLE: Final = "aipartnerupflow"
ABOUT: Final = """Trees of tasks: submitted, run, watched and steered over HTTP.

Every change is an event; what you read is made of them, as it stands now or as it stood at any
version (`at_version`) or time (`at`). Errors are problem documents (RFC 9457).
"""
_REF: Final = "#/components/schemas/{name}"
_NAMES: Final = {
    "TreeDocument": "Tree",
    "TaskInFull": "Task",
    "TaskDocument": "TaskSummary",
    "_NewTask": "NewTask",
    "WrittenHook": "Webhook",
    "DependencyDocument": "Dependency",
    "AttemptDocument": "Attempt",
    "ExecutorInfo": "Executor",
    "ErrorInfo": "TaskError",
}
_NULLABLE_ID: Final = {"type": ["string", "null"]}


def _page(item: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": _REF.format(name=item)}},
            "next": {
                "type": ["string", "null"],
                "description": "Where the next page begins; null at the end.",
            },
        },
    }


_TASKS: Final = {
    "type": "array",
    "minItems": 1,
    "items": {"$ref": _REF.format(name="NewTask")},
    "examples": [[
        {"key": "report", "name": "aggregate_results_executor", "dependencies": ["cpu"]},
        {"key": "cpu", "name": "system_info_executor", "parent_id": "report",
         "inputs": {"resource": "cpu"}},
    ]],
}  # fmt: skip
_WRITTEN: Final[dict[str, Any]] = {
    "NewTree": {
        "description": "An array of tasks, of which one has no parent; a task with `children`; or "
        "an object with either in `tasks`.",
        "anyOf": [
            _TASKS,
            {
                "type": "object",
                "required": ["tasks"],
                "additionalProperties": False,
                "properties": {
                    "tasks": {"anyOf": [_TASKS, {"$ref": _REF.format(name="NewTask")}]},
                    "name": {
                        "type": ["string", "null"],
                        "maxLength": MAX_NAME,
                        "description": "Of the tree.",
                    },
                    "limit": {
                        "type": ["integer", "null"],
                        "minimum": 1,
                        "description": "So many of its tasks run at once, at most.",
                    },
                    "start": {
                        "type": "boolean",
                        "default": True,
                        "description": "False: it stays a draft.",
                    },
                    "webhooks": {
                        "type": "array",
                        "maxItems": MAX_HOOKS,
                        "items": {"$ref": _REF.format(name="Webhook")},
                        "description": "Are told of its events, until it settles.",
                    },
                    "demo": {
                        "type": "boolean",
                        "default": False,
                        "description": "Executors do not work, they give results for show.",
                    },
                },
            },
            {"$ref": _REF.format(name="NewTask")},
        ],
    },
    "Event": {
        "type": "object",
        "description": "What happened. Further fields depend on the type.",
        "required": ["position", "version", "type", "at", "by", "tree_id"],
        "properties": {
            "position": {"type": "integer"},
            "version": {"type": "integer", "minimum": 1},
            "type": {"type": "string", "examples": ["task.completed"]},
            "at": {"type": "string", "format": "date-time"},
            "by": {"type": "string"},
            "tree_id": {"type": "string"},
            "task_id": {"type": "string"},
            "attempt": {"type": "integer"},
        },
    },
    "Why": {
        "type": "object",
        "required": ["task_id", "key", "status", "reason"],
        "properties": {
            "task_id": {"type": "string"},
            "key": {"type": "string"},
            "status": {"type": "string"},
            "reason": {"type": "string"},
            "on": {"type": "string", "description": "The key of the task that it waits for."},
            "until": {"type": "string", "format": "date-time"},
            "deadline": {"type": "string", "format": "date-time"},
            "signal": {"type": "string"},
            "detail": {"type": "string"},
            "engine": {"type": "string"},
        },
    },
    "CommandState": {
        "type": "object",
        "required": ["id", "tree_id", "name", "at", "state", "version", "detail"],
        "properties": {
            "id": {"type": "string"},
            "tree_id": {"type": "string"},
            "name": {"type": "string"},
            "at": {"type": "string", "format": "date-time"},
            "state": {"enum": ["open", "done", "refused"]},
            "version": {"type": ["integer", "null"]},
            "detail": _NULLABLE_ID,
        },
    },
    "StreamTicket": {
        "type": "object",
        "required": ["ticket", "expires_in"],
        "properties": {"ticket": {"type": "string"}, "expires_in": {"type": "integer"}},
    },
    "Health": {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"enum": ["ok", "degraded"]},
            "reasons": {"type": "array", "items": {"type": "string"}},
        },
    },
    "Plan": {
        "type": "object",
        "required": ["id", "runs", "kept"],
        "properties": {
            "id": {"type": "string"},
            "runs": {"type": "array", "items": {"type": "string"}},
            "kept": {"type": "array", "items": {"type": "string"}},
        },
    },
    "TreePage": _page("Tree"),
    "TaskPage": _page("TaskSummary"),
    "EventPage": _page("Event"),
    "WhyPage": _page("Why"),
    "ExecutorPage": _page("Executor"),
    "WebhookPage": _page("WebhookState"),
}


class _NewTask(WrittenPolicy, kw_only=True):
    """A task as it is written; see `domain.written`. Unknown fields are refused."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    id: str | None = None
    key: str | None = None
    parent_id: str | None = None
    user_id: str | None = None
    dependencies: list[str | dict[str, Any]] | None = None
    inputs: dict[str, Any] | None = None
    params: dict[str, Any] | None = None
    schemas: dict[str, Any] | None = None
    priority: Annotated[int, Meta(ge=0, le=3)] | None = None
    children: list["_NewTask"] | None = None


def components() -> dict[str, Any]:
    """All schemas by name."""
    kinds = (
        TreeDocument, TaskDocument, TaskInFull, Submitted, Problem, ExecutorInfo, _NewTask,
        WrittenHook, commands.Start, commands.Reason, commands.Rerun, commands.Signal,
        commands.Accepted, webhooks.WebhookState,
    )  # fmt: skip
    _, made = msgspec.json.schema_components(kinds, ref_template=_REF)
    found = {_NAMES.get(name, name): _renamed(schema) for name, schema in made.items()}
    for schema in found.values():
        schema.pop("title", None)
    found["NewTask"]["additionalProperties"] = False
    found |= _WRITTEN
    return {
        name: schema | {"examples": [EXAMPLES[name]]} if name in EXAMPLES else schema
        for name, schema in found.items()
    }


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _reference(item) if key == "$ref" else _renamed(item)
            for key, item in value.items()
        }
    return [_renamed(item) for item in value] if isinstance(value, list) else value


def _reference(ref: str) -> str:
    before, _, name = ref.rpartition("/")
    return f"{before}/{_NAMES.get(name, name)}"


def describe(app: FastAPI) -> None:
    """Let the application describe itself: OpenAPI 3.1, made once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _made(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _made(app: FastAPI) -> dict[str, Any]:
    made = get_openapi(
        title=TITLE, version=__version__, description=ABOUT, routes=app.routes,
        openapi_version="3.1.0",
    )  # fmt: skip
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= components()
    made["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "`apflow token create`"},
        "ticket": {
            "type": "apiKey", "in": "query", "name": "ticket",
            "description": "For one stream: `POST /v1/stream-tickets`",
        },
    }  # fmt: skip
    public = {
        getattr(route, "path", "")
        for route in app.routes
        if getattr(route, "name", "") in app.state.public
    }
    for path, operations in made["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in public else [{"token": []}]
            if "streams" in operation["tags"] and "get" in operations:
                operation["security"].append({"ticket": []})
            _without_library_answers(operation)
            _with_links(operation)
    return made


def _with_links(operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        if found := LINKS.get((operation["operationId"], status)):
            answer["links"] = dict(found)


def _without_library_answers(operation: dict[str, Any]) -> None:
    """FastAPI describes answers of its own, which our routes do not give."""
    for answer in operation.get("responses", {}).values():
        media = answer.get("content", {}).get("application/json", {})
        if media.get("schema") in ({}, {"$ref": _REF.format(name="HTTPValidationError")}):
            answer.pop("content")
