"""Stores read anew, whoever has closed them or stands in front of them: for checks after a test."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from msgspec import Struct

from aipartnerupflow.adapters.journal.faults import place_of
from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.memory.projections import MemoryStatus
from aipartnerupflow.adapters.journal.memory.reads import MemoryReads
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.adapters.journal.postgres.connect import Datastore as PostgresDatastore
from aipartnerupflow.adapters.journal.postgres.projections import PostgresStatus
from aipartnerupflow.adapters.journal.postgres.reads import PostgresReads
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder
from aipartnerupflow.adapters.journal.sqlite.projections import SQLiteStatus
from aipartnerupflow.adapters.journal.sqlite.reads import SQLiteReads
from aipartnerupflow.adapters.journal.sqlite.recorder import Datastore as SQLiteDatastore
from aipartnerupflow.adapters.journal.sqlite.recorder import SQLiteRecorder, database_name
from aipartnerupflow.adapters.journal.sqlite.schema import SCHEMA_VERSION
from aipartnerupflow.domain.events import Recorded
from aipartnerupflow.projections.rebuild import StatusStore
from aipartnerupflow.projections.views import ReadModel
from aipartnerupflow.testing.fakes import FakeJournal

Source = MemoryRecorder | SQLiteRecorder | PostgresRecorder | FakeJournal


class Opened(Struct):
    """A store as it is read; a fake one has a log and nothing else."""

    log: Sequence[Recorded]
    journal: EventJournal | None = None
    rows: StatusStore | None = None
    reads: ReadModel | None = None


Open = Callable[[], AbstractContextManager[Opened]]


def reopening(source: Source) -> tuple[object, Open]:
    """What tells the store from others, and how to read it later, whoever closes it."""
    match source:
        case SQLiteRecorder():
            return file_of(source), partial(sqlite_file, file_of(source))
        case PostgresRecorder():
            store = source.store
            return (store.label, store.schema), partial(_postgres, store)
        case MemoryRecorder():
            return id(source), partial(_memory, source)
        case FakeJournal():
            return id(source), lambda: nullcontext(Opened(_in_streams(source.commits)))


def _in_streams(commits: Sequence[Sequence[Recorded]]) -> list[Recorded]:
    """As the stores put it: what a transaction holds of one tree stands together."""
    log: list[Recorded] = []
    for commit in commits:
        first = {r.tree: n for n, r in reversed(list(enumerate(commit)))}
        log.extend(sorted(commit, key=lambda r: first[r.tree]))
    return log


def file_of(recorder: SQLiteRecorder) -> Path:
    """The file, by the one name that all its other names stand for."""
    return Path(os.path.realpath(place_of(recorder.path)))


@contextmanager
def _memory(recorder: MemoryRecorder) -> Iterator[Opened]:
    """Through a recorder of ours on the same data: the test's own may be closed, or fail."""
    again, mapper = MemoryRecorder(), StructMapper()
    again.__dict__.update(recorder.__dict__, _closed=False)
    journal = EventJournal(again, mapper)
    log = list(journal.read_all())
    yield Opened(log, journal, MemoryStatus(again, mapper), MemoryReads(again, mapper))


@contextmanager
def sqlite_file(path: Path) -> Iterator[Opened]:
    """Empty where there is no store, or one of another version."""
    if not _is_store(path):
        yield Opened([])
        return
    recorder = SQLiteRecorder(SQLiteDatastore(database_name(path), durability="process"))
    with closing(recorder):
        mapper = StructMapper()
        journal = EventJournal(recorder, mapper)
        log = list(journal.read_all())
        yield Opened(log, journal, SQLiteStatus(recorder, mapper), SQLiteReads(recorder, mapper))


def _is_store(path: Path) -> bool:
    """Whether it is there, and of this version: stores are not brought up to date here."""
    if not path.exists():
        return False
    uri = f"{database_name(path)}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return bool(version == SCHEMA_VERSION)


@contextmanager
def _postgres(store: PostgresDatastore) -> Iterator[Opened]:
    store.connect(patience=2).close()  # a pool would wait long for a server that is gone
    again = PostgresDatastore(
        store.parameters, schema=store.schema, get_password=store.pool.get_password_func
    )
    recorder = PostgresRecorder(again)
    with closing(recorder):
        mapper = StructMapper()
        journal = EventJournal(recorder, mapper)
        log = list(journal.read_all())
        status = PostgresStatus(recorder, mapper)
        yield Opened(log, journal, status, PostgresReads(recorder, mapper))
