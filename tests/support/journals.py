"""The journals under test, each with what the suite has to do to it behind its back."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import Connection

from aipartnerupflow.adapters.journal.journal import Batch, EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.memory.reads import MemoryReads
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.adapters.journal.postgres.connect import Datastore as PostgresDatastore
from aipartnerupflow.adapters.journal.postgres.connect import parameters
from aipartnerupflow.adapters.journal.postgres.reads import PostgresReads
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder
from aipartnerupflow.adapters.journal.postgres.rows import Rows
from aipartnerupflow.adapters.journal.sqlite.reads import SQLiteReads
from aipartnerupflow.adapters.journal.sqlite.recorder import Datastore as SQLiteDatastore
from aipartnerupflow.adapters.journal.sqlite.recorder import SQLiteRecorder, database_name
from aipartnerupflow.domain.errors import StoreError
from aipartnerupflow.projections.views import ReadModel


class Lossy:
    """Mixed into a recorder: its next commit is lost ``before`` or ``after`` it has happened."""

    lose: str = ""

    def losing(self) -> str:
        lose, self.lose = self.lose, ""
        return lose


class LossyMemory(Lossy, MemoryRecorder):
    def _commit(self, batches: Sequence[Batch]) -> int:
        lose = self.losing()
        if lose == "before":
            raise StoreError("lost before the commit")
        position = super()._commit(batches)
        if lose == "after":
            raise StoreError("lost after the commit")
        return position


class LossySQLite(Lossy, SQLiteRecorder):
    def _commit(self, connection: sqlite3.Connection) -> None:
        lose = self.losing()
        if lose == "before":
            raise sqlite3.OperationalError("disk I/O error")
        super()._commit(connection)
        if lose == "after":
            raise sqlite3.OperationalError("disk I/O error")


class LossyPostgres(Lossy, PostgresRecorder):
    """The server really ends the connection."""

    def _send(self, connection: Connection[Any], rows: Rows, nums: list[int]) -> Any:
        lose = self.losing()
        if lose == "before":
            self._cut(connection)
        sent = super()._send(connection, rows, nums)
        if lose == "after":
            self._cut(connection)
            connection.execute("SELECT 1")
        return sent

    def _cut(self, connection: Connection[Any]) -> None:
        pid = connection.info.backend_pid
        with psycopg.connect(**self.store.parameters, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


class Handle:
    """A journal and its read models, as one process has them."""

    def __init__(
        self, recorder: Any, reads: Callable[[Any, StructMapper], Any], mapper: StructMapper
    ) -> None:
        self.recorder = recorder
        self.journal = EventJournal(recorder, mapper)
        self.reads: ReadModel = reads(recorder, mapper)

    def lose(self, when: str) -> None:
        self.recorder.lose = when


class Store(Protocol):
    """One empty store, that of a test."""

    def open(self, mapper: StructMapper | None = None) -> Handle:
        """A handle on it; the same where nobody else can see the store."""

    def change(self, statement: str, values: Mapping[str, Any]) -> None:
        """Change what is stored behind the journal's back; blobs are ``bytes``."""

    def ask(self, statement: str) -> list[Any]:
        """What another program sees."""

    def close(self) -> None: ...


class MemoryStore:
    def __init__(self) -> None:
        self._handle = Handle(LossyMemory(), MemoryReads, StructMapper())

    def open(self, mapper: StructMapper | None = None) -> Handle:
        if mapper is not None:
            recorder = self._handle.recorder
            return Handle(recorder, MemoryReads, mapper)
        return self._handle

    def change(self, statement: str, values: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def ask(self, statement: str) -> list[Any]:
        raise NotImplementedError

    def close(self) -> None:
        self._handle.journal.close()


class SQLiteStore:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._handles: list[Handle] = []

    def open(self, mapper: StructMapper | None = None) -> Handle:
        recorder = LossySQLite(SQLiteDatastore(database_name(self.path)))
        handle = Handle(recorder, SQLiteReads, mapper or StructMapper())
        self._handles.append(handle)
        recorder.create_table()
        return handle

    def change(self, statement: str, values: Mapping[str, Any]) -> None:
        with self._connected() as connection:
            connection.execute(statement.replace("%(", ":").replace(")s", ""), values)
            connection.commit()

    def ask(self, statement: str) -> list[Any]:
        with self._connected() as connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path)
        try:
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        for handle in self._handles:
            handle.journal.close()


class PostgresStore:
    """A schema of its own in the module's database."""

    def __init__(self, dsn: str, schema: str) -> None:
        self.parameters = parameters(dsn)
        self.schema = schema
        self._handles: list[Handle] = []
        self.change(f"CREATE SCHEMA {schema}", {})

    def open(self, mapper: StructMapper | None = None) -> Handle:
        recorder = LossyPostgres(PostgresDatastore(self.parameters, schema=self.schema))
        handle = Handle(recorder, PostgresReads, mapper or StructMapper())
        self._handles.append(handle)
        recorder.create_table()
        return handle

    def change(self, statement: str, values: Mapping[str, Any]) -> None:
        with self.connected() as connection:
            connection.execute(statement.encode(), values or None)

    def ask(self, statement: str) -> list[Any]:
        with self.connected() as connection:
            return connection.execute(statement.encode()).fetchall()

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(**self.parameters, autocommit=True) as connection:
            connection.execute("SELECT set_config('search_path', %s, false)", (self.schema,))
            yield connection

    def close(self) -> None:
        for handle in self._handles:
            handle.journal.close()
