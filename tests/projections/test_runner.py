"""Batched projectors on a store: nothing lost, nothing twice, whatever happens in between."""

import threading
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.domain.errors import StoreUnavailable
from aipartnerupflow.projections.runner import Mark, Projector, Runner
from aipartnerupflow.projections.timeline import TIMELINE, TimelineChanges, changes
from tests.support.histories import History
from tests.support.stores import Store, Stores

OUTCOMES = {"completed", "failed", "cancelled", "interrupted"}


@pytest.fixture
def journal(store: Store) -> EventJournal:
    history = History(Random(7))
    for commit in [*history.commits(150), history.finish()]:
        if commit:
            store.journal.append(commit)
    return store.journal


def attempts(store: Store) -> list[Any]:
    return store.query("SELECT * FROM attempt ORDER BY tree, task, generation, attempt")


def expected(journal: EventJournal) -> list[Any]:
    """The rows by the plainest way: one fold over everything."""
    rows = changes(list(journal.read_all())).begun
    return sorted(
        (r.tree, r.task, r.generation, r.attempt, r.started_at, r.started, r.ended_at, r.outcome)
        for r in rows
    )


class Killed(Exception):
    """Stands for the death of the process."""


def dying(rows: Any, random: Random) -> Any:
    """Rows that die in every second transaction, before or after they are written."""
    write = rows._write

    def write_or_die(cursor: Any, made: TimelineChanges) -> None:
        if random.random() < 0.25:
            raise Killed
        write(cursor, made)
        if random.random() < 0.25:
            raise Killed

    rows._write = write_or_die
    return rows


class Watched:
    """Rows that note which spans of the log were applied."""

    def __init__(self, rows: Any, applied: list[tuple[int, int]]) -> None:
        self._rows = rows
        self._applied = applied

    def mark(self, name: str) -> Mark | None:
        found: Mark | None = self._rows.mark(name)
        return found

    def reset(self, name: str, version: int, found: Mark | None) -> bool:
        return bool(self._rows.reset(name, version, found))

    def apply(self, name: str, found: Mark, changes: TimelineChanges, position: int) -> bool:
        done = bool(self._rows.apply(name, found, changes, position))
        if done:
            self._applied.append((found.position, position))
        return done


def test_the_rows_are_the_fold_of_the_whole_log(store: Store, journal: EventJournal) -> None:
    position = Runner(journal, store.timeline(), TIMELINE, batch=17).catch_up()
    assert position == journal.position()
    assert attempts(store) == expected(journal)
    assert {row[-1] for row in attempts(store)} == OUTCOMES


def test_a_runner_killed_between_and_within_batches_loses_nothing(
    store: Store, journal: EventJournal
) -> None:
    deaths = 0
    rows = dying(store.timeline(), Random(3))
    position = 0
    while position < journal.position():
        try:
            position = Runner(journal, rows, TIMELINE, batch=10).catch_up()
        except Killed:
            deaths += 1
    assert deaths > 10
    assert attempts(store) == expected(journal)


def test_two_runners_at_once_apply_nothing_twice(store: Store, journal: EventJournal) -> None:
    applied: list[tuple[int, int]] = []

    def run() -> None:
        Runner(journal, Watched(store.timeline(), applied), TIMELINE, batch=5).catch_up()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert attempts(store) == expected(journal)
    applied.sort()
    assert [after for after, _ in applied[1:]] == [upto for _, upto in applied[:-1]]


def test_a_batch_read_from_a_position_that_has_moved_on_is_not_applied(
    store: Store, journal: EventJournal
) -> None:
    rows = store.timeline()
    Runner(journal, rows, TIMELINE).catch_up()
    before = attempts(store)
    made = changes(list(journal.read_all()))
    assert not rows.apply("timeline", Mark(TIMELINE.version, 0), made, journal.position())
    assert attempts(store) == before


def test_events_that_come_later_are_taken_in_later(store: Store) -> None:
    journal, history = store.journal, History(Random(11))
    runner = Runner(journal, store.timeline(), TIMELINE, batch=10)
    for commit in [*history.commits(60), history.finish()]:
        if commit:
            journal.append(commit)
        assert runner.catch_up() == journal.position()
    assert attempts(store) == expected(journal)


def test_a_projector_whose_version_rose_starts_from_zero(
    store: Store, journal: EventJournal
) -> None:
    rows = store.timeline()
    Runner(journal, rows, TIMELINE).catch_up()

    def louder(batch: Any) -> TimelineChanges:
        made = changes(batch)
        for row in made.begun:
            row.outcome = (row.outcome or "").upper()
        return made

    later = TIMELINE.version + 1
    Runner(journal, rows, Projector("timeline", later, louder)).catch_up()
    assert {row[-1] for row in attempts(store)} == {outcome.upper() for outcome in OUTCOMES}
    assert rows.mark("timeline") == Mark(later, journal.position())
    names = [name for (name,) in store.query("SELECT application_name FROM tracking")]
    assert f"timeline/{later}" in names
    assert f"timeline/{TIMELINE.version}" not in names


def test_an_older_projector_leaves_the_rows_of_a_later_one_alone(
    store: Store, journal: EventJournal
) -> None:
    rows = store.timeline()
    later = TIMELINE.version + 1
    Runner(journal, rows, Projector("timeline", later, changes)).catch_up()
    with pytest.raises(StoreUnavailable, match="later version"):
        Runner(journal, rows, TIMELINE).catch_up()
    assert rows.mark("timeline") == Mark(later, journal.position())


def test_two_runners_that_find_old_rows_reset_them_once(
    store: Store, journal: EventJournal
) -> None:
    rows = store.timeline()
    assert rows.reset("timeline", 1, None)
    assert not rows.reset("timeline", 1, None)


def test_a_rebuild_mends_damaged_rows(store: Store, journal: EventJournal) -> None:
    runner = Runner(journal, store.timeline(), TIMELINE, batch=50)
    runner.catch_up()
    store.execute("DELETE FROM attempt WHERE attempt = 1")
    assert runner.rebuild() == journal.position()
    assert attempts(store) == expected(journal)


@settings(max_examples=15, deadline=None)
@given(random=st.randoms(use_true_random=False), batch=st.integers(1, 40))
def test_in_batches_of_any_size_the_rows_are_the_same(
    stores: Stores, random: Random, batch: int
) -> None:
    with stores() as store:
        journal, history = store.journal, History(random)
        runner = Runner(journal, store.timeline(), TIMELINE, batch=batch)
        for commit in history.commits(12):
            if commit:
                journal.append(commit)
            if random.random() < 0.5:
                runner.step()
        runner.catch_up()
        assert attempts(store) == expected(journal)
