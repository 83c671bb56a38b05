"""A commit that reports a failure is found out; what cannot be found out may be given again."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec import structs

from aipartnerupflow.adapters.journal.journal import Batch, EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.postgres.connect import Datastore as PostgresDatastore
from aipartnerupflow.adapters.journal.postgres.connect import parameters
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder
from aipartnerupflow.adapters.journal.sqlite.recorder import Datastore as SQLiteDatastore
from aipartnerupflow.adapters.journal.sqlite.recorder import database_name
from aipartnerupflow.adapters.journal.unknown import MAX_APPENDS
from aipartnerupflow.domain.errors import (
    CommitUnknown,
    IdTaken,
    StaleVersion,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from aipartnerupflow.engine.ports import Append
from tests.support.facts import new, numbers, saved
from tests.support.journals import LossyMemory, LossySQLite
from tests.support.proxies import Proxy

pytestmark = pytest.mark.any_log(reason="writes events that say little behind any others")

Way = TypeVar("Way", bound=Proxy)


class Blind:
    """Mixed into a recorder: ``blind`` times it cannot be read back, ``blinded`` after a loss."""

    blind = 0
    blinded = 0
    refuse: StoreError | None = None

    def losing(self) -> str:
        lose: str = super().losing()  # type: ignore[misc]
        if lose:
            self.blind, self.blinded = self.blinded, 0
        return lose

    def _look(self) -> None:
        if self.blind > 0:
            self.blind -= 1
            raise StoreUnavailable("nobody there")

    def hash_at(self, tree: str, version: int) -> bytes | None:
        self._look()
        found: bytes | None = super().hash_at(tree, version)  # type: ignore[misc]
        return found

    def position(self) -> int:
        self._look()
        found: int = super().position()  # type: ignore[misc]
        return found

    def record(self, batches: Sequence[Batch]) -> int:
        if self.refuse is not None:
            error, self.refuse = self.refuse, None
            raise error
        found: int = super().record(batches)  # type: ignore[misc]
        return found


class BlindMemory(Blind, LossyMemory): ...


class BlindSQLite(Blind, LossySQLite): ...


@pytest.fixture(params=["memory", "sqlite"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    made: Any
    if request.param == "memory":
        made = BlindMemory()
    else:
        made = BlindSQLite(SQLiteDatastore(database_name(tmp_path / "store.db")))
        made.create_table()
    yield made
    made.close()


@pytest.fixture
def journal(recorder: Any) -> EventJournal:
    return EventJournal(recorder, StructMapper())


def fail(recorder: Any, journal: EventJournal, when: str, *units: Sequence[Append]) -> None:
    """The units are given, and nobody can find out what became of them."""
    recorder.lose, recorder.blinded = when, 1
    with pytest.raises(CommitUnknown, match="whether it was stored cannot be found out"):
        journal.append(units)


def versions(journal: EventJournal, tree: str) -> list[int]:
    found = [recorded.version for recorded in journal.read(tree)]
    assert journal.verify(tree) is None
    return found


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_is_given_again_is_stored_once(
    recorder: Any, journal: EventJournal, when: str
) -> None:
    journal.append([[new("a")], [new("b")]])
    units = [[saved("a", 1, 2)], [saved("b", 1)], [new("c", "c.1")]]
    fail(recorder, journal, when, *units)
    assert journal.append(units) == journal.position() == 6
    assert [versions(journal, tree) for tree in "abc"] == [[1, 2, 3], [1, 2], [1]]
    journal.append([[saved("a", 3)], [saved("b", 2)], [saved("c", 1)]])


@pytest.mark.parametrize("when", ["before", "after"])
def test_it_may_be_given_again_in_parts_and_with_more(
    recorder: Any, journal: EventJournal, when: str
) -> None:
    journal.append([[new("a")], [new("b")]])
    first, second, other = saved("a", 1, 2), saved("a", 3), saved("b", 1)
    fail(recorder, journal, when, [first], [second], [other])
    journal.append([[first]])
    journal.append([[second], [saved("a", 4)], [new("c")]])
    journal.append([[other]])
    assert [versions(journal, tree) for tree in "abc"] == [[1, 2, 3, 4, 5], [1, 2], [1]]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_append_that_goes_on_from_it_stores_the_rest(
    recorder: Any, journal: EventJournal, when: str
) -> None:
    journal.append([[new("a")]])
    first, second = saved("a", 1, 2), saved("a", 3)
    fail(recorder, journal, when, [first], [second])
    more = [*first.events, *second.events, *saved("a", 4).events]
    journal.append([[structs.replace(first, events=more)]])
    assert versions(journal, "a") == [1, 2, 3, 4, 5]


def test_it_may_fail_again_and_again(recorder: Any, journal: EventJournal) -> None:
    journal.append([[new("a")]])
    unit = [saved("a", 1), new("b")]
    fail(recorder, journal, "before", unit)
    fail(recorder, journal, "before", unit)
    recorder.blind = 1
    with pytest.raises(CommitUnknown):
        journal.append([unit])
    fail(recorder, journal, "after", unit)
    journal.append([unit])
    assert (versions(journal, "a"), versions(journal, "b")) == ([1, 2], [1])


def test_the_same_events_count_whether_or_not_they_are_the_same_objects(
    recorder: Any, journal: EventJournal
) -> None:
    journal.append([[new("a")]])
    fail(recorder, journal, "after", [saved("a", 1)])
    journal.append([[saved("a", 1)]])
    assert versions(journal, "a") == [1, 2]


def test_another_command_at_that_version_is_stale_once_the_first_is_stored(
    recorder: Any, journal: EventJournal
) -> None:
    journal.append([[new("a")]])
    fail(recorder, journal, "after", [saved("a", 1)], [new("b")])
    with pytest.raises(StaleVersion):
        journal.append([[saved("a", 1, size=2)]])
    with pytest.raises(IdTaken):
        journal.append([[new("b", "b.1")]])
    assert versions(journal, "a") == [1, 2]


def test_another_command_at_that_version_is_stored_where_the_first_is_not(
    recorder: Any, journal: EventJournal
) -> None:
    journal.append([[new("a")]])
    fail(recorder, journal, "before", [saved("a", 1)])
    journal.append([[saved("a", 1, size=2)]])
    assert versions(journal, "a") == [1, 2]
    with pytest.raises(StaleVersion):
        journal.append([[saved("a", 1)]])


def test_where_the_position_cannot_be_told_the_same_may_be_given_again(
    recorder: Any, journal: EventJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append([[new("a")]])
    position = recorder.position

    def away() -> int:
        raise StoreUnavailable("nobody there")

    monkeypatch.setattr(recorder, "position", away)
    recorder.lose = "after"
    for _ in range(2):
        with pytest.raises(CommitUnknown):
            journal.append([[saved("a", 1)]])
    monkeypatch.setattr(recorder, "position", position)
    assert journal.append([[saved("a", 1)]]) == 2
    assert versions(journal, "a") == [1, 2]


def test_a_try_that_is_stored_behind_our_back_is_known_for_our_own(
    recorder: Any, journal: EventJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a server that carries out later what it was sent before it was lost."""
    journal.append([[new("a")]])
    sent: list[Batch] = []
    commit, record = recorder.record, recorder.record

    def lose(batches: Sequence[Batch]) -> int:
        recorder.lose, recorder.blinded = "before", 1
        sent.extend(batches)
        position: int = record(batches)
        return position

    def be_late(batches: Sequence[Batch]) -> int:
        if sent:
            late = list(sent)
            sent.clear()
            commit(late)
        position: int = record(batches)
        return position

    unit = [saved("a", 1), new("b")]
    monkeypatch.setattr(recorder, "record", lose)
    with pytest.raises(CommitUnknown):
        journal.append([unit])
    monkeypatch.setattr(recorder, "record", be_late)
    journal.append([unit, [new("c")]])
    assert [versions(journal, tree) for tree in "abc"] == [[1, 2], [1], [1]]


