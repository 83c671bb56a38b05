"""Stores of older versions: opened, they are brought up to date, and lose nothing."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from aipartnerupflow.adapters.journal.postgres import projections as postgres_projections
from aipartnerupflow.adapters.journal.postgres import schema as postgres_schema
from aipartnerupflow.adapters.journal.sqlite import projections as sqlite_projections
from aipartnerupflow.adapters.journal.sqlite import schema as sqlite_schema
from aipartnerupflow.adapters.journal.sqlite.recorder import (
    Datastore,
    SQLiteRecorder,
    database_name,
)
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import SlotTaken, StoreError, StoreReadOnly
from aipartnerupflow.domain.specs import Concurrency, ErrorInfo, Policy
from aipartnerupflow.engine.ports import Answered, Append
from aipartnerupflow.projections.rebuild import StatusStore, compare
from aipartnerupflow.projections.runner import Runner
from aipartnerupflow.projections.timeline import TIMELINE
from tests.support.facts import AT, numbers, spec
from tests.support.journals import Handle, PostgresStore, SQLiteStore
from tests.support.old_stores import make_postgres, make_sqlite

pytestmark = pytest.mark.any_log(reason="writes every kind of event, in no order of a real tree")

_schemas = count(1)
TREES = ("open", "over", "draft")
INDEX = numbers("open", "a", "b", "c", "d")


class OldSQLite(SQLiteStore):
    """A file of version 1."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        make_sqlite(path)

    def status(self, handle: Handle) -> StatusStore:
        return sqlite_projections.SQLiteStatus(handle.recorder, handle.journal.mapper)

    def timeline(self, handle: Handle) -> Any:
        return sqlite_projections.timeline_rows(handle.recorder)

    def version(self) -> Any:
        return self.ask("PRAGMA user_version")[0][0]

    def shape(self) -> Any:
        """All that the schema says, as SQLite has understood it."""
        names = self.ask("SELECT type, name FROM sqlite_master ORDER BY type, name")
        columns = {
            name: self.ask(f"SELECT * FROM pragma_table_info('{name}')")
            for kind, name in names
            if kind == "table"
        }
        return names, columns


class OldPostgres(PostgresStore):
    """A schema of version 1."""

    def __init__(self, dsn: str, schema: str) -> None:
        super().__init__(dsn, schema)
        make_postgres(dsn, schema)

    def status(self, handle: Handle) -> StatusStore:
        return postgres_projections.PostgresStatus(handle.recorder, handle.journal.mapper)

    def timeline(self, handle: Handle) -> Any:
        return postgres_projections.timeline_rows(handle.recorder)

    def version(self) -> Any:
        found = "SELECT notification_id FROM tracking WHERE application_name = '__schema__'"
        return self.ask(found)[0][0]

    def shape(self) -> Any:
        return catalogue(self)


def catalogue(store: PostgresStore) -> Sequence[Any]:
    """Columns, indexes and functions."""
    return [
        store.ask(statement)
        for statement in (
            "SELECT table_name, column_name, data_type, column_default, is_nullable, "
            "collation_name, ordinal_position FROM information_schema.columns "
            "WHERE table_schema = current_schema() ORDER BY 1, 7",
            "SELECT replace(indexdef, current_schema(), '') FROM pg_indexes "
            "WHERE schemaname = current_schema() ORDER BY 1",
            "SELECT proname, pg_get_function_arguments(oid), prosrc FROM pg_proc "
            "WHERE pronamespace = current_schema()::regnamespace ORDER BY 1",
            "SELECT relname, reloptions FROM pg_class "
            "WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' ORDER BY 1",
        )
    ]


Old = OldSQLite | OldPostgres


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Old]:
    made: Old
    if request.param == "sqlite":
        made = OldSQLite(tmp_path / "old.db")
    else:
        dsn = request.getfixturevalue("postgres_dsn")
        made = OldPostgres(dsn, f"old{next(_schemas)}")
    yield made
    made.close()


def test_an_older_store_is_read_as_it_was_written(old: Old) -> None:
    handle = old.open()
    assert old.version() == sqlite_schema.SCHEMA_VERSION == postgres_schema.SCHEMA_VERSION
    assert [handle.journal.verify(tree) for tree in TREES] == [None] * 3
    assert [r.position for r in handle.journal.read_all()] == list(range(1, 20))
    assert [tree.id for tree in handle.journal.open_work()] == ["open"]
    trees = {tree.id: (tree.phase, tree.status, tree.paused) for tree in handle.reads.trees()}
    assert trees == {
        "open": ("submitted", "in_progress", False),
        "over": ("settled", "completed", False),
        "draft": ("draft", "pending", False),
    }
    of = {task.id: task for task in handle.reads.tasks("open")}
    assert [task.status for task in of.values()] == [
        "in_progress", "completed", "failed", "pending", "pending",
    ]  # fmt: skip
    assert [task.policy for task in of.values()] == [Raw(b"{}")] * 5
    assert of["a"].value() == {"sum": 3}
    assert of["b"].error == ErrorInfo("Boom", "it broke")
    assert compare(old.status(handle))[1] == []


