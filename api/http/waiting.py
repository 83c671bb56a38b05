"""Answers that a client would wait for."""

import asyncio
import re
from typing import TYPE_CHECKING, Final

from ...domain.errors import ApflowError
from ...projections.views import TreeView

if TYPE_CHECKING:
    from .server import Server

MAX_WAIT: Final = 60.0
"""Seconds."""
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])")


def wait_of(prefer: str | None) -> float:
    """Seconds that a client would wait (RFC 7240, section 4.3), at most a minute."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MAX_WAIT) if found else 0.0


async def settled_within(server: "Server", id: str, seconds: float) -> TreeView:
    """The tree once it has settled, or as it stands after so long, or when the server stops."""
    stopping = asyncio.ensure_future(server.stopping.wait())
    settled = asyncio.ensure_future(_settled(server, id))
    await asyncio.wait({stopping, settled}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in (stopping, settled):
        task.cancel()
    await asyncio.wait({stopping, settled})
    return await server.call(server.store.tree, id)


async def _settled(server: "Server", id: str) -> None:
    """The engine that drives a tree knows when; else the store is looked at after each commit."""
    actor = None if server.engine is None else server.engine.actors.get(id)
    if actor is None:
        await server.store.settled(id)
        return
    try:
        await asyncio.shield(actor.waiter())
    except ApflowError:  # it was let go of: what it stands at is the answer
        return