@pytest.mark.parametrize("error", [StoreFull("full"), StoreUnavailable("locked")])
def test_a_definite_refusal_is_told_as_it_is_and_leaves_nothing(
    recorder: Any, journal: EventJournal, error: StoreError
) -> None:
    journal.append([[new("a")]])
    recorder.refuse, recorder.blind = error, 1  # it need not be read back
    with pytest.raises(type(error)) as caught:
        journal.append([[saved("a", 1)]])
    assert caught.value is error
    recorder.blind = 0
    assert versions(journal, "a") == [1]
    journal.append([[saved("a", 1)]])


def test_a_store_that_is_full_at_the_commit_has_not_stored_it(
    recorder: Any, journal: EventJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(*_: object) -> None:
        recorder.blind = 1
        raise StoreFull("full")

    journal.append([[new("a")]])
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "_commit", fill_up)
        with pytest.raises(StoreFull):
            journal.append([[saved("a", 1)]])
    recorder.blind = 0
    journal.append([[saved("a", 1)]])
    assert versions(journal, "a") == [1, 2]


def test_what_is_never_given_again_is_forgotten_in_the_end(
    recorder: Any, journal: EventJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_APPENDS >= 1000
    monkeypatch.setattr("aipartnerupflow.adapters.journal.unknown.MAX_APPENDS", 3)
    for n in range(5):
        fail(recorder, journal, "before", [new(f"t{n}")])
    assert len(journal._unknown._tries) == 3


# -- PostgreSQL: servers that say nothing


class Holding(Proxy):
    """Passes nothing on while it is held, in neither direction; all of it afterwards."""

    def __init__(self, folder: Path, dsn: str) -> None:
        super().__init__(folder, dsn)
        self._flows = [threading.Event()]
        self._flows[0].set()

    def hold(self) -> None:
        """All there is, and all that comes."""
        for flow in self._flows:
            flow.clear()

    def hold_what_is_there(self) -> None:
        """Who comes later is served."""
        self.hold()
        self._flows.append(threading.Event())
        self.release(-1)

    def release(self, first: int = 0) -> None:
        for flow in self._flows[first:]:
            flow.set()

    def _pass(self, source: Any, sink: Any, answers: bool) -> None:
        flow = self._flows[-1]

        class Sink:
            @staticmethod
            def sendall(data: bytes) -> None:
                flow.wait(60)
                sink.sendall(data)

            shutdown, close = sink.shutdown, sink.close

        super()._pass(source, Sink, answers)  # type: ignore[arg-type]


@contextmanager
def running(made: Way) -> Iterator[Way]:
    made.up()
    try:
        yield made
    finally:
        if isinstance(made, Holding):
            made.release()
        made.down()


@contextmanager
def opened(dsn: str, *, lock_timeout: int = 1) -> Iterator[EventJournal]:
    recorder = PostgresRecorder(PostgresDatastore(parameters(dsn), lock_timeout=lock_timeout))
    recorder.create_table()
    journal = EventJournal(recorder, StructMapper())
    try:
        yield journal
    finally:
        journal.close()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aipartnerupflow.adapters.journal.postgres.recorder.PATIENCE", 1.0)


def took(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


@pytest.mark.usefixtures("short")
def test_a_save_on_a_server_that_says_nothing_ends_and_may_be_repeated(
    postgres_dsn: str, tmp_path: Path
) -> None:
    """The commit reaches the server once it moves again, when we have long given up."""
    with running(Holding(tmp_path, postgres_dsn)) as way, opened(way.dsn) as journal:
        journal.append([[new("held")]])
        way.hold()

        def save() -> None:
            with pytest.raises(CommitUnknown, match="cannot be found out"):
                journal.append([[saved("held", 1)]])

        assert 1.9 < took(save) < 6
        assert took(save) < 6
        way.release()
        journal.append([[saved("held", 1)], [new("held too")]])
        assert versions(journal, "held") == [1, 2]
        journal.append([[saved("held", 2)]])
        assert versions(journal, "held") == [1, 2, 3]


@pytest.mark.usefixtures("short")
def test_a_save_that_was_told_as_not_stored_never_will_be(
    postgres_dsn: str, tmp_path: Path
) -> None:
    """Its server process is ended, so that what is still on its way to it comes to nothing."""
    with running(Holding(tmp_path, postgres_dsn)) as way, opened(way.dsn) as journal:
        journal.append([[new("late")]])
        journal.append([[saved("late", 1)]])
        way.hold_what_is_there()
        with pytest.raises(StoreUnavailable, match="said nothing") as caught:
            journal.append([[saved("late", 2)]])
        assert not isinstance(caught.value, CommitUnknown)
        way.release()
        time.sleep(0.5)
        assert versions(journal, "late") == [1, 2]
        journal.append([[saved("late", 2)]])
        assert versions(journal, "late") == [1, 2, 3]


def test_who_reads_from_a_server_that_says_nothing_does_not_try_one_connection_after_the_other(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Holding(tmp_path, postgres_dsn)) as way, opened(way.dsn) as journal:
        pool = journal.recorder.store.pool  # type: ignore[attr-defined]
        pool.open()
        held = [pool.getconn() for _ in range(3)]
        for connection in held:
            connection.patience = 1.0
            pool.putconn(connection)
        way.hold()

        def read() -> None:
            with pytest.raises(StoreUnavailable, match="said nothing"):
                journal.position()

        assert took(read) < 1.9


class Slow(Proxy):
    """Lets through 64 KB at a time."""

    def _pass(self, source: Any, sink: Any, answers: bool) -> None:
        class Sink:
            @staticmethod
            def sendall(data: bytes) -> None:
                time.sleep(len(data) / (1 << 16) * 0.03)
                sink.sendall(data)

            shutdown, close = sink.shutdown, sink.close

        super()._pass(source, Sink, answers)  # type: ignore[arg-type]


def test_a_slow_way_to_the_server_is_not_taken_for_silence(
    postgres_dsn: str, tmp_path: Path
) -> None:
    with running(Slow(tmp_path, postgres_dsn)) as way, opened(way.dsn) as journal:
        journal.append([[new("slow")]])
        journal.recorder._writer.connection().patience = 0.4  # type: ignore[attr-defined]
        events = saved("slow", 1, 30, size=100_000).events
        unit = [Append("slow", 1, events, numbers("slow"))]
        assert took(lambda: journal.append([unit])) > 1
        assert len(versions(journal, "slow")) == 31
