"""Batched read models on SQLite, and the status rows made again from the log."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from msgspec.structs import astuple

from ...domain.events import Recorded
from ...projections.rebuild import Difference, TreeChanges, torn
from ...projections.runner import Mark
from ...projections.timeline import TimelineChanges
from .chain import START, Head
from .faults import from_sqlite
from .journal import Batch
from .mapper import StructMapper
from .sql import statements
from .sqlite import LOCK_TIMEOUT, SQLiteRecorder, database_name
from .sqlite_rows import insert_tree, write

C = TypeVar("C")

_sql = statements("sqlite_projections")
_log = statements("sqlite").log


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
    """`projections.rebuild.StatusStore` on SQLite."""

    def __init__(self, recorder: SQLiteRecorder, mapper: StructMapper) -> None:
        self._recorder = recorder
        self._mapper = mapper

    @contextmanager
    def rewriting(self) -> Iterator["_Rows"]:
        """See `StatusStore.rewriting`."""
        with self._recorder.exclusive(renumbers=True) as cursor:
            for statement in (
                _sql.clear_tree, _sql.clear_task, _sql.clear_task_state, _sql.clear_status
            ):  # fmt: skip
                cursor.execute(statement)
            yield _Rows(cursor, self._mapper, _log)

    @contextmanager
    def beside(self) -> Iterator["_Copy"]:
        """See `StatusStore.beside`. The copy is a private database on disk, the store attached."""
        try:
            with closing(
                sqlite3.connect("", uri=True, isolation_level=None, timeout=LOCK_TIMEOUT)
            ) as connection:
                cursor = connection.cursor()
                for statement in self._recorder.create_table_statements:
                    cursor.execute(statement)
                cursor.execute(_sql.attach, (_read_only(self._recorder.path),))
                cursor.execute("BEGIN")
                yield _Copy(cursor, self._mapper, _sql.stored_log)
        except sqlite3.Error as error:
            raise from_sqlite(error, self._recorder.path) from error


def _read_only(path: str) -> str:
    uri = path if path.startswith("file:") else database_name(Path(path))
    return f"{uri}{'&' if '?' in uri else '?'}mode=ro"


class _Rows:
    """`projections.rebuild.StatusRows`: tables reached without a schema's name are written."""

    def __init__(self, cursor: sqlite3.Cursor, mapper: StructMapper, log: str) -> None:
        self._cursor = cursor
        self._mapper = mapper
        self._log = log
        self._numbers: dict[str, int] = {}

    def page(self, after: int, limit: int) -> Sequence[Recorded]:
        """See `StatusRows.page`."""
        decode = self._mapper.decode
        return [
            Recorded(tree, version, decode(topic, state), position)
            for version, topic, state, position, tree
            in self._cursor.execute(self._log, (after, limit)).fetchall()
        ]  # fmt: skip

    def write(self, made: Sequence[TreeChanges]) -> None:
        """See `StatusRows.write`."""
        batches = [Batch(one.tree, 0, [], one.changes, None) for one in made]
        heads = [Head(0, START, self._number(batch)) for batch in batches]
        write(self._cursor, batches, heads, _sql.take_task)

    def _number(self, batch: Batch) -> int:
        if batch.changes.new_tree is not None:
            number = self._numbers[batch.tree] = insert_tree(self._cursor, batch)
        elif batch.tree in self._numbers:
            number = self._numbers[batch.tree]
        else:
            number = self._stored_number(batch.tree)
        if batch.changes.tree.phase in ("settled", "adopted"):
            self._numbers.pop(batch.tree, None)
        return number

    def _stored_number(self, tree: str) -> int:
        row = self._cursor.execute(_sql.number, (tree,)).fetchone()
        if row is None:
            raise torn(tree, 1)
        number: int = row[0]
        return number

    def finish(self, position: int) -> None:
        """See `StatusRows.finish`."""
        if position:
            self._cursor.execute(_sql.set_status, (position,))


class _Copy(_Rows):
    """`projections.rebuild.StatusCopy`."""

    def differences(self, limit: int) -> Sequence[Difference]:
        """See `StatusCopy.differences`."""
        found: list[Difference] = []
        for table, statement in (
            ("tree", _sql.differences_tree),
            ("task", _sql.differences_task),
            ("task_state", _sql.differences_task_state),
            ("tracking", _sql.differences_tracking),
        ):
            found.extend(self._differences(table, statement, 2 * limit)[:limit])
        return found

    def _differences(self, table: str, statement: str, limit: int) -> list[Difference]:
        cursor = self._cursor.execute(statement, (limit,))
        names = [column[0] for column in cursor.description]
        sides: dict[str, dict[str, dict[str, Any]]] = {}
        for values in cursor.fetchall():
            row = dict(zip(names, values, strict=True))
            sides.setdefault(str(row.pop("key")), {})[row.pop("side")] = row
        return [
            Difference(table, key, side.get("stored"), side.get("rebuilt"))
            for key, side in sides.items()
        ]
