"""The journal on SQLite: a recorder of `eventsourcing` with a hash chain and status rows.

One connection writes, in ``BEGIN IMMEDIATE`` transactions; WAL; ``synchronous=FULL`` unless the
durability is ``process`` (which survives kill -9, not power loss).
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import eventsourcing.sqlite as library
from eventsourcing.persistence import InterfaceError, PersistenceError

from ....domain.errors import StaleVersion, StoreError, StoreUnavailable
from ....engine.ports import OpenTree
from ..chain import START, Head, links
from ..faults import from_sqlite, place_of
from ..heads import Heads
from ..journal import Batch, Row
from ..sql import statements
from . import rows as sqlite_rows
from .datastore import Datastore, database_name, is_unlocked
from .schema import SCHEMA_VERSION, make_schema, table_statements

__all__ = ["Datastore", "Factory", "SQLiteRecorder", "database_name"]

_sql = statements("sqlite")


class SQLiteRecorder(library.SQLiteProcessRecorder):
    """Stores events, their hashes and the status rows in one transaction."""

    def __init__(self, datastore: Datastore) -> None:
        super().__init__(datastore)
        self.path = datastore.path
        self._writing = threading.Lock()
        self._heads = Heads()
        self._local = threading.local()
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._closed = False

    def construct_create_table_statements(self) -> list[str]:
        """The library's tracking table, and ours from ``sqlite_schema.sql``."""
        inherited = super().construct_create_table_statements()
        return [*(s for s in inherited if "stored_events" not in s), *table_statements()]

    def create_table(self) -> None:
        """Make what is missing, in one transaction; refuse a store that a later version made."""
        with self._translated():
            if self._schema_version() == SCHEMA_VERSION:
                return
            with self._transaction() as cursor:
                if (found := self._schema_version()) < SCHEMA_VERSION:
                    make_schema(cursor, found, self.create_table_statements)
                    cursor.execute(_sql.mark_tracking, (self.table_migration_identifier,))

    def _schema_version(self) -> int:
        found = int(self._connection().execute("PRAGMA user_version").fetchone()[0])
        if found > SCHEMA_VERSION:
            raise StoreUnavailable(
                f"the store {place_of(self.path)} was made by a later version of aipartnerupflow. "
                "Upgrade to use it; nothing was changed."
            )
        return found

    def insert_events(self, stored_events: Any, **kwargs: Any) -> Sequence[int] | None:
        """Not this way: without the tree's row changes the status would not follow the log."""
        raise TypeError(
            "stored events enter through EventJournal.append, which adds the hash chain and the "
            "status rows; a plain StoredEvent has neither"
        )

    # -- writing

    def record(self, batches: Sequence[Batch]) -> int:
        """See `journal.Recorder.record`."""
        with self._writing, self._translated():
            try:
                with self._transaction() as cursor:
                    heads, position = self._insert(cursor, batches)
            except BaseException:
                self._heads.forget(batches)
                raise
            self._heads.keep(batches, heads)
            return position

    def is_free(self) -> bool:
        """See `journal.Recorder.is_free`. False also where that cannot be told."""
        if self._closed or not self._writing.acquire(blocking=False):
            return False
        try:
            return is_unlocked(self._connection())
        except (sqlite3.Error, StoreError):
            return False
        finally:
            self._writing.release()

    @contextmanager
    def exclusive(self) -> Iterator[sqlite3.Cursor]:
        """A transaction for rows that are not written with their events."""
        with self._writing, self._translated(), self._transaction() as cursor:
            yield cursor

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is appended here during the block; what is known of streams is read anew."""
        with self._writing:
            try:
                yield
            finally:
                self._heads.clear()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        connection = self._connection()
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            self._commit(connection)
        except BaseException:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise

    def _commit(self, connection: sqlite3.Connection) -> None:
        connection.execute("COMMIT")

    def _insert(self, cursor: sqlite3.Cursor, batches: Sequence[Batch]) -> tuple[list[Head], int]:
        heads = []
        rows: list[tuple[str, int, str, bytes, bytes, bytes]] = []
        for batch in batches:
            head = self._head(cursor, batch)
            if head.version != batch.expected:
                raise StaleVersion(batch.tree, batch.expected)
            batch.hashes = links(batch.stored, head.hash)
            for event, hash in zip(batch.stored, batch.hashes, strict=True):
                rows.append(
                    (batch.tree, event.originator_version, event.topic, event.state,
                     event.body_hash, hash)
                )  # fmt: skip
            head = Head(batch.expected + len(batch.stored), batch.hashes[-1], head.num)
            heads.append(head)
        cursor.executemany(_sql.insert_event, rows)
        position: int = cursor.execute(_sql.track).fetchone()[0]
        sqlite_rows.write(cursor, batches, heads)
        return heads, position

    def _head(self, cursor: sqlite3.Cursor, batch: Batch) -> Head:
        head = self._heads.at(batch.tree, batch.expected)
        if head is not None:
            return head
        if batch.expected == 0:
            return Head(0, START, sqlite_rows.insert_tree(cursor, batch))
        row = cursor.execute(_sql.head, (batch.tree,)).fetchone()
        return Head(*row) if row is not None else Head(0, START, 0)

    # -- reading

    def hash_at(self, tree: str, version: int) -> bytes | None:
        """See `journal.Recorder.hash_at`."""
        row = self._one(_sql.hash_at, (tree, version))
        return None if row is None else row[0]

    def stream(self, tree: str, after: int, limit: int) -> Sequence[Row]:
        """See `journal.Recorder.stream`."""
        rows = self._all(_sql.stream, (tree, after, limit))
        return [Row(tree, version, topic, state, at) for version, topic, state, at in rows]

    def log(self, after: int, limit: int) -> Sequence[Row]:
        """See `journal.Recorder.log`."""
        rows = self._all(_sql.log, (after, limit))
        return [Row(tree, version, topic, state, at) for version, topic, state, at, tree in rows]

    def chain(self, tree: str) -> Iterator[tuple[int, str, bytes, bytes, bytes]]:
        """See `journal.Recorder.chain`."""
        with self._translated():
            yield from self._reader().execute(_sql.chain, (tree,))

    def blob(self, hash: str) -> bytes | None:
        """See `journal.Recorder.blob`."""
        row = self._one(_sql.blob, (hash,))
        return None if row is None else row[0]

    def ids_taken(self, ids: Sequence[str]) -> Sequence[str]:
        """See `journal.Recorder.ids_taken`."""
        return [id for (id,) in self._all(_sql.ids_taken, (json.dumps(ids),))]

    def open_work(self) -> Sequence[OpenTree]:
        """See `journal.Recorder.open_work`."""
        return [_open_tree(row) for row in self._all(_sql.open_work, ())]

    def owner(self, tree: str) -> OpenTree | None:
        """See `journal.Recorder.owner`."""
        row = self._one(_sql.owner, (tree,))
        return None if row is None else _open_tree(row)

    def position(self) -> int:
        """See `journal.Recorder.position`."""
        row = self._one(_sql.position, ())
        return 0 if row is None or row[0] is None else int(row[0])

    def data_version(self) -> int:
        """Changes when another connection has committed."""
        row = self._one("PRAGMA data_version", ())
        return 0 if row is None else int(row[0])

    def close(self) -> None:
        """See `journal.Recorder.close`."""
        with self._writing:
            self._closed = True
            for connection in (*self._readers, *filter(None, [self._writer])):
                connection.close()
            self._readers.clear()
            self._writer = None
        self.datastore.close()

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Rows of a read-only statement, for the read models."""
        return self._all(sql, parameters)

    def _one(self, sql: str, parameters: Sequence[Any]) -> Any:
        with self._translated():
            return self._reader().execute(sql, parameters).fetchone()

    def _all(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
        with self._translated():
            return self._reader().execute(sql, parameters).fetchall()

    # -- connections

    def _connection(self) -> sqlite3.Connection:
        self._check_open()
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def _reader(self) -> sqlite3.Connection:
        self._check_open()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
            self._readers.append(connection)
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"the store {place_of(self.path)} was closed; open it again")

    def _connect(self) -> sqlite3.Connection:
        try:
            raw = self.datastore.pool._create_connection()._sqlite_conn
        except InterfaceError as error:
            cause = error.__cause__
            if isinstance(cause, sqlite3.Error):
                raise from_sqlite(cause, self.path) from error
            raise StoreUnavailable(str(error)) from error
        raw.row_factory = None
        return raw

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise from_sqlite(error, self.path) from error
        except PersistenceError as error:
            cause = error.args[0] if error.args else error
            if isinstance(cause, sqlite3.Error):
                raise from_sqlite(cause, self.path) from error
            raise StoreError(f"the store {place_of(self.path)} failed: {error}") from error


def _open_tree(row: Sequence[Any]) -> OpenTree:
    id, name, engine, epoch, released = row
    return OpenTree(id, name, engine, epoch, bool(released))


class Factory(library.SQLiteFactory):
    """`eventsourcing`'s factory with our recorder; its environment keys keep their meaning."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.datastore.close()
        durability = self.env.get("APFLOW_DURABILITY") or "power"
        self.datastore = Datastore(self.datastore.pool.db_name, durability=durability)

    def process_recorder(self) -> SQLiteRecorder:
        """Our recorder on our datastore, its tables made."""
        assert isinstance(self.datastore, Datastore)
        recorder = SQLiteRecorder(self.datastore)
        if self.env_create_table():
            recorder.create_table()
        return recorder
