"""Batched read models on PostgreSQL, and the status rows made again from the log."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Generic, TypeVar

import psycopg
from msgspec import Struct
from msgspec.structs import astuple
from psycopg import Connection, Cursor
from psycopg.rows import TupleRow, tuple_row

from ....domain.events import Recorded
from ....projections.rebuild import Difference, TreeChanges
from ....projections.runner import Mark
from ....projections.timeline import TimelineChanges
from ..journal import Batch
from ..mapper import StructMapper
from ..replayed import Numbers, misplaced, paired
from ..sql import statements
from .arrays import Column, Ints, Texts, register
from .connect import Datastore, query
from .faults import from_postgres
from .recorder import PostgresRecorder
from .rows import cut, rows_of, store

C = TypeVar("C")

_sql = statements("postgres_projections")
_DIFFERENCES = (
    ("tree", _sql.differences_tree),
    ("task", _sql.differences_task),
    ("task_state", _sql.differences_task_state),
    ("slot", _sql.differences_slot),
)
_MEND = (
    _sql.mend_1, _sql.mend_2, _sql.mend_3, _sql.mend_4, _sql.mend_5, _sql.mend_6, _sql.mend_7,
    _sql.mend_8,
)  # fmt: skip
_ATTEMPT = (Texts, Texts, Ints, Ints, Texts, Ints, Texts, Texts)
_END = (Texts, Texts, Texts, Texts)
"""The columns of `AttemptRow` and `AttemptEnd`."""


class PostgresRows(Generic[C]):
    """`projections.runner.RowStore` for the rows that ``clear`` deletes and ``write`` changes."""

    def __init__(
        self, recorder: PostgresRecorder, clear: str, write: Callable[[Cursor[TupleRow], C], None]
    ) -> None:
        self._recorder = recorder
        self._clear = clear
        self._write = write

    def mark(self, name: str) -> Mark | None:
        """See `RowStore.mark`."""
        rows = self._recorder.query(_sql.mark, {"name": name})
        return Mark(*rows[0]) if rows else None

    def reset(self, name: str, version: int, found: Mark | None) -> bool:
        """See `RowStore.reset`."""
        with self._locked(name) as cursor:
            if _mark(cursor, name) != found:
                return False
            cursor.execute(query(self._clear))
            cursor.execute(query(_sql.forget_mark), {"name": name})
            cursor.execute(query(_sql.set_mark), (f"{name}/{version}", 0))
            return True

    def apply(self, name: str, found: Mark, changes: C, position: int) -> bool:
        """See `RowStore.apply`."""
        with self._locked(name) as cursor:
            if _mark(cursor, name) != found:
                return False
            self._write(cursor, changes)
            cursor.execute(query(_sql.set_mark), (f"{name}/{found.version}", position))
            return True

    @contextmanager
    def _locked(self, name: str) -> Iterator[Cursor[TupleRow]]:
        """A transaction of which there is one at a time, on a connection of the readers' pool."""
        store = self._recorder.store
        with _translated(store):
            store.pool.open()
            with store.pool.connection() as connection, connection.transaction():
                register(connection)
                cursor = _cursor(connection)
                cursor.execute(query(_sql.lock_rows), (name,))
                yield cursor


def timeline_rows(recorder: PostgresRecorder) -> PostgresRows[TimelineChanges]:
    """The table ``attempt``."""
    return PostgresRows(recorder, _sql.clear_timeline, _write_timeline)


def _mark(cursor: Cursor[TupleRow], name: str) -> Mark | None:
    row = cursor.execute(query(_sql.mark), {"name": name}).fetchone()
    return None if row is None else Mark(*row)


def _write_timeline(cursor: Cursor[TupleRow], made: TimelineChanges) -> None:
    if made.ended:
        cursor.execute(query(_sql.end_attempts), _columns(_END, made.ended))
    if made.begun:
        cursor.execute(query(_sql.begin_attempts), _columns(_ATTEMPT, made.begun))


def _columns(kinds: Sequence[type[Column]], rows: Sequence[Struct]) -> list[Column]:
    columns = zip(*map(astuple, rows), strict=True)
    return [kind(values) for kind, values in zip(kinds, columns, strict=True)]


