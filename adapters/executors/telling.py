"""Output as progress: the last whole line that came, now and then."""

import asyncio
from typing import Final

from .context import Context

EVERY: Final = 1.0
"""Seconds between two that are told."""
KEPT: Final = 4_096
"""Bytes of output that are looked at."""


class Telling:
    """Tells the last line of what is heard, as the message of a progress that stays at 0.

    Only a line that has ended: in half a line half a secret would not be found.
    """

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
            line = _last_line(self._latest)
            if line and line != told:
                told = line
                await self._context.progress(0.0, line.decode("utf-8", "replace"))
            await asyncio.sleep(EVERY)


def _last_line(heard: bytes) -> bytes:
    """The last one that has both its ends, as far as can be seen."""
    lines = heard.splitlines(keepends=True)
    if lines and not lines[-1].endswith((b"\n", b"\r")):
        lines.pop()
    if len(heard) >= KEPT:
        lines = lines[1:]
    return lines[-1].rstrip(b"\r\n") if lines else b""
