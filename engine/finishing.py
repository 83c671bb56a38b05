"""Letting something finish that must not stay half done when its caller is cancelled."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any


async def to_the_end(coroutine: Coroutine[Any, Any, None]) -> None:
    """Await ``coroutine``; being cancelled meanwhile, however often, does not cut it short."""
    task = asyncio.get_running_loop().create_task(coroutine)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    if not task.cancelled():
        task.result()


def mark_seen(future: "asyncio.Future[Any]") -> None:
    """Take note of an exception that nobody may ask for: who waited may have gone."""
    if not future.cancelled():
        future.exception()
