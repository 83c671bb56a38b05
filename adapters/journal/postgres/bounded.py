"""A connection to PostgreSQL that does not wait for ever.

The timeouts of TCP find a network that is lost, those of the server a statement that takes too
long. Neither helps where the server was stopped, or stands behind something that keeps connections
open without it: only the one who waits can give up then.
"""

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from psycopg.abc import PQGen
from psycopg.rows import Row

RV = TypeVar("RV")


class SilentServer(psycopg.OperationalError):
    """Another connection would not do better."""


class Bounded(Connection[Row]):
    """Gives up, and is closed, where nothing moves in either direction for ``patience`` seconds."""

    patience: float = 65.0
    """More than any statement may take."""

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """See `Connection.wait`: what every statement goes through."""
        return super().wait(self._moving(gen), *args, **kwargs)

    def _moving(self, gen: PQGen[RV]) -> Generator[Any, Any, RV]:
        try:
            wanted = next(gen)
            deadline = time.monotonic() + self.patience
            while True:
                ready = yield wanted
                if ready:
                    deadline = time.monotonic() + self.patience
                elif time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise SilentServer(f"the server said nothing for {self.patience:g} seconds")
                wanted = gen.send(ready)
        except StopIteration as end:
            value: RV = end.value
            return value
