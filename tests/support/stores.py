"""Empty stores of every kind, for tests that make many of them. They do not wait for the disk."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import psycopg
from psycopg import sql

from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.postgres import projections as postgres_projections
from aipartnerupflow.adapters.journal.postgres.connect import Datastore as PostgresDatastore
from aipartnerupflow.adapters.journal.postgres.connect import parameters
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder
from aipartnerupflow.adapters.journal.sqlite import projections as sqlite_projections
from aipartnerupflow.adapters.journal.sqlite.datastore import Datastore, database_name
from aipartnerupflow.adapters.journal.sqlite.recorder import SQLiteRecorder
from aipartnerupflow.projections.rebuild import StatusStore

_schemas = count(1)


class Store(Protocol):
    """A store and what its read models need."""

    journal: EventJournal

    def status(self) -> StatusStore:
        """Its status rows."""

    def timeline(self) -> Any:
        """Its rows of the timeline."""

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows as they are stored."""

    def execute(self, statement: str) -> None:
        """Change what is stored, as only a test may."""


Stores = Callable[[], AbstractContextManager[Store]]


class SQLiteStore:
    """A store in a file."""

    def __init__(self, recorder: SQLiteRecorder) -> None:
        self.recorder = recorder
        self.journal = EventJournal(recorder, StructMapper())

    def status(self) -> StatusStore:
        """See `Store`."""
        return sqlite_projections.SQLiteStatus(self.recorder, self.journal.mapper)

    def timeline(self) -> Any:
        """See `Store`."""
        return sqlite_projections.timeline_rows(self.recorder)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """See `Store`."""
        return self.recorder.query(statement)

    def execute(self, statement: str) -> None:
        """See `Store`."""
        with self.recorder.exclusive() as cursor:
            cursor.execute(statement)


@contextmanager
def sqlite_store() -> Iterator[SQLiteStore]:
    """An empty store in a directory of its own."""
    with TemporaryDirectory() as folder:
        path = database_name(Path(folder) / "store.db")
        recorder = SQLiteRecorder(Datastore(path, durability="process"))
        recorder.create_table()
        try:
            yield SQLiteStore(recorder)
        finally:
            recorder.close()


class PostgresStore:
    """A store in a schema of a database."""

    def __init__(self, recorder: PostgresRecorder) -> None:
        self.recorder = recorder
        self.journal = EventJournal(recorder, StructMapper())

    def status(self) -> StatusStore:
        """See `Store`."""
        return postgres_projections.PostgresStatus(self.recorder, self.journal.mapper)

    def timeline(self) -> Any:
        """See `Store`."""
        return postgres_projections.timeline_rows(self.recorder)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """See `Store`."""
        return self.recorder.query(statement)

    def execute(self, statement: str) -> None:
        """See `Store`."""
        with self.recorder.store.connect() as connection:
            connection.execute(statement.encode())


@contextmanager
def postgres_store(dsn: str) -> Iterator[PostgresStore]:
    """An empty store in a schema of its own."""
    schema = f"store_{next(_schemas)}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    store = PostgresDatastore(parameters(dsn), durability="process", schema=schema)
    recorder = PostgresRecorder(store)
    recorder.create_table()
    try:
        yield PostgresStore(recorder)
    finally:
        recorder.close()
