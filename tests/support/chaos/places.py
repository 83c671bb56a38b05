"""The stores of the programs that are killed, as others see them: no code of ours in between."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import psycopg

from aipartnerupflow.adapters.journal.postgres.connect import parameters

WATCHER = "chaos"
"""The application name of our own connections to PostgreSQL."""


class Place(Protocol):
    """One store and how to look at it from outside."""

    kind: str
    url: str

    def position(self) -> int:
        """Of the last event that is visible; 0 where there is no store yet."""

    def open_work(self) -> bool:
        """Whether any submitted tree has not settled."""

    def quiet(self) -> None:
        """Returns once the dead have let go: nothing of theirs is stored after that."""


class SQLitePlace:
    """A store in a file."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = str(path)
        self._connection: sqlite3.Connection | None = None

    def position(self) -> int:
        """See `Place`."""
        return int(self._one("SELECT max(rowid) FROM stored_events") or 0)

    def open_work(self) -> bool:
        """See `Place`."""
        return bool(self._one("SELECT 1 FROM tree WHERE phase = 'submitted' LIMIT 1"))

    def quiet(self) -> None:
        """See `Place`. The kernel has done it all when the process is gone."""

    def close(self) -> None:
        """Idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _one(self, sql: str) -> Any:
        if self._connection is None:
            if not self.path.exists():
                return None
            self._connection = sqlite3.connect(
                f"{self.path.as_uri()}?mode=ro", uri=True, check_same_thread=False
            )
        try:
            row = self._connection.execute(sql).fetchone()
        except sqlite3.OperationalError:  # no tables yet, or nobody has made the WAL's index
            self.close()
            return None
        return row and row[0]


class PostgresPlace:
    """A store in a database of a server."""

    kind = "postgres"

    def __init__(self, dsn: str) -> None:
        self.url = dsn
        self._connection: psycopg.Connection[Any] | None = None

    def position(self) -> int:
        """See `Place`."""
        return int(self._one("SELECT max(notification_id) FROM stored_events") or 0)

    def open_work(self) -> bool:
        """See `Place`."""
        return bool(self._one("SELECT 1 FROM tree WHERE phase = 'submitted' LIMIT 1"))

    def quiet(self) -> None:
        """See `Place`. What a dead client sent may still be carried out."""
        others = self.backends
        deadline = time.monotonic() + 10
        while others():
            assert time.monotonic() < deadline, "backends outlive their clients"
            time.sleep(0.002)

    def backends(self) -> list[int]:
        """The server's processes that serve others in this database."""
        found = self.ask(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND application_name <> %s",
            (WATCHER,),
        )
        return [pid for (pid,) in found]

    def ask(self, sql: str, values: tuple[Any, ...] | None = None) -> list[Any]:
        """Rows of a statement; connects anew where the server has ended the last connection."""
        for left in (2, 1, 0):
            try:
                return self._connected().execute(sql.encode(), values).fetchall()
            except psycopg.OperationalError:
                self.close()
                if not left:
                    raise
                time.sleep(0.05)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _one(self, sql: str) -> Any:
        with suppress(psycopg.errors.UndefinedTable):
            rows = self.ask(sql)
            return rows[0][0] if rows else None
        return None

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            wanted = {**parameters(self.url), "application_name": WATCHER}
            self._connection = psycopg.connect(**wanted, autocommit=True)
        return self._connection


@contextmanager
def looking_at(place: Any) -> Iterator[Any]:
    """Close what the place holds at the end."""
    try:
        yield place
    finally:
        place.close()
