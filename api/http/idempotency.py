"""Requests that carry an idempotency key are carried out once, however often they come.

What stands in the log decides. Within one process those who come meanwhile wait for the first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from ...domain.specs import Request
from .answers import InFlight

if TYPE_CHECKING:
    from .server import Server

PATIENCE: Final = 30.0
"""Seconds for which a repetition waits for the first."""

T = TypeVar("T")


async def once(server: "Server", request: Request | None, perform: Callable[[], Awaitable[T]]) -> T:
    """Perform it, after any other with its key: what that has stored is then found.

    Raises `InFlight` where that takes longer than `PATIENCE`.
    """
    if request is None:
        return await perform()
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while (ahead := server.in_flight.get(request.key)) is not None:
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.wait({ahead}, timeout=max(left, 0.0))
        if not ahead.done():
            raise InFlight("the same request is still being carried out; ask again in a moment")
    mine = server.in_flight[request.key] = asyncio.get_running_loop().create_future()
    try:
        return await perform()
    finally:
        del server.in_flight[request.key]
        mine.set_result(None)
