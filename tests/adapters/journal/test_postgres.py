"""What is special about the journal on PostgreSQL: connections that break, wait, or are refused."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import InfrastructureFactory, Tracking
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.postgres import schema as postgres_schema
from aipartnerupflow.adapters.journal.postgres.connect import Datastore, label, parameters
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder, open_postgres
from aipartnerupflow.adapters.journal.sql import statements
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import (
    ApflowError,
    InvalidInput,
    StoreCorrupt,
    StoreReadOnly,
    StoreUnavailable,
)
from aipartnerupflow.engine.ports import Append
from tests.support.facts import AT, new, numbers, saved
from tests.support.facts import created as tree_created
from tests.support.postgres import PostgresServer
from tests.support.proxies import proxy, refusing

pytestmark = pytest.mark.any_log(reason="writes events that say little behind any others")

SECRET = "tops3cret"
_trees = count(1)


@pytest.fixture
def tree() -> str:
    """An id that no other test of the module uses."""
    return f"tree{next(_trees)}"


@pytest.fixture
def dsn(postgres_dsn: str) -> str:
    open_postgres(postgres_dsn)[0].close()
    return postgres_dsn


@contextmanager
def opened(dsn: str, **settings: Any) -> Iterator[EventJournal]:
    recorder = PostgresRecorder(Datastore(parameters(dsn), **settings))
    try:
        recorder.create_table()
        yield EventJournal(recorder, StructMapper())
    finally:
        recorder.close()


def writer_of(journal: EventJournal) -> psycopg.Connection[Any]:
    recorder = journal.recorder
    assert isinstance(recorder, PostgresRecorder)
    connection: psycopg.Connection[Any] = recorder._writer.connection()
    return connection


def setting(connection: psycopg.Connection[Any], name: str) -> str:
    row = connection.execute("SELECT current_setting(%s) AS value", (name,)).fetchone()
    assert row is not None
    return str(row["value"])


def end_all(dsn: str) -> None:
    """What a restart of the server does to idle connections."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


# -- how connections are set


@pytest.mark.parametrize(("durability", "commit"), [("power", "on"), ("process", "off")])
def test_connections_are_set_to_what_is_promised(dsn: str, durability: str, commit: str) -> None:
    with opened(dsn, durability=durability) as journal:
        recorder = journal.recorder
        assert isinstance(recorder, PostgresRecorder)
        with recorder.store.get_connection() as reader:
            for connection in (reader, writer_of(journal)):
                assert setting(connection, "synchronous_commit") == commit
                assert setting(connection, "lock_timeout") == "10s"
                assert setting(connection, "statement_timeout") == "1min"
                assert setting(connection, "idle_in_transaction_session_timeout") == "2s"
                assert setting(connection, "default_transaction_isolation") == "read committed"
                assert setting(connection, "client_encoding") == "UTF8"
                found = connection.info.get_parameters()
                assert found["keepalives_idle"] == "5"
                assert found["tcp_user_timeout"] == "10000"


def test_a_role_s_own_settings_do_not_weaken_the_promises(dsn: str, tree: str) -> None:
    options = "-c synchronous_commit=off -c default_transaction_isolation=serializable"
    with opened(make_conninfo(dsn, options=options)) as journal:
        assert setting(writer_of(journal), "synchronous_commit") == "on"
        assert setting(writer_of(journal), "default_transaction_isolation") == "read committed"


