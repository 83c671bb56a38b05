"""What is still to be done on another instance when the attempt that it is for is over."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from .remote import seen

LONGEST: Final = 30.0
"""Seconds for which an engine that ends waits for it."""

T = TypeVar("T")


class After:
    """Work that outlives attempts, such as a cancel of what is only known from a late answer.

    Belongs to one loop; `close` it, before the connections that it needs.
    """

    def __init__(self) -> None:
        self._going: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Have it done; who waits for it may leave."""
        task = asyncio.create_task(work)
        self._going.add(task)
        task.add_done_callback(self._going.discard)
        task.add_done_callback(seen)
        return task

    async def close(self) -> None:
        """Wait for all of it, but not for ever."""
        if not self._going:
            return
        _, late = await asyncio.wait(self._going, timeout=LONGEST)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
