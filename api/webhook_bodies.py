"""What webhooks say: an event in our own shape, or in that of the JSON-RPC protocol."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from ..domain import events as e
from ..domain.webhooks import Hook
from ..projections.views import ReadModel, TreeView
from .documents import event_document

_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Bodies:
    """Bodies for the hooks of one store."""

    def __init__(self, reads: ReadModel) -> None:
        self._reads = reads

    def __call__(self, hook: Hook, recorded: e.Recorded, tree: TreeView) -> bytes | None:
        """The body for an event; None where the hook is not to be told of it."""
        if not hook.wants(recorded.event.topic):
            return None
        if hook.shape == "event":
            return _encode(event_document(recorded) | {"tree_status": tree.status})
        told = self._told(tree, recorded.event)
        return None if told is None else _encode(told)

    def _told(self, tree: TreeView, fact: e.AnyEvent) -> dict[str, Any] | None:
        match fact:
            case e.TaskStarted():
                return _body(tree, fact, "task_start", fact.task, "in_progress")
            case e.TaskProgressed():
                told = _body(tree, fact, "progress", fact.task, "in_progress")
                return told | {"progress": fact.progress, "message": fact.message}
            case e.TaskCompleted():
                told = _body(tree, fact, "task_completed", fact.task, "completed", 1.0)
                return told | {"result": fact.result} if isinstance(fact.result, Raw) else told
            case e.TaskFailed():
                told = _body(tree, fact, "task_failed", fact.task, "failed")
                return told | {"error": fact.error.message}
            case e.AttemptFailed():
                told = _body(tree, fact, "task_retry", fact.task, "pending")
                return told | {"error": fact.error.message}
            case e.TaskCancelled():
                told = _body(tree, fact, "task_cancelled", fact.task, "cancelled")
                return told | {"error": fact.reason or "cancelled"}
            case e.TreeSettled():
                return self._final(tree, fact)
            case _:
                return None

    def _final(self, tree: TreeView, fact: e.TreeSettled) -> dict[str, Any]:
        """With the result or the error of the root, as it stands when this is told."""
        told = _body(tree, fact, "final", tree.id, fact.status)
        told |= {"final": True, "progress": 1.0 if fact.status == "completed" else 0.0}
        root = self._reads.task(tree.id)
        if root is not None and root.result is not None:
            told["result"] = root.result
        if root is not None and root.error is not None:
            told["error"] = root.error.message
        return told


def _body(
    tree: TreeView, fact: e.AnyEvent, type: str, task: str, status: str, progress: float = 0.0
) -> dict[str, Any]:
    return {
        "protocol": "jsonrpc", "root_task_id": tree.id, "task_id": task, "status": status,
        "progress": progress, "message": type.replace("_", " "), "type": type,
        "timestamp": fact.at, "final": False,
    }  # fmt: skip