def test_the_library_s_factory_makes_our_recorder_from_the_environment(dsn: str, tree: str) -> None:
    target = conninfo_to_dict(dsn)
    env = {
        "PERSISTENCE_MODULE": "aipartnerupflow.adapters.journal.postgres.recorder",
        "POSTGRES_DBNAME": str(target["dbname"]),
        "POSTGRES_HOST": str(target["host"]),
        "POSTGRES_PORT": str(target.get("port") or 5432),
        "POSTGRES_USER": str(target["user"]),
        "POSTGRES_PASSWORD": "",
        "POSTGRES_LOCK_TIMEOUT": "7",
        "APFLOW_DURABILITY": "process",
    }
    factory = InfrastructureFactory.construct(Environment(env=env))
    recorder = factory.process_recorder()
    assert isinstance(recorder, PostgresRecorder)
    journal = EventJournal(recorder, StructMapper())
    journal.append([[new(tree)]])
    assert setting(writer_of(journal), "lock_timeout") == "7s"
    assert setting(writer_of(journal), "synchronous_commit") == "off"
    recorder.insert_tracking(Tracking(f"projection of {tree}", 5))
    assert recorder.max_tracking_id(f"projection of {tree}") == 5
    journal.close()
    factory.close()


# -- addresses and refusals


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://user:{SECRET}@host:port/db",
        f"postgresql://user:a@{SECRET}@host/db",
        f"postgresql://user:{SECRET}%zz@host/db",
        f"postgresql://user:{SECRET}/x@host/db",
        f"postgresql://user:{SECRET}@host/db?nonsense=1",
        f"host=h password='{SECRET} dbname=x",
        f"password {SECRET}",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(InvalidInput, match="postgresql://user:password@host") as caught:
        open_postgres(address)
    assert SECRET not in told(caught.value)


def told(error: BaseException | None) -> str:
    """All that a traceback would show."""
    text = ""
    while error is not None:
        text += f"{error}\n"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text


def test_addresses_are_named_without_their_password() -> None:
    found = parameters(f"postgresql+psycopg://user:{SECRET}@host:5433/db?sslmode=disable")
    assert label(found) == "PostgreSQL 'db' at host:5433"
    assert (found["user"], found["password"], found["sslmode"]) == ("user", SECRET, "disable")
    assert (found["connect_timeout"], found["client_encoding"]) == (5, "utf8")
    assert parameters("postgres:///db?connect_timeout=9")["connect_timeout"] == "9"
    assert label(parameters("dbname=x")) == "PostgreSQL 'x'"
    assert Datastore(found).hidden(f"a {SECRET} b") == "a *** b"


def test_a_refused_password_is_told_but_not_shown() -> None:
    with refusing('password authentication failed for user "user"', "28P01") as port:
        address = f"postgresql://user:{SECRET}@127.0.0.1:{port}/db"
        with pytest.raises(StoreUnavailable, match=r"refused the connection.*user") as caught:
            open_postgres(address)
    assert "Check user, password and database" in str(caught.value)
    assert SECRET not in told(caught.value)


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    begun = time.monotonic()
    with pytest.raises(
        StoreUnavailable, match=r"cannot be reached.*Check that the server"
    ) as caught:
        open_postgres(f"postgresql://user:{SECRET}@127.0.0.1:1/db")
    assert SECRET not in told(caught.value)
    assert time.monotonic() - begun < 3


def test_a_database_that_is_not_there_is_told(dsn: str) -> None:
    with pytest.raises(StoreUnavailable, match=r'"nowhere" does not exist\. Check user'):
        open_postgres(make_conninfo(dsn, dbname="nowhere"))


def test_a_store_that_is_read_only_can_be_read(dsn: str, tree: str) -> None:
    with opened(dsn) as journal:
        journal.append([[new(tree)]])
    read_only = make_conninfo(dsn, options="-c default_transaction_read_only=on")
    with opened(read_only) as journal:
        with pytest.raises(StoreReadOnly, match="cannot be written"):
            journal.append([[saved(tree, 1)]])
        assert [r.version for r in journal.read(tree)] == [1]


