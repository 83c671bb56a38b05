"""A SQLite file that is something else is refused, and stays as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from aipartnerupflow.api.wiring import open_store
from aipartnerupflow.domain.errors import StoreUnavailable


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