def test_an_older_store_goes_on_with_all_that_is_new(old: Old) -> None:
    handle = old.open()
    old.change(
        'INSERT INTO inbox (id, tree, name, arguments, "by", at) '
        "VALUES ('c1', 'open', 'pause', '{}', 'user', '')",
        {},
    )
    slot = Concurrency("key")
    facts: list[e.AnyEvent] = [
        e.TreeClaimed(at=AT, engine="engine-2", epoch=2),
        e.TaskStarted(at=AT, task="c", attempt=2, slot=slot),
        e.TaskCancelled(at=AT, task="d"),
        e.TreePaused(at=AT),
    ]
    answers = (Answered("c1", b"{}"),)
    handle.journal.append([[Append("open", 12, facts, INDEX, keyed=True, answers=answers)]])
    added = e.TasksAdded(at=AT, specs=(spec("f", "draft", policy=Policy(timeout=1.0)),))
    handle.journal.append([[Append("draft", 1, [added], numbers("draft", "e", "f"))]])
    again: list[e.AnyEvent] = [
        e.TaskReopened(at=AT, task="over", generation=2),
        e.TreeReopened(at=AT),
        e.TaskStarted(at=AT, task="over", generation=2, slot=slot),
    ]
    unit = [Append("over", 6, again, numbers("over"), keyed=True)]
    with pytest.raises(SlotTaken):
        handle.journal.append([unit])
    done = e.TaskCompleted(at=AT, task="c", attempt=2)
    handle.journal.append([[Append("open", 16, [done], INDEX, keyed=True)], unit])
    view = handle.reads.task("f")
    assert view is not None
    assert view.policy == Raw(b'{"timeout":1.0}')
    assert [tree.id for tree in handle.reads.trees(status="in_progress")] == ["over", "open"]
    assert [handle.journal.verify(tree) for tree in TREES] == [None] * 3
    assert compare(old.status(handle))[1] == []


def test_the_timeline_of_an_older_store_is_made_again(old: Old) -> None:
    handle = old.open()
    before = handle.reads.attempts("open")
    assert [attempt.outcome for attempt in before] == [None, "completed", "failed", "interrupted"]
    rows = old.timeline(handle)
    Runner(handle.journal, rows, TIMELINE).catch_up()
    assert rows.mark("timeline").version == TIMELINE.version
    assert handle.reads.attempts("open") == before


def test_an_older_store_comes_to_the_same_tables_as_a_new_one(
    old: Old, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    old.open()
    fresh: Any
    if isinstance(old, OldSQLite):
        fresh = SQLiteStore(tmp_path / "fresh.db")
        fresh.open()
        assert old.shape() == OldSQLite.shape(fresh)
    else:
        fresh = PostgresStore(request.getfixturevalue("postgres_dsn"), f"{old.schema}fresh")
        fresh.open()
        for one, other in zip(old.shape(), catalogue(fresh), strict=True):
            assert one == other
    fresh.close()


def test_what_fails_on_the_way_leaves_the_older_store_as_it_was(
    old: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = old.shape()
    module = sqlite_schema if isinstance(old, OldSQLite) else postgres_schema
    step = module._STEPS.from_1
    monkeypatch.setattr(module._STEPS, "from_1", f"{step};\nALTER TABLE nowhere ADD COLUMN x text")
    with pytest.raises(StoreError):
        old.open()
    assert old.version() == 1
    assert old.shape() == before
    monkeypatch.undo()
    assert compare(old.status(old.open()))[1] == []


def test_many_may_open_an_older_store_at_once(old: Old) -> None:
    failures: list[BaseException] = []

    def use(tree: str) -> None:
        try:
            handle = old.open()
            created = e.TreeCreated(at=AT, uid="u", name="t", specs=(spec(tree),))
            handle.journal.append([[Append(tree, 0, [created], numbers(tree))]])
        except BaseException as error:  # noqa: BLE001 (told below, in the test's own thread)
            failures.append(error)

    threads = [threading.Thread(target=use, args=(f"t{n}",)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert old.version() == sqlite_schema.SCHEMA_VERSION == postgres_schema.SCHEMA_VERSION
    assert compare(old.status(old.open()))[1] == []


def wait_until(holds: Callable[[], Any]) -> None:
    paused = threading.Event()
    for _ in range(500):
        if holds():
            return
        paused.wait(0.02)
    raise AssertionError("it did not come to that")


@pytest.mark.postgres
def test_a_writer_of_the_older_version_is_waited_for(postgres_dsn: str) -> None:
    """It holds the writers' lock, and needs the tables yet."""
    old = OldPostgres(postgres_dsn, f"old{next(_schemas)}")
    with old.connected() as writer, old.connected() as watcher:
        with writer.transaction():
            writer.execute(
                "SELECT pg_advisory_xact_lock(1634755175, 'stored_events'::regclass::oid::integer)"
            )
            opening = threading.Thread(target=old.open)
            opening.start()
            waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            wait_until(lambda: watcher.execute(waits).fetchall())
            writer.execute("UPDATE task SET name = 'later' WHERE id = 'd'")
            writer.execute("UPDATE tree SET name = 'later' WHERE id = 'open'")
        opening.join()
    assert old.version() == sqlite_schema.SCHEMA_VERSION == postgres_schema.SCHEMA_VERSION
    assert old.ask("SELECT name FROM tree WHERE id = 'open'") == [("later",)]
    old.close()


def test_a_file_that_cannot_be_written_is_told_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    make_sqlite(path)
    recorder = SQLiteRecorder(Datastore(f"{database_name(path)}?mode=ro"))
    with pytest.raises(StoreReadOnly, match="cannot be written"):
        recorder.create_table()
    recorder.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
