"""Connections to SQLite, set to what the promises need."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import eventsourcing.sqlite as library

from ....domain.errors import StoreUnavailable
from ..sql import statements

_sql = statements("sqlite")

LOCK_TIMEOUT = 10
"""Seconds to wait for another process's transaction."""


class Pool(library.SQLiteConnectionPool):
    """Connections with the pragmas that the promises need; the library sets only WAL."""

    synchronous = "FULL"

    def _create_connection(self) -> library.SQLiteConnection:
        connection = super()._create_connection()
        raw = connection._sqlite_conn
        raw.execute(f"PRAGMA synchronous={self.synchronous}")
        raw.execute("PRAGMA foreign_keys=OFF")
        return connection


class RelaxedPool(Pool):
    """Durability ``process``: no flush per commit."""

    synchronous = "NORMAL"


class Datastore(library.SQLiteDatastore):
    """The library's datastore on our pool; ids are text."""

    def __init__(self, path: str, *, durability: str = "power") -> None:
        super().__init__(path, lock_timeout=LOCK_TIMEOUT, originator_id_type="text")
        self.path = path
        self.pool.close()
        kind = Pool if durability == "power" else RelaxedPool
        self.pool = kind(db_name=path, lock_timeout=LOCK_TIMEOUT, pool_size=5)


def is_unlocked(connection: sqlite3.Connection) -> bool:
    """Whether a transaction could begin at once. Leaves none open.

    Asked of the connection that writes: one of its own would have to read anew, each time, what
    that one has in memory.
    """
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout=0").fetchone()
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout={patience}").fetchone()
    return True


def refuse_foreign(path: Path) -> None:
    """Raise where the file is a SQLite database of something else; it is only looked at.

    What cannot be read that way is left to the real opening to tell.
    """
    if not path.exists() or not path.stat().st_size:
        return
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{database_name(path)}?mode=ro", uri=True)) as connection,
    ):
        tables = {name for (name,) in connection.execute(_sql.table_names)}
        columns = {name for (name,) in connection.execute(_sql.event_columns)}
        if tables and "body_hash" not in columns:
            raise StoreUnavailable(
                f"{path} is a SQLite database, but not a store of aipartnerupflow; nothing was "
                "changed. Name another file."
            )


def database_name(path: Path) -> str:
    """A path in the form that the library's connections take: a file URI."""
    return path.absolute().as_uri()
