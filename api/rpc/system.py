"""system.*: is it well, and what can it run."""

import asyncio
from typing import Any, Final

from ... import __version__
from ..http.system import reasons_against
from ..wiring import ExecutorInfo, inventory
from .calls import Call
from .documents import Document

PROTOCOL_VERSION: Final = "1.0"
"""Of the task protocol."""


async def health(call: Call) -> Document:
    """``healthy`` or ``degraded``; the message says why. Counts the tasks that one may see."""
    call.given().close()
    reasons = await reasons_against(call.server)
    owner = call.owner(None)
    counts = await asyncio.to_thread(lambda: call.store.reads.counts(owner=owner))
    return {
        "status": "degraded" if reasons else "healthy",
        "message": "; ".join(reasons) or "all is well",
        "version": __version__,
        "protocol_version": PROTOCOL_VERSION,
        "timestamp": call.store.now(),
        "running_tasks_count": counts.get("in_progress", 0),
    }


async def executors(call: Call) -> Document:
    """What tasks can name; ``usable`` is false for what is switched off or cannot be loaded."""
    call.given().close()
    found = await asyncio.to_thread(inventory)
    return {
        "executors": [_executor(info) for info in found], "count": len(found), "restricted": False,
    }  # fmt: skip


def _executor(info: ExecutorInfo) -> dict[str, Any]:
    return {
        "id": info.id, "name": info.name, "description": info.description,
        "extension": info.module, "usable": info.usable, "why": info.why,
    }  # fmt: skip