def test_a_user_without_rights_is_told(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE ROLE apflow_guest LOGIN")
    try:
        with pytest.raises(StoreReadOnly, match=r"refuses its user: permission denied.*Grant"):
            open_postgres(make_conninfo(dsn, user="apflow_guest"))
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("DROP ROLE apflow_guest")


# -- the schema


def test_an_older_server_and_another_encoding_are_refused(
    dsn: str, monkeypatch: pytest.MonkeyPatch, postgres_server: PostgresServer
) -> None:
    monkeypatch.setattr(postgres_schema, "OLDEST_SERVER", 99)
    with pytest.raises(StoreUnavailable, match=r"is on PostgreSQL \d+\. Use 99 or later"):
        open_postgres(dsn)
    monkeypatch.undo()
    empty = postgres_server.create_database()
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE apflow_latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
        )
    try:
        with pytest.raises(StoreUnavailable, match="encoding LATIN1"):
            open_postgres(make_conninfo(empty, dbname="apflow_latin"))
    finally:
        with psycopg.connect(empty, autocommit=True) as connection:
            connection.execute("DROP DATABASE apflow_latin WITH (FORCE)")


def test_a_store_of_a_later_version_is_refused_and_not_changed(
    postgres_server: PostgresServer,
) -> None:
    dsn = postgres_server.create_database()
    open_postgres(dsn)[0].close()
    ask = "SELECT * FROM tracking ORDER BY 1"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE tracking SET notification_id = 99 WHERE application_name = '__schema__'"
        )
        before = connection.execute(ask).fetchall()
        with pytest.raises(StoreUnavailable, match="later version of aipartnerupflow"):
            open_postgres(dsn)
        assert connection.execute(ask).fetchall() == before


