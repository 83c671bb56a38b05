"""Stores for tests that make many of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.sqlite import Datastore, SQLiteRecorder, database_name


@contextmanager
def sqlite_recorder() -> Iterator[SQLiteRecorder]:
    """An empty store in a directory of its own; it does not wait for the disk."""
    with TemporaryDirectory() as folder:
        path = database_name(Path(folder) / "store.db")
        recorder = SQLiteRecorder(Datastore(path, durability="process"))
        recorder.create_table()
        try:
            yield recorder
        finally:
            recorder.close()


def journal_of(recorder: SQLiteRecorder) -> EventJournal:
    """The journal over a recorder."""
    return EventJournal(recorder, StructMapper())
