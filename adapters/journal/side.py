"""Tables beside the log: what belongs to a store and is no fold of its events.

One set of classes works on all stores, by named statements that differ only in their dialect.
"""

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ...projections.views import TreeView
from .sql import script, statements

Row = Sequence[Any]


class Side(Protocol):
    """Reads and writes rows by the name of a statement. Blocking; any thread may call."""

    def read(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of a statement that changes nothing."""

    def write(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Carry it out, durably; the rows that it returns. It may be carried out twice."""


class SQLiteSide:
    """`Side` on SQLite."""

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder
        self._sql = vars(statements("sqlite_side"))

    def read(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """See `Side.read`."""
        rows: Sequence[Row] = self._recorder.query(self._sql[name], parameters)
        return rows

    def write(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """See `Side.write`."""
        with self._recorder.exclusive() as cursor:
            rows: Sequence[Row] = cursor.execute(self._sql[name], parameters).fetchall()
            return rows


class PostgresSide:
    """`Side` on PostgreSQL."""

    def __init__(self, recorder: Any) -> None:
        self._recorder = recorder
        self._sql = vars(statements("postgres_side"))

    def read(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """See `Side.read`."""
        rows: Sequence[Row] = self._recorder.query(self._sql[name], parameters)
        return rows

    write = read


def _no_tree(id: str) -> TreeView | None:
    return None


class MemorySide:
    """`Side` for a store in memory: a SQLite database in memory.

    ``tree`` finds the rows of trees, which lie elsewhere.
    """

    def __init__(self, tree: Callable[[str], TreeView | None] = _no_tree) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._tree = tree
        self._sql = vars(statements("sqlite_side"))
        for part in script("sqlite_schema").split(";\n"):
            if "IF NOT EXISTS token " in part or "webhook" in part:
                self._connection.execute(part)
        self._connection.execute(self._sql["memory_table"])

    def read(self, name: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """See `Side.read`."""
        with self._lock, self._connection:
            self._copy_trees()
            return self._connection.execute(self._sql[name], parameters).fetchall()

    write = read

    def _copy_trees(self) -> None:
        for (id,) in self._connection.execute(self._sql["memory_trees"]).fetchall():
            found = self._tree(id)
            if found is not None:
                row = {
                    "id": id, "owner": found.user_id, "phase": found.phase,
                    "version": found.version,
                }  # fmt: skip
                self._connection.execute(self._sql["memory_tree"], row)
