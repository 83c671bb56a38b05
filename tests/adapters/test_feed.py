"""Followers of the journal are woken, at once within the process, soon across processes."""

import asyncio
import threading
import time

from aipartnerupflow.adapters.feed import Feed
from aipartnerupflow.domain.events import ReportRefused
from aipartnerupflow.engine.ports import Append
from aipartnerupflow.testing.fakes import FakeJournal

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
