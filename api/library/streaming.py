"""What happens in a tree, told to callers as it is committed."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ...domain import events as e

log = logging.getLogger("aipartnerupflow.library")

Listener = Callable[[dict[str, Any]], None]


class StreamingCallbacks:
    """Receives one dict per transition, in the order of the log, after the commit.

    ``{"type", "task_id", "status", "timestamp", …}``; types: task_start, progress (progress,
    message), task_completed (result; None where it is large: read the task), task_failed (error),
    task_retry (error, retry_at), task_cancelled (error: the reason), final (status). Put into
    ``event_queue`` if there is one, left out where that is full, and handed to every listener; one
    that fails is logged.
    """

    def __init__(
        self,
        root_task_id: str | None = None,
        event_queue: "asyncio.Queue[dict[str, Any]] | None" = None,
    ) -> None:
        self.root_task_id = root_task_id
        self.event_queue = event_queue
        self._listeners: list[Listener] = []

    def add_listener(self, listener: Listener) -> Listener:
        """Call ``listener`` with every event. Usable as a decorator."""
        self._listeners.append(listener)
        return listener

    @property
    def listening(self) -> bool:
        """Whether anybody would hear an event."""
        return self.event_queue is not None or bool(self._listeners)

    def observe(self, tree: str, facts: Sequence[e.AnyEvent]) -> None:
        """Tell the facts of one commit."""
        for fact in facts:
            event = _told(tree, fact)
            if event is not None:
                self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        if self.event_queue is not None:
            try:
                self.event_queue.put_nowait(event)
            except asyncio.QueueFull:
                log.warning("the event queue is full: %s was left out", event["type"])
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # foreign code: who listens never stops what runs
                log.exception("a listener failed at %s", event["type"])


def _told(tree: str, fact: e.AnyEvent) -> dict[str, Any] | None:
    match fact:
        case e.TaskStarted():
            return _event("task_start", fact.task, "in_progress", fact)
        case e.TaskProgressed():
            event = _event("progress", fact.task, "in_progress", fact)
            return event | {"progress": fact.progress, "message": fact.message}
        case e.TaskCompleted():
            result = None if not isinstance(fact.result, msgspec.Raw) else fact.result
            event = _event("task_completed", fact.task, "completed", fact)
            return event | {"result": None if result is None else msgspec.json.decode(result)}
        case e.TaskFailed():
            event = _event("task_failed", fact.task, "failed", fact)
            return event | {"error": fact.error.message}
        case e.AttemptFailed():
            event = _event("task_retry", fact.task, "pending", fact)
            return event | {"error": fact.error.message, "retry_at": fact.retry_at}
        case e.TaskCancelled():
            event = _event("task_cancelled", fact.task, "cancelled", fact)
            return event | {"error": fact.reason or "cancelled"}
        case e.TreeSettled():
            return _event("final", tree, fact.status, fact) | {"final": True}
        case _:
            return None


def _event(type: str, task: str, status: str, fact: e.AnyEvent) -> dict[str, Any]:
    return {"type": type, "task_id": task, "status": status, "timestamp": fact.at}
