"""The journal on PostgreSQL: a recorder of `eventsourcing` with a hash chain and status rows.

One connection writes; a pool reads. A commit is one call of a function of the database, and so one
statement, one transaction and one round trip. The writers' lock is taken inside it, when all data
has arrived, so an engine that stops while it sends holds up nobody. What is larger than 4 MB, or
goes on from a stream whose end is not held in memory, takes several statements in one transaction,
which the server ends when this process stands still in it.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import eventsourcing.postgres as library
import psycopg
from psycopg import Connection
from psycopg.rows import DictRow, tuple_row

from ....domain.errors import StaleVersion, StoreUnavailable
from ....engine.ports import OpenTree
from ....projections.views import ReadModel
from ..chain import START, Head, links
from ..heads import Heads, numbered
from ..journal import PAGE, Batch, EventJournal, Row
from ..mapper import StructMapper
from ..sql import statements
from .arrays import Texts
from .bounded import SilentServer
from .connect import IDLE_TIMEOUT, Datastore, parameters, query, storable
from .faults import translated
from .reads import PostgresReads
from .rows import MAX_BYTES, Rows, cut, rows_of, size_of, store
from .schema import make_schema
from .writer import Writer

PATIENCE = 10.0
"""Seconds from the beginning of a save in which a lost server may come back and say whether it
happened. It is asked once in any case.
"""

_sql = statements("postgres")


class PostgresRecorder(library.PostgresProcessRecorder):
    """Stores events, their hashes and the status rows in one transaction."""

    def __init__(self, datastore: Datastore) -> None:
        super().__init__(datastore, tracking_table_name="tracking")
        self.store = datastore
        self._writing = threading.Lock()
        self._heads = Heads()
        self._writer = Writer(datastore)
        self._begun = 0.0
        self._closed = False

    def create_table(self) -> None:
        """Make what is missing; refuse a store that a later version made."""
        with self._writing, self._translated():
            make_schema(self._writer.connection(), self.store.label)

    def insert_events(self, stored_events: Any, **kwargs: Any) -> Sequence[int] | None:
        """Not this way: without the tree's row changes the status would not follow the log."""
        raise TypeError(
            "stored events enter through EventJournal.append, which adds the hash chain and the "
            "status rows; a plain StoredEvent has neither"
        )

    # -- writing

    def is_free(self) -> bool:
        """Never: how long a server takes is not known before."""
        return False

    def record(self, batches: Sequence[Batch]) -> int:
        """See `journal.Recorder.record`."""
        with self._writing, self._translated():
            self._check_open()
            self._begun = time.monotonic()
            connection = self._writer.connection()
            try:
                heads, position = self._write(connection, batches)
            except BaseException:
                self._heads.forget(batches)
                if not self._writer.in_doubt():
                    for batch in batches:
                        batch.hashes = []
                raise
            self._heads.keep(batches, heads)
            return position

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is appended here during the block; what is known of streams is read anew."""
        with self._writing:
            try:
                yield
            finally:
                self._heads.clear()

    def _write(
        self, connection: Connection[DictRow], batches: Sequence[Batch]
    ) -> tuple[list[Head], int]:
        missing = [b.tree for b in batches if b.expected and not self._heads.at(b.tree, b.expected)]
        if not missing:
            heads = self._chained(batches, {})
            rows = rows_of(batches, heads)
            if size_of(rows) <= MAX_BYTES:
                nums, position = self._send(connection, rows, [])
                return numbered(heads, nums), position
        with connection.transaction():
            cursor = connection.cursor(binary=True, row_factory=tuple_row)
            cursor.execute(query(_sql.lock), prepare=True)
            found = {
                id: Head(version, hash, num)
                for id, version, hash, num
                in cursor.execute(query(_sql.heads), [Texts(missing)], prepare=True)
            }  # fmt: skip
            heads = self._chained(batches, found)
            nums, position = [], 0
            for part in cut(rows_of(batches, heads)):
                nums, last = self._send(connection, part, nums)
                position = max(position, last)
        return numbered(heads, nums), position

    def _chained(self, batches: Sequence[Batch], found: Mapping[str, Head]) -> list[Head]:
        """The ends of the streams after this; a new tree's number is -1, -2, … as yet."""
        heads: list[Head] = []
        new = 0
        for batch in batches:
            if batch.expected == 0:
                _require_first(batch)
                new += 1
                head = Head(0, START, -new)
            else:
                held = self._heads.at(batch.tree, batch.expected) or found.get(batch.tree)
                if held is None or held.version != batch.expected:
                    raise StaleVersion(batch.tree, batch.expected)
                head = held
            batch.hashes = links(batch.stored, head.hash)
            heads.append(Head(batch.expected + len(batch.stored), batch.hashes[-1], head.num))
        return heads

    def _send(
        self, connection: Connection[DictRow], rows: Rows, nums: list[int]
    ) -> tuple[list[int], int]:
        return store(connection, rows, nums)

    # -- reading

    def hash_at(self, tree: str, version: int) -> bytes | None:
        """See `journal.Recorder.hash_at`. Tells what has become of a commit whose connection was
        lost: waits for the writers at work, and for a server that restarts.
        """
        deadline = self._begun + PATIENCE
        while True:
            try:
                with self._writing, self._translated():
                    self._check_open()
                    return self._writer.hash_at(tree, version, until=deadline)
            except StoreUnavailable:
                if self._closed or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def stream(self, tree: str, after: int, limit: int) -> Sequence[Row]:
        """See `journal.Recorder.stream`."""
        rows = self.query(_sql.stream, (tree, after, limit))
        return [Row(tree, version, topic, state, at) for version, topic, state, at in rows]

    def log(self, after: int, limit: int) -> Sequence[Row]:
        """See `journal.Recorder.log`."""
        rows = self.query(_sql.log, (after, limit))
        return [Row(tree, version, topic, state, at) for version, topic, state, at, tree in rows]

    def chain(self, tree: str) -> Iterator[tuple[int, str, bytes, bytes, bytes]]:
        """See `journal.Recorder.chain`."""
        after = 0
        while rows := self.query(_sql.chain, (tree, after, PAGE)):
            yield from rows
            after = rows[-1][0]

    def blob(self, hash: str) -> bytes | None:
        """See `journal.Recorder.blob`."""
        rows = self.query(_sql.blob, (hash,))
        return rows[0][0] if rows else None

    def ids_taken(self, ids: Sequence[str]) -> Sequence[str]:
        """See `journal.Recorder.ids_taken`."""
        return [id for (id,) in self.query(_sql.ids_taken, (list(ids),))]

    def open_work(self) -> Sequence[OpenTree]:
        """See `journal.Recorder.open_work`."""
        return [OpenTree(*row) for row in self.query(_sql.open_work)]

    def owner(self, tree: str) -> OpenTree | None:
        """See `journal.Recorder.owner`."""
        rows = self.query(_sql.owner, (tree,))
        return OpenTree(*rows[0]) if rows else None

    def position(self) -> int:
        """See `journal.Recorder.position`."""
        return self.query(_sql.position)[0][0] or 0

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Rows of a statement that may be carried out twice, for the read models too.

        Pooled connections that a restarted server has left behind are passed over.
        """
        self._check_open()
        with self._translated():
            pool = self.store.pool
            pool.open()
            for left in range(pool.max_size, -1, -1):
                connection = pool.getconn()
                try:
                    cursor = connection.cursor(binary=True, row_factory=tuple_row)
                    return cursor.execute(query(sql), storable(parameters), prepare=True).fetchall()
                except psycopg.OperationalError as error:
                    if not connection.closed or not left or isinstance(error, SilentServer):
                        raise
                finally:
                    pool.putconn(connection)
        raise AssertionError("the last attempt returns or raises")

    # -- connections

    def close(self) -> None:
        """See `journal.Recorder.close`."""
        with self._writing:
            self._closed = True
            self._writer.close()
        self.store.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"the store {self.store.label} was closed; open it again")

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self.store)


class Factory(library.PostgresFactory):
    """`eventsourcing`'s factory with our recorder; its environment keys keep their meaning."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        made, pool = self.datastore, self.datastore.pool
        assert isinstance(pool.kwargs, dict)
        idle = self.env.get(self.POSTGRES_IDLE_IN_TRANSACTION_SESSION_TIMEOUT)
        self.datastore = Datastore(
            {key: value for key, value in pool.kwargs.items() if key != "row_factory"},
            durability=self.env.get("APFLOW_DURABILITY") or "power",
            schema=made.schema,
            lock_timeout=made.lock_timeout,
            idle_timeout=float(idle) if idle else IDLE_TIMEOUT,
            get_password=pool.get_password_func,
            pool={
                "min_size": pool.min_size,
                "max_size": pool.max_size,
                "timeout": pool.timeout,
                "max_waiting": pool.max_waiting,
                "max_lifetime": pool.max_lifetime,
                "check": library.ConnectionPool.check_connection if made.pre_ping else None,
            },
        )

    def process_recorder(self) -> PostgresRecorder:
        """Our recorder on our datastore, its tables made."""
        assert isinstance(self.datastore, Datastore)
        recorder = PostgresRecorder(self.datastore)
        if self.env_create_table():
            recorder.create_table()
        return recorder


def open_postgres(dsn: str, *, durability: str = "power") -> tuple[EventJournal, ReadModel]:
    """The journal and the read models of the database at ``dsn``, made if it is empty.

    Raises `InvalidInput` for an address that cannot be read, else `StoreError`.
    """
    recorder = PostgresRecorder(Datastore(parameters(dsn), durability=durability))
    try:
        recorder.create_table()
    except BaseException:
        recorder.close()
        raise
    mapper = StructMapper()
    return EventJournal(recorder, mapper), PostgresReads(recorder, mapper)


def _require_first(batch: Batch) -> None:
    if batch.changes.new_tree is None:
        raise ValueError(f"the stream {batch.tree} has to begin with tree.created")
