"""What `apflow_api_executor` takes and gives."""

from typing import Any, Final

DEFAULT_TIMEOUT: Final = 300.0
MAX_TIMEOUT: Final = 7 * 86_400.0

_TREE: Final = "`$remote_secret`, `$remote_from` stand for `$secret`, `$from` of the other instance"

INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "base_url": {
            "type": "string", "minLength": 1, "maxLength": 2048,
            "description": "where the other instance answers, such as https://flows.example.com",
        },
        "tasks": {
            "type": "array", "items": {"type": "object"}, "minItems": 1,
            "description": "the tasks of a tree that is to run there, each with a key (an id "
            f"counts as one); {_TREE}",
        },
        "tree": {
            "type": "object",
            "description": f"the same as one task with `children`; {_TREE}",
        },
        "name": {"type": "string", "maxLength": 255, "description": "of the tree there"},
        "limit": {
            "type": "integer", "minimum": 1,
            "description": "how many tasks of the tree may run there at once",
        },
        "method": {
            "type": "string", "minLength": 1, "maxLength": 128,
            "description": "a method of JSON-RPC instead of a tree: tasks.execute, tasks.get …",
        },
        "params": {"type": ["object", "array"], "description": "of the method"},
        "wait_for_completion": {
            "type": "boolean", "default": False,
            "description": "with a method: wait until what it started has ended",
        },
        "use_streaming": {
            "type": "boolean", "default": False,
            "description": "with tasks.execute: follow it by a stream, and wait for its end",
        },
        "poll_interval": {
            "type": "number", "minimum": 0.05, "maximum": 300, "default": 1.0,
            "description": "seconds between two questions, and before a lost stream is opened anew",
        },
        "auth_token": {
            "type": "string",
            "description": 'the token, as a secret only: {"$secret": "NAME"}',
        },
        "headers": {
            "type": "object", "additionalProperties": {"type": "string"},
            "description": "sent with every call",
        },
        "timeout": {
            "type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT,
            "default": DEFAULT_TIMEOUT,
            "description": "seconds for all of it; then the work is cancelled there",
        },
    },
    "required": ["base_url"],
    "oneOf": [{"required": ["method"]}, {"required": ["tasks"]}, {"required": ["tree"]}],
}  # fmt: skip

OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "success": {"type": "boolean", "description": "the tree completed, or the call was good"},
        "base_url": {"type": "string"},
        "tree_id": {"type": "string", "description": "of a tree: its id there"},
        "status": {"type": "string", "description": "with which it ended"},
        "tasks": {"type": "object", "description": "of a tree: the results by key"},
        "errors": {"type": "object", "description": "of a tree: why tasks failed, by key"},
        "truncated": {
            "type": "boolean",
            "description": "results beyond 8 MiB and errors beyond 1 MiB are left out",
        },
        "error": {"type": "string"},
        "method": {"type": "string"},
        "result": {"description": "of a method, or of the task that was waited for"},
        "error_code": {"type": ["integer", "null"]},
        "error_data": {},
        "status_code": {"type": "integer"},
        "task_id": {"type": "string", "description": "of a method that was waited for"},
        "task": {"type": "object", "description": "that task, as it ended"},
        "poll_count": {"type": "integer"},
        "total_failures": {"type": "integer"},
    },
    "required": ["success"],
}
