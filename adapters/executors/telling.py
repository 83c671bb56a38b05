"""Output as progress: the last line that came, now and then."""

import asyncio
from typing import Final

from .context import Context

EVERY: Final = 1.0
"""Seconds between two that are told."""
KEPT: Final = 4_096
"""Bytes of output that are looked at."""


class Telling:
    """Tells the last line of what is heard, as the message of a progress that stays at 0."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._latest = b""
        self._task: asyncio.Task[None] | None = None

    def hear(self, chunk: bytes) -> None:
        """Output has come."""
        self._latest = (self._latest + chunk)[-KEPT:]
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._tell())

    async def end(self) -> None:
        """Nothing more will come."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _tell(self) -> None:
        told = b""
        while True:
            lines = self._latest.splitlines()
            line = lines[-1] if lines else b""
            if line and line != told:
                told = line
                await self._context.progress(0.0, line.decode("utf-8", "replace"))
            await asyncio.sleep(EVERY)
