"""What the description of the API shows beside its schemas: an example of each, and what leads on
to what.
"""

from collections.abc import Mapping
from typing import Any, Final

_TREE_ID: Final = "5c2212cc-c4dd-49c2-9fd8-4435bf4033f6"
_TASK_ID: Final = "86fbba8d-3b2b-4d76-9558-6a4b93ac984f"
_AT: Final = "2026-01-31T09:00:00.000000Z"
_END: Final = "2026-01-31T09:00:01.250000Z"

_TREE: Final[Mapping[str, Any]] = {
    "id": _TREE_ID, "name": "report", "status": "completed", "version": 9, "user_id": "ann",
    "draft": False, "paused": False, "created_at": _AT, "updated_at": _END, "completed_at": _END,
}  # fmt: skip
_TASK: Final[Mapping[str, Any]] = {
    "id": _TASK_ID, "tree_id": _TREE_ID, "key": "cpu", "name": "system_info_executor",
    "status": "completed", "attempt": 1, "generation": 1, "progress": 1.0, "message": "",
    "result": {"cores": 8}, "error": None, "parent_id": _TREE_ID, "user_id": "ann", "priority": 2,
    "dependencies": [], "inputs": {"resource": "cpu"}, "params": {}, "schemas": {}, "policy": {},
    "draft": False, "created_at": _AT, "started_at": _AT, "completed_at": _END,
}  # fmt: skip
_ATTEMPT: Final[Mapping[str, Any]] = {
    "attempt": 1, "generation": 1, "started_at": _AT, "ended_at": _END, "outcome": "completed",
}  # fmt: skip
_EVENT: Final[Mapping[str, Any]] = {
    "position": 4711, "version": 9, "type": "task.completed", "at": _END, "by": "engine-1",
    "tree_id": _TREE_ID, "task_id": _TASK_ID, "attempt": 1, "result": {"cores": 8},
}  # fmt: skip
_WHY: Final[Mapping[str, Any]] = {
    "task_id": _TASK_ID, "key": "report", "status": "pending", "reason": "dependency", "on": "cpu",
}  # fmt: skip
_WEBHOOK: Final = {
    "id": "6f1b2c", "origin": "https://hooks.example.com", "events": ["tree.settled"],
    "state": "open", "told_version": 0, "attempts": 2, "problem": "it answered 503",
}  # fmt: skip
_EXECUTOR: Final[Mapping[str, Any]] = {
    "id": "system_info_executor", "name": "System Info Executor",
    "description": "Reads figures of this machine", "module": "", "built_in": True,
    "usable": True, "why": "", "runs": "thread", "limit": None, "cancelable": False, "tags": [],
    "input_schema": {"type": "object"}, "output_schema": {"type": "object"}, "examples": [],
}  # fmt: skip

EXAMPLES: Final[Mapping[str, Any]] = {
    "Tree": _TREE,
    "TaskSummary": _TASK,
    "Task": {**_TASK, "attempts": [_ATTEMPT]},
    "Attempt": _ATTEMPT,
    "Event": _EVENT,
    "Why": _WHY,
    "Executor": _EXECUTOR,
    "TreePage": {"items": [_TREE], "next": "4711"},
    "TaskPage": {"items": [_TASK], "next": None},
    "EventPage": {"items": [_EVENT], "next": None},
    "WhyPage": {"items": [_WHY], "next": None},
    "ExecutorPage": {"items": [_EXECUTOR], "next": None},
    "WebhookPage": {"items": [_WEBHOOK], "next": None},
    "Submitted": {
        "id": _TREE_ID, "name": "report", "version": 2, "draft": False, "user_id": "ann",
        "created_at": _AT, "tasks": {"report": _TREE_ID, "cpu": _TASK_ID},
    },
    "Accepted": {"id": _TREE_ID, "version": 12},
    "CommandState": {
        "id": "c41dd1f3-0f6a-4b53-8a53-0ddc5e0a4f0b", "tree_id": _TREE_ID, "name": "cancel",
        "at": _AT, "state": "done", "version": 12, "detail": None,
    },
    "Plan": {"id": _TREE_ID, "runs": ["cpu", "report"], "kept": ["disk"]},
    "StreamTicket": {"ticket": "kWq3…", "expires_in": 30},
    "Health": {"status": "ok"},
    "Reason": {"reason": "not needed any more"},
    "Start": {},
    "Rerun": {"mode": "from", "tasks": ["cpu"], "dry_run": True},
    "Signal": {"id": "approval-17", "name": "approved", "payload": {"by": "ann"}},
    "Problem": {
        "type": "/docs/problems/invalid-graph", "title": "The tree cannot be run as written",
        "detail": "one fault; nothing was stored. Mend what errors lists, then send it again.",
        "status": 422, "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "errors": [{
            "code": "unknown_dependency", "key": "report",
            "detail": "depends on 'cpu', which is not a task of this tree",
        }],
    },
}  # fmt: skip
"""By the name of the schema."""

_OF_TREE: Final = (
    "get_tree", "list_tasks", "list_events", "why_tree", "start_tree", "cancel_tree", "pause_tree",
    "unpause_tree", "rerun_tree", "signal_tree",
)  # fmt: skip
_OF_TASK: Final = ("get_task", "why_task", "cancel_task", "rerun_task")


def _links(operations: tuple[str, ...], parameter: str, where: str) -> dict[str, Any]:
    return {
        name: {"operationId": name, "parameters": {parameter: f"$response.body#{where}"}}
        for name in operations
    }


LINKS: Final[Mapping[tuple[str, str], Mapping[str, Any]]] = {
    ("submit_tree", "202"): _links(_OF_TREE, "tree", "/id"),
    ("submit_tree", "200"): _links(_OF_TREE, "tree", "/id"),
    ("list_trees", "200"): _links(_OF_TREE, "tree", "/items/0/id"),
    ("list_tasks", "200"): _links(_OF_TASK, "task", "/items/0/id"),
    ("list_executors", "200"): _links(("get_executor",), "executor", "/items/0/id"),
}
"""What an answer of an operation leads to."""