def _cursor(connection: Connection[Any]) -> Cursor[TupleRow]:
    return connection.cursor(binary=True, row_factory=tuple_row)


@contextmanager
def _translated(store: Datastore) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        text = store.hidden(error.diag.message_primary or str(error))
        raise from_postgres(error, store.label, " ".join(text.split())) from error


class PostgresStatus:
    """`projections.rebuild.StatusStore` on PostgreSQL: the copy is temporary tables."""

    def __init__(self, recorder: PostgresRecorder, mapper: StructMapper) -> None:
        self._recorder = recorder
        self._mapper = mapper

    @contextmanager
    def copy(self, *, writable: bool = False) -> Iterator["PostgresCopy"]:
        """See `StatusStore.copy`."""
        store = self._recorder.store
        with _translated(store), closing(store.connect()) as connection:
            yield PostgresCopy(self._recorder, self._mapper, connection)


class PostgresCopy:
    """`projections.rebuild.StatusCopy` on PostgreSQL."""

    def __init__(
        self, recorder: PostgresRecorder, mapper: StructMapper, connection: Connection[Any]
    ) -> None:
        self._recorder = recorder
        self._mapper = mapper
        self._connection = connection
        self._cursor = cursor = _cursor(connection)
        self._numbers = Numbers(self._make, self._find)
        self._trees = 0
        row = cursor.execute(query(_sql.real)).fetchone()
        assert row is not None
        self._lock, self._sequence = row
        connection.execute(query(_sql.make_copy), prepare=False)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See `StatusCopy.snapshot`."""
        with self._connection.transaction():
            self._cursor.execute(query(_sql.repeatable))
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """See `StatusCopy.exclusive`."""
        idle = self._recorder.store.idle_in_transaction_session_timeout
        with self._recorder.paused(), self._connection.transaction():
            self._cursor.execute(query(_sql.lock), (self._lock, f"{int(idle * 1000)}ms"))
            yield

    def page(self, after: int, limit: int) -> Sequence[Recorded]:
        """See `StatusCopy.page`."""
        decode = self._mapper.decode
        rows = self._cursor.execute(query(_sql.page), (after, limit)).fetchall()
        return [
            Recorded(tree, version, decode(topic, state), position)
            for version, topic, state, position, tree in rows
        ]

    def write(self, made: Sequence[TreeChanges]) -> None:
        """See `StatusCopy.write`."""
        for part in cut(rows_of(*self._numbers.of(made))):
            store(self._connection, part, [])

    def _make(self, batch: Batch) -> int:
        self._trees += 1
        return self._trees

    def _find(self, tree: str) -> int | None:
        row = self._cursor.execute(query(_sql.number), (tree,)).fetchone()
        return None if row is None else row[0]

    def numbers(self, tree: str) -> dict[str, int]:
        """See `StatusCopy.numbers`."""
        return dict(self._cursor.execute(query(_sql.numbers), (tree,)).fetchall())

    def differences(self, position: int, limit: int) -> Sequence[Difference]:
        """See `StatusCopy.differences`."""
        self._cursor.execute(query(_sql.plan_freely))
        self._cursor.execute(query(_sql.number_known))
        found: list[Difference] = []
        for table, statement in _DIFFERENCES:
            rows = self._cursor.execute(query(statement), (2 * limit,))
            names = [column.name for column in rows.description or ()]
            found.extend(paired(table, names, rows, limit))
        row = self._cursor.execute(query(_sql.position)).fetchone()
        return found + misplaced(0 if row is None else row[0], position)

    def replace(self, position: int) -> None:
        """See `StatusCopy.replace`. Rows that are right stay untouched."""
        self._cursor.execute(query(_sql.plan_freely))
        self._cursor.execute(query(_sql.number_known))
        self._cursor.execute(query(_sql.number_others), (self._sequence,))
        for statement in (*_MEND, _sql.forget_position):
            self._cursor.execute(query(statement))
        if position:
            self._cursor.execute(query(_sql.set_position), (position,))
