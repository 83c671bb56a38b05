"""The leases of engines on PostgreSQL, by the clock of the database."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import msgspec
from psycopg import Connection
from psycopg.rows import DictRow, tuple_row

from ....domain.errors import StoreError, StoreUnavailable
from ...liveness import LEASE as LEASE
from ..sql import statements
from .connect import query, storable
from .faults import translated
from .recorder import PostgresRecorder
from .writer import is_lost

PATIENCE = 3.0
"""Seconds for which the server may be silent, and another thread may be at it."""

_sql = statements("postgres_leases")


class PostgresLeases:
    """See `adapters.liveness.Leases`. Thread-safe.

    An engine says that it lives on a connection of its own: its lease must not run out because
    readers or the writer keep theirs busy.
    """

    def __init__(self, recorder: PostgresRecorder) -> None:
        self._recorder = recorder
        self._using = threading.Lock()
        self._held: Connection[DictRow] | None = None

    def beat(self, engine: str, executors: Sequence[str]) -> bool:
        """See `Leases.beat`."""
        listed = msgspec.json.encode(executors).decode()
        with self._used() as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            values = {"engine": engine, "executors": listed, "lease": LEASE}
            row = cursor.execute(query(_sql.beat), storable(values), prepare=True).fetchone()
            return row is not None and bool(row[0])

    def is_held(self, engine: str) -> bool:
        """See `Leases.is_held`."""
        return bool(self._recorder.query(_sql.is_held, {"engine": engine, "lease": LEASE})[0][0])

    def engines(self) -> Mapping[str, Sequence[str]]:
        """See `Leases.engines`."""
        rows = self._recorder.query(_sql.engines, {"lease": LEASE})
        return {engine: msgspec.json.decode(text, type=list[str]) for engine, text in rows}

    def leave(self, engine: str) -> None:
        """See `Leases.leave`."""
        with suppress(StoreError), self._used() as connection:  # else the lease runs out
            connection.execute(query(_sql.leave), (engine,))
            self._drop()

    @contextmanager
    def _used(self) -> Iterator[Connection[DictRow]]:
        """The connection, alive a moment ago; given up where something goes wrong on it."""
        if not self._using.acquire(timeout=PATIENCE):
            raise StoreUnavailable("the store does not answer another thread. Try again.")
        try:
            with translated(self._recorder.store):
                if self._held is not None and is_lost(self._held):
                    self._drop()
                if self._held is None:
                    self._held = self._recorder.store.connect(patience=PATIENCE)
                yield self._held
        except StoreError:
            self._drop()
            raise
        finally:
            self._using.release()

    def _drop(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None
