"""Followers of the journal are woken, at once within the process, soon across processes."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec import Raw

from aipartnerupflow.adapters.feed import FLOOR, POLL, Feed, FileFeed, Hear, ServerFeed
from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.postgres.inbox import PostgresInbox
from aipartnerupflow.adapters.journal.postgres.listener import REST, PostgresListener
from aipartnerupflow.adapters.journal.postgres.recorder import open_postgres
from aipartnerupflow.adapters.journal.sqlite.inbox import SQLiteInbox
from aipartnerupflow.adapters.journal.sqlite.recorder import (
    Datastore,
    SQLiteRecorder,
    database_name,
)
from aipartnerupflow.domain.events import ReportRefused
from aipartnerupflow.engine.ports import Append, Command
from aipartnerupflow.testing.fakes import FakeJournal
from tests.support.facts import AT
from tests.support.proxies import Proxy, proxy

pytestmark = pytest.mark.any_log(reason="what is told of is an event that says little, in no tree")

EVENT = ReportRefused(at="2026-01-01T00:00:00.000000Z", task="t", attempt=1, reason="x")


def grow(journal: FakeJournal) -> None:
    journal.append([[Append("t", journal.position(), [EVENT], {})]])


async def test_what_is_there_already_is_told_at_once() -> None:
    journal = FakeJournal()
    grow(journal)
    await asyncio.wait_for(Feed(journal).changed(0), 0.05)


async def test_a_commit_in_this_process_wakes_a_follower_in_any_loop() -> None:
    journal = FakeJournal()
    feed = Feed(journal)
    woken: list[float] = []

    def follow() -> None:
        asyncio.run(feed.changed(0))
        woken.append(time.monotonic())

    thread = threading.Thread(target=follow)
    thread.start()
    await asyncio.sleep(0.02)
    grow(journal)
    feed.wake()
    await asyncio.to_thread(thread.join, 5)
    assert len(woken) == 1


async def test_a_remote_journal_is_asked_off_the_loop() -> None:
    threads: list[str] = []

    class Remote(FakeJournal):
        def position(self) -> int:
            threads.append(threading.current_thread().name)
            return super().position()

    journal = Remote()
    grow(journal)
    threads.clear()
    await Feed(journal, remote=True).changed(0)
    assert threads
    assert threading.main_thread().name not in threads


async def test_what_another_process_writes_is_found_by_looking() -> None:
    journal = FakeJournal()
    waiting = asyncio.create_task(Feed(journal).changed(0))
    await asyncio.sleep(0.02)
    grow(journal)  # nobody calls wake
    await asyncio.wait_for(waiting, 2)


async def test_a_follower_whose_loop_has_ended_harms_nobody() -> None:
    journal = FakeJournal()
    feed = Feed(journal)

    def give_up() -> None:
        async def follow() -> None:
            await asyncio.wait_for(feed.changed(0), 0.01)

        try:
            asyncio.run(follow())
        except TimeoutError:
            return

    await asyncio.to_thread(give_up)
    grow(journal)
    feed.wake()
    await asyncio.wait_for(feed.changed(0), 1)


async def test_a_cancelled_follower_leaves_nothing_behind() -> None:
    feed = Feed(FakeJournal())
    following = asyncio.create_task(feed.changed(0))
    await asyncio.sleep(0.02)
    following.cancel()
    await asyncio.wait([following])
    assert feed._news._waiting == []


# -- mail


async def is_told(waiting: Any, within: float) -> bool:
    try:
        await asyncio.wait_for(waiting, within)
    except TimeoutError:
        return False
    return True


def letter(id: str) -> Command:
    return Command(id, "t", "cancel", Raw(b"{}"), "ann", AT)


async def test_nobody_can_send_mail_to_a_store_in_memory() -> None:
    feed = Feed(FakeJournal())
    assert not await is_told(feed.mail(), 0.3)
    feed.wake()
    feed.close()


@contextmanager
def in_file(path: Path) -> Iterator[SQLiteRecorder]:
    recorder = SQLiteRecorder(Datastore(database_name(path)))
    recorder.create_table()
    try:
        yield recorder
    finally:
        recorder.close()


async def test_mail_in_a_file_is_found_by_looking(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with in_file(path) as mine, in_file(path) as other:
        feed = FileFeed(FakeJournal(), mine.data_version)
        assert await is_told(feed.mail(), 3 * POLL)  # what lay there before
        waiting = asyncio.create_task(feed.mail())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        SQLiteInbox(other).send(letter("a"))
        assert await is_told(waiting, 3 * POLL)
        SQLiteInbox(other).send(letter("b"))  # while nobody waits
        assert await is_told(feed.mail(), 3 * POLL)
        SQLiteInbox(mine).send(letter("c"))  # for another engine of this process
        assert await is_told(feed.mail(), 3 * POLL)
        assert not await is_told(feed.mail(), 0.3)
        assert await is_told(feed.mail(), FLOOR + 0.5)


async def test_ones_own_commits_are_not_looked_through_one_by_one(tmp_path: Path) -> None:
    """They count as news, so a busy engine would else do nothing but read its inbox."""
    with in_file(tmp_path / "store.db") as mine:
        feed = FileFeed(FakeJournal(), mine.data_version)
        loop = asyncio.get_running_loop()
        begun, rounds = loop.time(), 0
        while loop.time() < begun + 5 * POLL:
            SQLiteInbox(mine).send(letter(f"letter-{rounds}"))
            await feed.mail()
            rounds += 1
        assert rounds <= 6


# -- what a server tells


class Told:
    """A listener that a test speaks through."""

    def __init__(self, hear: Hear) -> None:
        self.hear, self.up, self.started, self.closed = hear, True, 0, 0

    def start(self) -> None:
        self.started += 1

    def close(self) -> None:
        self.closed += 1


class Counted(FakeJournal):
    looks = 0

    def position(self) -> int:
        self.looks += 1
        return super().position()


async def test_where_a_server_tells_a_follower_seldom_looks() -> None:
    journal = Counted()
    feed = ServerFeed(journal, Told)
    told = feed._listener
    assert isinstance(told, Told)
    assert not told.started
    waiting = asyncio.create_task(feed.changed(0))
    await asyncio.sleep(4 * POLL)
    assert journal.looks == 1
    grow(journal)
    told.hear(True, False)
    assert await is_told(waiting, 0.5)
    told.up = False
    journal.looks = 0
    waiting = asyncio.create_task(feed.changed(1))
    await asyncio.sleep(4.5 * POLL)
    assert journal.looks in (3, 4, 5)
    waiting.cancel()
    feed.close()
    assert told.closed == 1


async def test_what_a_server_did_not_tell_is_found_in_the_end() -> None:
    journal = FakeJournal()
    feed = ServerFeed(journal, Told)
    waiting = asyncio.create_task(feed.changed(0))
    await asyncio.sleep(0.02)
    grow(journal)
    assert await is_told(waiting, FLOOR + 0.5)


async def test_a_letter_that_comes_while_nobody_waits_is_told_to_each_loop() -> None:
    feed = ServerFeed(FakeJournal(), Told)
    hear = feed._hear
    assert await is_told(feed.mail(), 0.05)  # what lay there before
    assert not await is_told(feed.mail(), 0.1)
    hear(False, True)
    hear(False, True)
    assert await is_told(feed.mail(), 0.05)
    assert await asyncio.to_thread(lambda: asyncio.run(is_told(feed.mail(), 0.5)))
    waiting = asyncio.create_task(feed.mail())
    await asyncio.sleep(0.02)
    hear(True, False)
    await asyncio.sleep(0.02)
    assert not waiting.done()
    hear(False, True)
    assert await is_told(waiting, 0.1)
    assert await is_told(feed.mail(), FLOOR + 0.5)


# -- PostgreSQL

WRITE = """
import sys
from aipartnerupflow.adapters.journal.postgres.recorder import open_postgres
from tests.support.facts import new
journal, _ = open_postgres(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    journal.append([[new(line.strip())]])
    print("done", flush=True)
"""

_trees = (f"tree-{n}" for n in count())


class Elsewhere:
    """Another process that writes to the store."""

    def __init__(self, dsn: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WRITE, dsn],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def commit(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(next(_trees) + "\n")
        self._process.stdin.flush()
        assert self._line() == "done\n"

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def elsewhere(postgres_dsn: str) -> Iterator[Elsewhere]:
    made = Elsewhere(postgres_dsn)
    yield made
    made.close()


@contextmanager
def followed(dsn: str) -> Iterator[tuple[EventJournal, ServerFeed]]:
    journal, _ = open_postgres(dsn)
    recorder: Any = journal.recorder
    feed = ServerFeed(journal, partial(PostgresListener, recorder.store))
    try:
        yield journal, feed
    finally:
        feed.close()
        journal.close()
        thread = feed._listener._thread  # type: ignore[attr-defined]
        assert thread is None or not thread.is_alive()


def listeners(dsn: str) -> list[int]:
    """The server's processes that listen."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
            " AND datname = current_database()"
        )
        return [pid for (pid,) in found]