def test_many_may_open_an_empty_database_at_once(postgres_server: PostgresServer) -> None:
    dsn = postgres_server.create_database()
    failures: list[BaseException] = []

    def use(name: str) -> None:
        try:
            journal, _ = open_postgres(dsn)
            journal.append([[new(name)]])
            journal.close()
        except ApflowError as error:
            failures.append(error)

    threads = [threading.Thread(target=use, args=(f"t{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with opened(dsn) as journal:
        assert {r.tree for r in journal.read_all()} == {f"t{n}" for n in range(6)}


def test_a_database_with_tables_of_somebody_else_is_left_alone(
    postgres_server: PostgresServer,
) -> None:
    dsn = postgres_server.create_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE task (mine text)")
    with pytest.raises(StoreUnavailable, match=r"somebody else.*Name an empty database"):
        open_postgres(dsn)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT to_regclass('stored_events')").fetchone() == (None,)


def test_a_store_that_lost_a_table_is_told(postgres_server: PostgresServer) -> None:
    dsn = postgres_server.create_database()
    with opened(dsn) as journal:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("DROP TABLE blob")
        with pytest.raises(StoreCorrupt, match=r"not complete.*blob"):
            journal.read_blob("x")


# -- connections that are lost


def test_a_restarted_server_is_met_without_an_error(dsn: str, tree: str) -> None:
    with opened(dsn) as journal:
        journal.append([[new(tree)]])
        threads = [threading.Thread(target=journal.position) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        end_all(dsn)
        journal.append([[saved(tree, 1)]])
        for _ in range(5):
            assert [r.version for r in journal.read(tree)] == [1, 2]
        assert journal.verify(tree) is None


@pytest.mark.parametrize("happens", [True, False])
def test_an_answer_lost_on_the_way_is_found_out(
    dsn: str, tree: str, tmp_path: Path, happens: bool
) -> None:
    """The connection is cut in the middle of a commit, and nobody can connect for a second."""
    with proxy(tmp_path, dsn) as way, opened(way.dsn) as journal:
        journal.append([[new(tree)]])
        journal.append([[saved(tree, 1)]])  # now the statement is prepared
        if happens:
            way.deaf = True
        else:
            holder = psycopg.connect(dsn)
            holder.execute("LOCK stored_events IN EXCLUSIVE MODE")
            pid = writer_of(journal).info.backend_pid

        def lose() -> None:
            if not happens:
                wait_until(lambda: waits(dsn, pid))
                holder.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
                holder.close()
            time.sleep(0.2)
            way.down()
            time.sleep(1)
            way.deaf = False
            way.up()

        losing = threading.Thread(target=lose)
        losing.start()
        if happens:
            assert journal.append([[saved(tree, 2)]]) == journal.position()
        else:
            with pytest.raises(StoreUnavailable):
                journal.append([[saved(tree, 2)]])
        losing.join()
        expected = 3 if happens else 2
        assert [r.version for r in journal.read(tree)] == list(range(1, expected + 1))
        journal.append([[saved(tree, expected)]])
        assert journal.verify(tree) is None


def test_a_server_that_does_not_come_back_leaves_it_open_and_says_so(
    dsn: str, tree: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aipartnerupflow.adapters.journal.postgres.recorder.PATIENCE", 0.5)
    with proxy(tmp_path, dsn) as way, opened(way.dsn) as journal:
        journal.append([[new(tree)]])
        way.deaf = True
        threading.Timer(0.2, way.down).start()
        with pytest.raises(StoreUnavailable, match="whether it was stored cannot be found out"):
            journal.append([[saved(tree, 1)]])


def test_a_commit_still_under_way_is_waited_for(dsn: str, tree: str) -> None:
    with opened(dsn) as journal, psycopg.connect(dsn) as other:
        journal.append([[new(tree)]])
        other.execute(
            "SELECT pg_advisory_xact_lock(1634755175, 'stored_events'::regclass::oid::integer)"
        )
        other.execute(
            "INSERT INTO stored_events (originator_id, originator_version, topic, state, "
            "body_hash, hash) VALUES (%s, 2, 't', '', '', 'its hash')",
            (tree,),
        )
        threading.Timer(0.3, other.commit).start()
        assert journal.recorder.hash_at(tree, 2) == b"its hash"


def waits(dsn: str, pid: int) -> bool:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", (pid,)
        ).fetchone()
        return row is not None and bool(row[0])


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- waiting for each other


def test_a_writer_that_holds_the_lock_for_too_long_is_told(dsn: str, tree: str) -> None:
    with opened(dsn, lock_timeout=1) as journal:
        journal.append([[new(tree)]])
        with psycopg.connect(dsn) as other:
            other.execute(
                "SELECT pg_advisory_xact_lock(1634755175, 'stored_events'::regclass::oid::integer)"
            )
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable, match="kept busy by others"):
                journal.append([[saved(tree, 1)]])
            assert time.monotonic() - begun < 1.9  # refused for certain: nothing to find out
        journal.append([[saved(tree, 1)]])
        assert journal.verify(tree) is None


class Stopping(PostgresRecorder):
    """Stands still in the middle of a large command."""

    calls = 0

    def _send(self, *args: Any) -> Any:
        self.calls += 1
        if self.calls == 3:
            time.sleep(1)
        return super()._send(*args)


def test_an_engine_that_stops_in_a_large_command_holds_up_nobody(dsn: str, tree: str) -> None:
    stopping = Stopping(Datastore(parameters(dsn), idle_timeout=0.3))
    large = [saved(tree, 0, size=3_000_000).events[0] for _ in range(4)]
    failures: list[BaseException] = []
    journal = EventJournal(stopping, StructMapper())
    journal.append([[new(tree)]])

    def append() -> None:
        try:
            journal.append([[Append(tree, 1, large, numbers(tree))]])
        except StoreUnavailable as error:
            failures.append(error)

    thread = threading.Thread(target=append)
    thread.start()
    wait_until(lambda: stopping.calls == 3)
    begun = time.monotonic()
    with opened(dsn) as other:
        other.append([[saved(tree, 1)]])
    assert time.monotonic() - begun < 0.9
    thread.join()
    assert [type(failure) for failure in failures] == [StoreUnavailable]
    assert [r.version for r in journal.read(tree)] == [1, 2]
    journal.append([[saved(tree, 2)]])
    assert journal.verify(tree) is None
    stopping.close()


def test_a_commit_is_one_round_trip(dsn: str, tree: str, tmp_path: Path) -> None:
    with proxy(tmp_path, dsn) as way, opened(way.dsn) as journal:
        journal.append([[new(f"first of {tree}")]])
        journal.append([[saved(f"first of {tree}", 1)]])
        way.trips = 0
        journal.append([[new(tree, f"{tree}.1")], [new(f"{tree}.2")]])
        assert way.trips == 1
        journal.append([[saved(tree, 1)], [saved(f"{tree}.2", 1)]])
        assert way.trips == 2


def test_a_wake_up_follows_each_commit(dsn: str, tree: str) -> None:
    with opened(dsn) as journal, psycopg.connect(dsn, autocommit=True) as listener:
        listener.execute("LISTEN stored_events")
        journal.append([[new(tree)]])
        assert len(list(listener.notifies(timeout=5, stop_after=1))) == 1


def test_trees_of_several_writers_are_numbered_in_the_order_of_their_commits(
    dsn: str, tree: str
) -> None:
    with opened(dsn) as one, opened(dsn) as two:
        for n in range(3):
            one.append([[new(f"{tree}.{n}a")]])
            two.append([[new(f"{tree}.{n}b")], [new(f"{tree}.{n}c")]])
        with psycopg.connect(dsn) as connection:
            rows = connection.execute(
                "SELECT id FROM tree WHERE starts_with(id, %s) ORDER BY num", (tree,)
            ).fetchall()
    assert [id for (id,) in rows] == [f"{tree}.{n}{x}" for n in range(3) for x in "abc"]


def test_plans_do_not_scan_tables_that_were_empty_when_they_were_made(
    postgres_server: PostgresServer,
) -> None:
    """A hop takes no longer in a store with many tasks than in an empty one."""
    dsn = postgres_server.create_database()
    ids = [f"task{n}" for n in range(5000)]
    index = numbers("tree", *ids)
    scans = (
        "SELECT coalesce(sum(seq_scan), 0) AS n FROM pg_stat_user_tables "
        "WHERE relname IN ('task_state', 'tree', 'tracking')"
    )

    def count_scans() -> int:
        time.sleep(1.1)  # statistics are sent once a second
        connection = writer_of(journal)
        connection.execute("SELECT 1")
        row = connection.execute(scans).fetchone()
        assert row is not None
        return int(row["n"])

    with opened(dsn, durability="process") as journal:
        journal.append([[Append("tree", 0, [tree_created("tree", *ids)], index)]])
        version = 1

        def append(*events: e.AnyEvent) -> None:
            nonlocal version
            journal.append([[Append("tree", version, events, index)]])
            version += len(events)

        append(e.TaskStarted(at=AT, task=ids[0]))
        append(e.TaskCompleted(at=AT, task=ids[0]))
        append(*(e.TaskStarted(at=AT, task=id) for id in ids[1:]))
        before = count_scans()
        for id in ids[1:21]:
            append(e.TaskCompleted(at=AT, task=id))
        assert count_scans() == before


def test_pages_are_read_along_an_index_though_the_planner_knows_nothing(
    postgres_server: PostgresServer,
) -> None:
    """Sorted, each page would cost as much as all that follows it."""
    sql = statements("postgres")
    with opened(postgres_server.create_database()) as journal:
        journal.append([[new("a")]])
        journal.append([[saved("a", 1, 3000)]])
        recorder = journal.recorder
        assert isinstance(recorder, PostgresRecorder)
        pages: tuple[tuple[str, tuple[Any, ...]], ...] = (
            (sql.stream, ("a", 10, 100)), (sql.chain, ("a", 10, 100)), (sql.log, (10, 100)),
        )  # fmt: skip
        for statement, values in pages:
            plan = [line for (line,) in recorder.query(f"EXPLAIN {statement}", values)]
            assert not any("Sort" in line for line in plan)
            assert any("Index Scan" in line for line in plan)
