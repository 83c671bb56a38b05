"""tasks.execute as a stream: the answer, then what happens in the tree, in the old words.

The ids of the events are versions of the tree, so that who loses the connection goes on by
``GET /v1/trees/{id}/stream`` with ``Last-Event-ID``.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..encoding import one_line
from ..http.access import Caller
from ..http.hub import Line
from ..http.server import Server
from ..http.streams import EventStream, Lines
from .documents import Document, error_of
from .envelope import encoded, result
from .executing import Followed

ANSWER: Final = "answer"
TYPES: Final = {
    "task.started": ("task_start", "in_progress"),
    "task.progressed": ("progress", "in_progress"),
    "task.completed": ("task_completed", "completed"),
    "attempt.failed": ("task_retry", "pending"),
    "task.failed": ("task_failed", "failed"),
    "task.cancelled": ("task_cancelled", "cancelled"),
}
"""What each fact was called, and the status that it leads to. Others are left out."""
SETTLED: Final = "tree.settled"


class OldStream(EventStream):
    """Ends with the tree. Its events have no name, as readers of old expect."""

    def frame(self, line: Line) -> bytes:
        """The answer itself, and the last word, have no id."""
        data = one_line(line.data)
        if not line.mark:
            return b"data: %b\n\n" % data
        return b"id: %d\ndata: %b\n\n" % (line.mark, data)


def stream(server: Server, caller: Caller, id: Raw, followed: Followed) -> OldStream:
    """The response for a call that is followed."""
    return OldStream(server, caller, _lines(server, id, followed))


async def _lines(server: Server, id: Raw, followed: Followed) -> Lines:
    tree = followed.tree
    yield [Line(0, ANSWER, tree, encoded(result(id, followed.result)))]
    async with aclosing(server.hub.tree(tree, followed.after)) as news:
        async for lines in news:
            told = [each async for each in _told(server, lines)]
            if told:
                yield told
            if any(line.topic == SETTLED for line in lines):
                break
    yield [Line(0, ANSWER, tree, encoded({"type": "stream_end", "task_id": tree}))]


async def _told(server: Server, lines: Sequence[Line]) -> AsyncIterator[Line]:
    """Up to the end of the tree."""
    for line in lines:
        fact = msgspec.json.decode(line.data)
        if line.topic in TYPES:
            event = await _of_task(server, line, fact)
            yield msgspec.structs.replace(line, data=encoded(event))
        elif line.topic == SETTLED:
            event = await _of_tree(server, line, fact)
            yield msgspec.structs.replace(line, data=encoded(event))
            return


async def _of_task(server: Server, line: Line, fact: Document) -> Document:
    type, status = TYPES[line.topic]
    event: dict[str, Any] = {
        "type": type, "protocol": "jsonrpc", "root_task_id": line.tree, "task_id": fact["task_id"],
        "status": status, "timestamp": fact["at"],
    }  # fmt: skip
    match line.topic:
        case "task.progressed":
            event |= {"progress": fact["progress"], "message": fact.get("message", "")}
        case "task.completed":
            event |= {"progress": 1.0, "result": fact.get("result")}
            if "blob" in fact:
                view = await server.store.look(server.store.reads.task, fact["task_id"])
                event["result"] = None if view is None else view.result
        case "attempt.failed":
            event |= {"error": _text(fact["error"]), "retry_at": fact["retry_at"]}
        case "task.failed":
            event["error"] = _text(fact["error"])
        case "task.cancelled":
            event["error"] = fact.get("reason") or "cancelled"
        case _:
            pass
    return event


async def _of_tree(server: Server, line: Line, fact: Document) -> Document:
    root = await server.store.look(server.store.reads.task, line.tree)
    return {
        "type": "final", "protocol": "jsonrpc", "root_task_id": line.tree, "task_id": line.tree,
        "status": fact["status"], "timestamp": fact["at"],
        "result": None if root is None else root.result,
        "error": None if root is None else error_of(root), "final": True,
    }  # fmt: skip


def _text(error: Document) -> str:
    return error.get("message") or str(error["type"])
