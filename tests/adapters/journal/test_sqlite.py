"""What is special about the journal on SQLite: its file, its pragmas, its locks."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import InfrastructureFactory, Tracking
from eventsourcing.utils import Environment

from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.sqlite import datastore as sqlite_datastore
from aipartnerupflow.adapters.journal.sqlite.recorder import (
    Datastore,
    SQLiteRecorder,
    database_name,
)
from aipartnerupflow.domain.errors import (
    StoreCorrupt,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from tests.support.facts import new, saved

pytestmark = pytest.mark.any_log(reason="writes events that say little behind any others")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with the tree ``a`` in it."""
    path = tmp_path / "store.db"
    with opened(database_name(path)) as journal:
        journal.append([[new("a")]])
    return path


@contextmanager
def opened(name: str, **settings: Any) -> Iterator[EventJournal]:
    recorder = SQLiteRecorder(Datastore(name, **settings))
    try:
        recorder.create_table()
        yield EventJournal(recorder, StructMapper())
    finally:
        recorder.close()


def recorder_of(journal: EventJournal) -> SQLiteRecorder:
    assert isinstance(journal.recorder, SQLiteRecorder)
    return journal.recorder


@pytest.mark.parametrize(("durability", "synchronous"), [("power", 2), ("process", 1)])
def test_connections_are_set_to_what_is_promised(
    path: Path, durability: str, synchronous: int
) -> None:
    """2 is FULL, 1 is NORMAL."""
    with opened(database_name(path), durability=durability) as journal:
        recorder = recorder_of(journal)
        pooled = recorder.datastore.pool.get_connection()
        for connection in (recorder._connection(), recorder._reader(), pooled._sqlite_conn):
            for pragma, value in (
                ("synchronous", synchronous), ("journal_mode", "wal"), ("busy_timeout", 10_000),
            ):  # fmt: skip
                assert tuple(connection.execute(f"PRAGMA {pragma}").fetchone()) == (value,)
        recorder.datastore.pool.put_connection(pooled)


def test_readers_cannot_write(path: Path) -> None:
    with opened(database_name(path)) as journal, pytest.raises(StoreReadOnly):
        recorder_of(journal).query("DELETE FROM tree")


def test_the_library_s_factory_makes_our_recorder_from_the_environment(tmp_path: Path) -> None:
    env = {
        "PERSISTENCE_MODULE": "aipartnerupflow.adapters.journal.sqlite.recorder",
        "SQLITE_DBNAME": database_name(tmp_path / "store.db"),
        "APFLOW_DURABILITY": "process",
    }
    factory = InfrastructureFactory.construct(Environment(env=env))
    recorder = factory.process_recorder()
    assert isinstance(recorder, SQLiteRecorder)
    journal = EventJournal(recorder, StructMapper())
    journal.append([[new("a")]])
    assert recorder._connection().execute("PRAGMA synchronous").fetchone() == (1,)
    recorder.insert_tracking(Tracking("projection", 5))
    assert recorder.max_tracking_id("projection") == 5
    journal.close()
    factory.close()


def test_a_store_that_is_read_only_can_be_read(path: Path) -> None:
    with opened(f"{database_name(path)}?mode=ro") as journal:
        with pytest.raises(StoreReadOnly, match="cannot be written: check its owner and mode"):
            journal.append([[saved("a", 1)]])
        assert [r.version for r in journal.read("a")] == [1]


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreUnavailable, match="check that its directory exists"),
        opened(database_name(tmp_path / "nowhere" / "store.db")),
    ):
        pass


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"these are the notes of somebody else " * 100)
    with pytest.raises(StoreCorrupt, match="keep a copy"), opened(database_name(path)):
        pass
    assert path.read_bytes().startswith(b"these are the notes")


def test_a_full_disk_is_told_and_nothing_of_the_command_is_kept(path: Path) -> None:
    with opened(database_name(path)) as journal:
        writer = recorder_of(journal)._connection()
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {pages + 4}")
        with pytest.raises(StoreFull, match="What was acknowledged is kept"):
            journal.append([[saved("a", 1, 5, size=20_000)]])
        assert [r.version for r in journal.read("a")] == [1]
        writer.execute("PRAGMA max_page_count = 100000")
        journal.append([[saved("a", 1, 5, size=20_000)]])
        assert journal.verify("a") is None


def test_another_program_s_lock_is_waited_for_then_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_datastore, "LOCK_TIMEOUT", 1)
    with opened(database_name(path)) as journal:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked by another process"):
                journal.append([[saved("a", 1)]])
            assert [r.version for r in journal.read("a")] == [1]
        journal.append([[saved("a", 1)]])
        assert journal.verify("a") is None


def test_a_store_of_a_later_version_is_refused_and_not_changed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("DROP TABLE attempt")
        connection.commit()
    with (
        pytest.raises(StoreUnavailable, match="later version of aipartnerupflow"),
        opened(database_name(path)),
    ):
        pass
    with closing(sqlite3.connect(path)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert "attempt" not in names