def cut(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for pid in listeners(dsn):
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def heard_after(feed: ServerFeed, journal: EventJournal, commit: Callable[[], None]) -> float:
    """Seconds from a commit to the moment when a follower is told."""
    waiting = asyncio.create_task(feed.changed(await asyncio.to_thread(journal.position)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await asyncio.to_thread(commit)
    begun = time.monotonic()
    await asyncio.wait_for(waiting, 5)
    return time.monotonic() - begun


async def test_a_commit_of_another_process_is_told_at_once(
    postgres_dsn: str, elsewhere: Elsewhere
) -> None:
    with followed(postgres_dsn) as (journal, feed):
        assert listeners(postgres_dsn) == []  # nobody has followed yet
        await feed.mail()
        await until(lambda: feed._listener.up)
        took = [await heard_after(feed, journal, elsewhere.commit) for _ in range(5)]
        assert sorted(took)[2] < 0.25 * FLOOR, took


async def test_a_follower_goes_on_when_the_listener_is_cut(
    postgres_dsn: str, elsewhere: Elsewhere
) -> None:
    with followed(postgres_dsn) as (journal, feed):
        await feed.mail()
        await until(lambda: feed._listener.up)
        for _ in range(3):
            former = listeners(postgres_dsn)
            await asyncio.to_thread(cut, postgres_dsn)
            assert await heard_after(feed, journal, elsewhere.commit) < FLOOR
            await until(lambda former=former: listeners(postgres_dsn) not in ([], former))  # type: ignore[misc]
            await until(lambda: feed._listener.up)
        assert await heard_after(feed, journal, elsewhere.commit) < 0.5 * FLOOR


async def test_a_listener_comes_back_with_its_server(
    postgres_dsn: str, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    with proxy(tmp_path, postgres_dsn) as way, followed(way.dsn) as (journal, feed):
        await feed.mail()
        await until(lambda: feed._listener.up)
        way.down()
        await until(lambda: not feed._listener.up)
        assert await is_told(feed.mail(), 0.1)  # who knows what came meanwhile
        await asyncio.sleep(0.3)
        way.up()
        await until(lambda: feed._listener.up)
        assert await heard_after(feed, journal, elsewhere.commit) < 0.5 * FLOOR


async def test_a_letter_wakes_its_reader_and_nobody_else(postgres_dsn: str) -> None:
    with followed(postgres_dsn) as (journal, feed), followed(postgres_dsn) as (other, _):
        await feed.mail()
        await until(lambda: feed._listener.up)
        await feed.mail()
        waiting = asyncio.create_task(feed.mail())
        following = asyncio.create_task(feed.changed(journal.position()))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        recorder: Any = other.recorder
        await asyncio.to_thread(PostgresInbox(recorder).send, letter("a letter"))
        assert await is_told(waiting, 0.5 * FLOOR)
        assert not following.done()
        following.cancel()


async def test_many_messages_wake_few_times(postgres_dsn: str) -> None:
    with followed(postgres_dsn) as (journal, _):
        heard: list[tuple[bool, bool]] = []
        recorder: Any = journal.recorder
        listener = PostgresListener(recorder.store, lambda *what: heard.append(what))
        listener.start()
        await until(lambda: listener.up)
        begun = time.monotonic()
        await asyncio.to_thread(tell, postgres_dsn, 1000)
        took = time.monotonic() - begun
        await until(lambda: len(heard) > 1)
        assert len(heard) < 5 + took / REST
        listener.close()
        listener.close()
        listener.start()  # after its end it stays ended
        assert not listener.up


def tell(dsn: str, times: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(times):
            connection.execute("NOTIFY stored_events")


class Mute(Proxy):
    """Takes clients, and never says anything."""

    def _pass(self, source: Any, sink: Any, answers: bool) -> None:
        while source.recv(1 << 16):
            pass


async def test_a_listener_ends_also_while_its_server_says_nothing(
    postgres_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aipartnerupflow.adapters.journal.postgres.listener.PATIENCE", 2.0)
    with followed(postgres_dsn) as (journal, _):
        way = Mute(tmp_path, postgres_dsn)
        way.up()
        recorder: Any = journal.recorder
        recorder.store.parameters["host"] = str(tmp_path)
        recorder.store.parameters["port"] = "5432"
        listener = PostgresListener(recorder.store, lambda *_: None)
        listener.start()
        await asyncio.sleep(0.1)
        begun = time.monotonic()
        await asyncio.to_thread(listener.close)
        assert time.monotonic() - begun < 4
        way.down()


def test_followers_in_several_loops_are_woken_by_one_listener(
    postgres_dsn: str, elsewhere: Elsewhere
) -> None:
    with followed(postgres_dsn) as (journal, feed):
        since = journal.position()
        threads = [
            threading.Thread(target=lambda: asyncio.run(feed.changed(since))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        assert len(listeners(postgres_dsn)) == 1
        elsewhere.commit()
        for thread in threads:
            thread.join(5)
            assert not thread.is_alive()
