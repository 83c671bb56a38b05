"""A SQLite file that is something else is refused, and stays as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aipartnerupflow.adapters.journal.faults import from_sqlite
from aipartnerupflow.api.wiring import open_store
from aipartnerupflow.domain.errors import StoreCorrupt, StoreUnavailable


@pytest.mark.parametrize("table", ["customers", "tree", "stored_events"])
def test_a_foreign_database_is_not_touched(tmp_path: Path, table: str) -> None:
    path = tmp_path / "foreign.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE {table} (a, b)")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="not a store of aipartnerupflow"):
        open_store(str(path))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["foreign.db"]


def test_rows_that_do_not_fit_the_log_are_told_with_what_makes_them_again() -> None:
    told = from_sqlite(sqlite3.IntegrityError("UNIQUE constraint failed: task.num"), "store.db")
    assert isinstance(told, StoreCorrupt)
    assert "`apflow rebuild` makes them again" in str(told)
