"""What watches over all tests finds what is planted, and says nothing of a sound store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.adapters.journal.sqlite.recorder import (
    Datastore,
    SQLiteRecorder,
    database_name,
)
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import Concurrency, Policy
from aipartnerupflow.engine.ports import Append
from aipartnerupflow.testing.fakes import FakeJournal
from aipartnerupflow.testing.trees import completed, running, settled, started, submitted, task
from tests.support.logs import Watch
from tests.support.stores import PostgresStore, postgres_store, sqlite_store

pytestmark = pytest.mark.any_log(reason="plants faults for a watch of its own to find")

DONE = [*running("r(x)"), started("r"), completed("r"), settled("completed")]
BROKEN = [*submitted("r(x)"), started("r"), completed("r"), settled("completed")]
KEY = Concurrency("k")
KEYED = [*running("r(x)", task("r/a", policy=Policy(concurrency=KEY))), started("a", slot=KEY)]


def filled(recorder: Any, facts: list[AnyEvent], tree: str = "r") -> Any:
    index = {"r": 0, "a": 1}
    EventJournal(recorder, StructMapper()).append([[Append(tree, 0, facts, index)]])
    return recorder


def found(source: Any, folder: Path | None = None) -> list[str]:
    watch = Watch()
    if source is not None:
        watch.notice(source)
    return watch.end(folder)


@contextmanager
def at(path: Path) -> Iterator[SQLiteRecorder]:
    recorder = SQLiteRecorder(Datastore(database_name(path), durability="process"))
    recorder.create_table()
    try:
        yield recorder
    finally:
        recorder.close()


def test_a_sound_log_is_counted_and_nothing_is_said() -> None:
    watch = Watch()
    watch.notice(filled(MemoryRecorder(), DONE))
    watch.notice(MemoryRecorder())
    assert watch.end(None) == []
    assert (watch.logs, watch.events) == (1, len(DONE))
    assert watch.end(None) == []
    assert (watch.logs, watch.events) == (1, len(DONE))


def test_a_broken_log_is_found_in_memory_though_it_was_closed() -> None:
    recorder = filled(MemoryRecorder(), BROKEN)
    recorder.close()
    assert any("no engine drives" in fault for fault in found(recorder))


def test_a_broken_log_is_found_in_a_fake() -> None:
    journal = FakeJournal()
    journal.append([[Append("r", 0, BROKEN, {})]])
    assert any("no engine drives" in fault for fault in found(journal))


def test_places_are_counted_over_all_trees() -> None:
    journal = FakeJournal()
    journal.append([[Append("r", 0, KEYED, {})]])
    journal.append([[Append("s", 0, KEYED[:-1], {})]])
    assert found(journal) == []
    with pytest.raises(Exception, match="'k'"):
        journal.append([[Append("s", len(KEYED) - 1, KEYED[-1:], {})]])
    journal.slots.clear()
    journal.append([[Append("s", len(KEYED) - 1, KEYED[-1:], {})]])
    assert any("which has room for 1" in fault for fault in found(journal))


def test_a_status_that_the_log_does_not_say_is_found() -> None:
    recorder = filled(MemoryRecorder(), DONE)
    recorder.tables.trees["r"].status = "failed"
    faults = found(recorder)
    assert any("the row is settled and failed, the state 'completed'" in f for f in faults)
    assert any(fault.startswith("tree r: status") for fault in faults)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE stored_events SET body_hash = zeroblob(32) WHERE originator_version = 3",
        "UPDATE task_state SET status = 1",
        "UPDATE tree SET version = 4",
        "DELETE FROM stored_events WHERE originator_version = 2",
        "DELETE FROM tree",
    ],
)
def test_damage_is_found_in_a_file(change: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with at(path) as recorder:
        filled(recorder, DONE)
        assert found(recorder) == []
        with recorder.exclusive() as cursor:
            cursor.execute(change)
    assert found(recorder)


def test_what_other_programs_left_in_the_directory_of_a_test_is_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    (tmp_path / "notes.db").write_text("no store")
    (tmp_path / "empty.db").touch()
    with at(folder / "store.db") as recorder:
        filled(recorder, BROKEN)
    assert any("no engine drives" in fault for fault in found(None, tmp_path))
    assert found(None, None) == []


def test_a_file_that_goes_with_its_store_is_read_before_that() -> None:
    watch = Watch()
    with sqlite_store() as store:
        filled(store.recorder, BROKEN)
        watch.notice(store.recorder)
        watch.leave(store.recorder)
    assert any("no engine drives" in fault for fault in watch.end(None))


def test_what_is_gone_is_not_missed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with at(path) as recorder:
        filled(recorder, BROKEN)
    for part in tmp_path.iterdir():
        part.unlink()
    assert found(recorder) == []
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("no database, but as large as one" * 200)
    watch = Watch()
    assert watch.end(tmp_path) == []
    assert (watch.logs, watch.unread) == (0, 1)


def test_a_broken_log_is_found_on_a_server(postgres_dsn: str) -> None:
    with postgres_store(postgres_dsn) as store:
        assert isinstance(store, PostgresStore)
        filled(store.recorder, DONE)
        assert found(store.recorder) == []
    assert found(store.recorder) == []
    with postgres_store(postgres_dsn) as store:
        filled(store.recorder, BROKEN)
        assert any("no engine drives" in fault for fault in found(store.recorder))


@pytest.mark.parametrize("make", [MemoryRecorder, FakeJournal])
def test_of_many_stores_some_are_checked_before_the_end(make: Callable[[], Any]) -> None:
    watch = Watch()
    stores = [make() for _ in range(150)]
    for store in stores:
        if isinstance(store, FakeJournal):
            store.append([[Append("r", 0, BROKEN, {})]])
        else:
            filled(store, BROKEN)
        watch.notice(store)
    assert watch.logs == 50
    watch.end(None)
    assert watch.logs == 150
