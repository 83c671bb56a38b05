"""How far one call may go."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager


class Bounds:
    """``seconds`` in all, which run while the call has a turn; the rest as for `Http.call`."""

    def __init__(
        self, seconds: float, limit: int, redirects: int, private: Collection[str]
    ) -> None:
        self.limit = limit
        self.redirects = redirects
        self.private = private
        self._left = seconds

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Raises TimeoutError when all of it is used up."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._left):
                yield
        finally:
            self._left -= time.monotonic() - began
