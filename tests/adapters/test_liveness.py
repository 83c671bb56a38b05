"""Whether an engine lives: by file lock, by its lease, and by what its name says of its process."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from aipartnerupflow.adapters.journal.postgres.connect import Datastore, parameters
from aipartnerupflow.adapters.journal.postgres.leases import PostgresLeases
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder
from aipartnerupflow.adapters.liveness import (
    LEASE,
    FileLiveness,
    LocalLiveness,
    Neighbours,
    ProcessLiveness,
    engine_name,
)
from aipartnerupflow.domain.errors import StoreReadOnly, StoreUnavailable
from tests.support.proxies import proxy

HOLD = """
import sys, time
from pathlib import Path
from aipartnerupflow.adapters.journal.postgres.recorder import open_postgres
from aipartnerupflow.adapters.journal.postgres.leases import PostgresLeases
from aipartnerupflow.adapters.liveness import FileLiveness, ProcessLiveness
kind, where = sys.argv[1:]
if kind == "file":
    engine = FileLiveness(Path(where))
else:
    engine = ProcessLiveness(PostgresLeases(open_postgres(where)[0].recorder), ["a", "b"])
print(engine.name, flush=True)
time.sleep(60)
"""


def hold(kind: str, store: object) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, kind, str(store)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_an_engine_in_this_process_lives_until_it_leaves(tmp_path: Path) -> None:
    one, two = FileLiveness(tmp_path / "store.db"), FileLiveness(tmp_path / "store.db")
    assert one.alive(two.name) is True
    two.leave()
    assert one.alive(two.name) is False
    assert one.alive(one.name) is True
    one.leave()
    assert list(tmp_path.iterdir()) == []


def test_another_process_lives_until_it_is_killed(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    process, name = hold("file", store)
    mine = FileLiveness(store)
    try:
        assert mine.alive(name) is True
    finally:
        kill(process)
    assert mine.alive(name) is False
    mine.leave()


def test_who_finds_the_lock_of_a_dead_engine_removes_its_file(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    process, name = hold("file", store)
    kill(process)
    assert len(list(tmp_path.iterdir())) == 1
    mine = FileLiveness(store)
    assert mine.alive(name) is False
    mine.leave()
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_does_not_keep_a_dead_engine_alive(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    engine = FileLiveness(store)
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    try:
        engine.drop()  # as the kernel does when the process dies
        other = FileLiveness(store)
        deadline = time.monotonic() + 5  # the child may not have come to its hook yet
        while other.alive(engine.name) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert other.alive(engine.name) is False
        other.leave()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_in_memory_only_engines_of_this_process_live() -> None:
    one, two = LocalLiveness(), LocalLiveness()
    assert one.alive(two.name)
    two.leave()
    assert not one.alive(two.name)


def test_a_store_whose_directory_cannot_be_written_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StoreReadOnly, match="must be writable"):
        FileLiveness(tmp_path / "absent" / "store.db")


# -- leases


class Shelf:
    """Leases that a test hands out."""

    def __init__(self) -> None:
        self.held: dict[str, Sequence[str]] = {}

    def beat(self, engine: str, executors: Sequence[str]) -> bool:
        held = engine in self.held
        self.held[engine] = executors
        return held

    def is_held(self, engine: str) -> bool:
        return engine in self.held

    def engines(self) -> Mapping[str, Sequence[str]]:
        return self.held

    def leave(self, engine: str) -> None:
        self.held.pop(engine, None)


def elsewhere(part: int, value: str) -> str:
    parts = engine_name().split(".")
    parts[part] = value
    return ".".join(parts)


@pytest.mark.parametrize(
    "name",
    [
        elsewhere(0, "0123456789ab"),
        elsewhere(0, "0"),
        elsewhere(1, "1"),
        elsewhere(3, "0"),
        "a name of another kind",
        "1.2.three.4.5",
    ],
    ids=["another boot", "no boot", "another namespace", "no start", "another kind", "no number"],
)
def test_who_cannot_be_looked_up_here_goes_by_the_lease(name: str) -> None:
    leases = Shelf()
    seen = Neighbours(leases)
    assert seen.alive(name) is False
    leases.beat(name, ())
    assert seen.alive(name) is True


def test_a_process_of_this_machine_that_is_gone_is_dead_whatever_its_lease() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    leases = Shelf()
    for name in (elsewhere(2, ended.stdout.strip()), elsewhere(2, "1"), engine_name()):
        leases.beat(name, ())
        assert Neighbours(leases).alive(name) is False
    assert Neighbours(leases).live_engines() == {}


def test_a_killed_process_that_nobody_has_taken_note_of_is_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    boot, namespace, _, _, rest = engine_name().split(".")
    start = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    name, leases = f"{boot}.{namespace}.{process.pid}.{start}.{rest}", Shelf()
    leases.beat(name, ())
    assert Neighbours(leases).alive(name) is True
    process.kill()
    deadline = time.monotonic() + 5
    while Neighbours(leases).alive(name) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Neighbours(leases).alive(name) is False
    process.communicate()


def test_an_engine_has_its_lease_from_the_beginning_to_the_end() -> None:
    leases = Shelf()
    engine = ProcessLiveness(leases, ["a"])
    assert leases.held == {engine.name: ["a"]}
    assert engine.alive(engine.name) is True
    assert engine.beat(["a", "b"]) is True
    assert Neighbours(leases).live_engines() == {engine.name: ["a", "b"]}
    del leases.held[engine.name]
    assert engine.alive(engine.name) is False
    assert engine.beat([]) is False
    engine.leave()
    assert leases.held == {}


def test_a_beat_that_came_too_late_is_told_also_where_the_server_did_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = ProcessLiveness(Shelf())
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + LEASE + 1)
    assert engine.beat([]) is False
    assert engine.beat([]) is True
    engine.leave()


def test_an_engine_whose_first_beat_fails_is_none() -> None:
    class Closed(Shelf):
        def beat(self, engine: str, executors: Sequence[str]) -> bool:
            raise StoreUnavailable("closed")

    alive = set(LocalLiveness._alive)
    with pytest.raises(StoreUnavailable):
        ProcessLiveness(Closed())
    assert alive == LocalLiveness._alive


@contextmanager
def leasing(dsn: str) -> Iterator[PostgresLeases]:
    recorder = PostgresRecorder(Datastore(parameters(dsn)))
    try:
        recorder.create_table()
        leases = PostgresLeases(recorder)
        try:
            yield leases
        finally:
            leases.leave("nobody")
    finally:
        recorder.close()


def age(dsn: str, engine: str, seconds: float) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "UPDATE lease SET beat = now() - make_interval(secs => %s) WHERE engine = %s",
            (seconds, engine),
        )


def rows(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [name for (name,) in connection.execute("SELECT engine FROM lease ORDER BY engine")]


def test_a_lease_holds_for_ten_seconds_by_the_server_s_clock(postgres_dsn: str) -> None:
    with leasing(postgres_dsn) as leases:
        name = elsewhere(0, "0123456789ab")
        assert leases.beat(name, ["a"]) is False
        assert leases.beat(name, ["a", "ä\0"]) is True
        seen = Neighbours(leases)
        assert seen.alive(name) is True
        assert seen.live_engines()[name] == ["a", "ä\0"]
        age(postgres_dsn, name, 9.5)
        assert seen.alive(name) is True
        age(postgres_dsn, name, 10.1)
        assert seen.alive(name) is False
        assert name not in seen.live_engines()
        assert leases.beat(name, []) is False
        assert leases.beat(name, []) is True
        leases.leave(name)
        assert leases.beat(name, []) is False
        leases.leave(name)
        assert name not in rows(postgres_dsn)


def test_leases_of_long_dead_engines_are_swept(postgres_dsn: str) -> None:
    with leasing(postgres_dsn) as leases:
        leases.beat("long dead", ())
        age(postgres_dsn, "long dead", 100_000)
        leases.beat("dead", ())
        age(postgres_dsn, "dead", 80_000)
        leases.beat("alive", ())
        assert {"alive", "dead"} <= set(rows(postgres_dsn))
        assert "long dead" not in rows(postgres_dsn)
        leases.leave("alive")


def test_a_process_on_a_server_s_store_lives_until_it_is_killed(postgres_dsn: str) -> None:
    with leasing(postgres_dsn) as leases:
        process, name = hold("server", postgres_dsn)
        seen = Neighbours(leases)
        try:
            assert seen.alive(name) is True
            assert seen.live_engines()[name] == ["a", "b"]
            process.send_signal(signal.SIGSTOP)
            assert seen.alive(name) is True
            age(postgres_dsn, name, 11)
            assert seen.alive(name) is False
            process.send_signal(signal.SIGCONT)
            leases.beat(name, ())
            assert seen.alive(name) is True
        finally:
            kill(process)
        assert seen.alive(name) is False


def test_a_lease_is_held_over_a_lost_connection(postgres_dsn: str, tmp_path: Path) -> None:
    with proxy(tmp_path, postgres_dsn) as way, leasing(way.dsn) as leases:
        engine = ProcessLiveness(leases)
        way.down()
        with pytest.raises(StoreUnavailable):
            engine.beat([])
        way.up()
        assert engine.beat([]) is True
        engine.leave()
        assert engine.name not in rows(postgres_dsn)


def test_leaving_is_quick_and_quiet_where_the_server_is_away(
    postgres_dsn: str, tmp_path: Path
) -> None:
    with proxy(tmp_path, postgres_dsn) as way, leasing(way.dsn) as leases:
        engine = ProcessLiveness(leases)
        way.down()
        begun = time.monotonic()
        engine.leave()
        assert time.monotonic() - begun < 1
        assert engine.name in rows(postgres_dsn)


def test_a_server_that_says_nothing_does_not_hold_up_who_beats_or_leaves(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aipartnerupflow.adapters.journal.postgres.leases.PATIENCE", 0.3)
    with leasing(postgres_dsn) as leases, psycopg.connect(postgres_dsn) as other:
        engine = ProcessLiveness(leases)
        other.execute("LOCK lease IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="said nothing"):
            engine.beat([])
        engine.leave()
        assert time.monotonic() - begun < 6


def test_leases_do_not_wait_for_the_writer_or_the_readers(postgres_dsn: str) -> None:
    with leasing(postgres_dsn) as leases:
        engine = ProcessLiveness(leases)
        with leases._recorder._writing:
            thread = threading.Thread(target=engine.beat, args=([],))
            thread.start()
            thread.join(5)
            assert not thread.is_alive()
            assert engine.alive(engine.name) is True
        engine.leave()


def test_a_forked_child_does_not_take_its_parents_engines_for_its_own() -> None:
    engine = ProcessLiveness(Shelf())
    child = os.fork()
    if child == 0:
        os._exit(0 if engine.name not in LocalLiveness._alive else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    engine.leave()
