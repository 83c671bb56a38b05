"""Batched read models on SQLite, and the status rows made again from the log."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

from msgspec.structs import astuple

from ....domain.events import Recorded
from ....projections.rebuild import Difference, TreeChanges
from ....projections.runner import Mark
from ....projections.timeline import TimelineChanges
from ..faults import from_sqlite
from ..journal import Batch
from ..mapper import StructMapper
from ..replayed import Numbers, misplaced, paired
from ..sql import statements
from .datastore import LOCK_TIMEOUT, database_name
from .recorder import SQLiteRecorder
from .rows import insert_tree, write

C = TypeVar("C")

_sql = statements("sqlite_projections")
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


class SQLiteRows(Generic[C]):
    """`projections.runner.RowStore` for the rows that ``clear`` deletes and ``write`` changes."""

    def __init__(
        self, recorder: SQLiteRecorder, clear: str, write: Callable[[sqlite3.Cursor, C], None]
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
        with self._recorder.exclusive() as cursor:
            if _mark(cursor, name) != found:
                return False
            cursor.execute(self._clear)
            cursor.execute(_sql.forget_mark, {"name": name})
            cursor.execute(_sql.set_mark, (f"{name}/{version}", 0))
            return True

    def apply(self, name: str, found: Mark, changes: C, position: int) -> bool:
        """See `RowStore.apply`."""
        with self._recorder.exclusive() as cursor:
            if _mark(cursor, name) != found:
                return False
            self._write(cursor, changes)
            cursor.execute(_sql.set_mark, (f"{name}/{found.version}", position))
            return True


def timeline_rows(recorder: SQLiteRecorder) -> SQLiteRows[TimelineChanges]:
    """The table ``attempt``."""
    return SQLiteRows(recorder, _sql.clear_timeline, _write_timeline)


def _mark(cursor: sqlite3.Cursor, name: str) -> Mark | None:
    row = cursor.execute(_sql.mark, {"name": name}).fetchone()
    return None if row is None else Mark(*row)


def _write_timeline(cursor: sqlite3.Cursor, made: TimelineChanges) -> None:
    ends = [(end.ended_at, end.outcome, end.tree, end.task) for end in made.ended]
    cursor.executemany(_sql.end_attempt, ends)
    cursor.executemany(_sql.begin_attempt, [astuple(row) for row in made.begun])


class SQLiteStatus:
    """`projections.rebuild.StatusStore` on SQLite: the copy is a private database on disk, to which
    the store is attached.
    """

    def __init__(self, recorder: SQLiteRecorder, mapper: StructMapper) -> None:
        self._recorder = recorder
        self._mapper = mapper

    @contextmanager
    def copy(self, *, writable: bool = False) -> Iterator["SQLiteCopy"]:
        """See `StatusStore.copy`."""
        recorder = self._recorder
        try:
            with closing(
                sqlite3.connect("", uri=True, isolation_level=None, timeout=LOCK_TIMEOUT)
            ) as connection:
                cursor = connection.cursor()
                cursor.execute(_sql.quick)
                for statement in recorder.create_table_statements:
                    cursor.execute(_without_unique_tasks(statement))
                cursor.execute(_sql.index_copy)
                cursor.execute(_sql.attach, (_uri(recorder.path, "rw" if writable else "ro"),))
                yield SQLiteCopy(recorder, self._mapper, cursor)
        except sqlite3.Error as error:
            raise from_sqlite(error, recorder.path) from error


def _without_unique_tasks(statement: str) -> str:
    if "EXISTS task (" in statement:
        return statement.replace("NOT NULL UNIQUE", "NOT NULL")
    return statement


def _uri(path: str, mode: str) -> str:
    uri = path if path.startswith("file:") else database_name(Path(path))
    return f"{uri}{'&' if '?' in uri else '?'}mode={mode}"


class SQLiteCopy:
    """`projections.rebuild.StatusCopy` on SQLite."""

    def __init__(
        self, recorder: SQLiteRecorder, mapper: StructMapper, cursor: sqlite3.Cursor
    ) -> None:
        self._recorder = recorder
        self._mapper = mapper
        self._cursor = cursor
        self._numbers = Numbers(self._make, self._find)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See `StatusCopy.snapshot`."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """See `StatusCopy.exclusive`."""
        with self._recorder.paused(), self._transaction("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self._cursor.execute(begin)
        try:
            yield
            self._cursor.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._cursor.execute("ROLLBACK")
            raise

    def page(self, after: int, limit: int) -> Sequence[Recorded]:
        """See `StatusCopy.page`."""
        decode = self._mapper.decode
        rows = self._cursor.execute(_sql.page, (after, limit)).fetchall()
        return [
            Recorded(tree, version, decode(topic, state), position)
            for version, topic, state, position, tree in rows
        ]

    def write(self, made: Sequence[TreeChanges]) -> None:
        """See `StatusCopy.write`."""
        write(self._cursor, *self._numbers.of(made))

    def _make(self, batch: Batch) -> int:
        return insert_tree(self._cursor, batch)

    def _find(self, tree: str) -> int | None:
        row = self._cursor.execute(_sql.number, (tree,)).fetchone()
        return None if row is None else row[0]

    def numbers(self, tree: str) -> dict[str, int]:
        """See `StatusCopy.numbers`."""
        return dict(self._cursor.execute(_sql.numbers, (tree,)).fetchall())

    def differences(self, position: int, limit: int) -> Sequence[Difference]:
        """See `StatusCopy.differences`."""
        found: list[Difference] = []
        for table, statement in _DIFFERENCES:
            rows = self._cursor.execute(statement, (2 * limit,))
            names = [column[0] for column in rows.description]
            found.extend(paired(table, names, rows, limit))
        row = self._cursor.execute(_sql.position).fetchone()
        return found + misplaced(0 if row is None else row[0], position)

    def replace(self, position: int) -> None:
        """See `StatusCopy.replace`. Rows that are right stay untouched."""
        for statement in (*_MEND, _sql.forget_position):
            self._cursor.execute(statement)
        if position:
            self._cursor.execute(_sql.set_position, (position,))
