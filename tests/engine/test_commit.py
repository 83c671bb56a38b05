"""Group commit: one writer, units that stand or fall alone."""

import threading
import time
from collections.abc import Sequence

import pytest

from aipartnerupflow.domain.errors import (
    Defect,
    StaleVersion,
    StoreFull,
    StoreUnavailable,
)
from aipartnerupflow.domain.events import ReportRefused
from aipartnerupflow.engine.commit import Committer, Results
from aipartnerupflow.engine.ports import Append, Unit
from aipartnerupflow.testing.fakes import FakeJournal

pytestmark = pytest.mark.any_log(reason="commits events that say little, in no tree")

AT = "2026-01-01T00:00:00.000000Z"


def unit(tree: str, expected: int = 0) -> Unit:
    return [Append(tree, expected, [ReportRefused(at=AT, task="t", attempt=1, reason="x")], {})]


class Collected:
    def __init__(self) -> None:
        self.results: Results = []
        self.done = threading.Event()

    def __call__(self, results: Results) -> None:
        self.results = results
        self.done.set()

    def wait(self) -> Results:
        assert self.done.wait(5)
        return self.results


class SlowJournal(FakeJournal):
    def append(self, units: Sequence[Unit]) -> int:
        time.sleep(0.05)
        return super().append(units)


def test_what_arrives_during_a_commit_goes_into_the_next_one() -> None:
    journal = SlowJournal()
    committer = Committer(journal, lambda: None)
    all_done = [Collected() for _ in range(10)]
    for i, done in enumerate(all_done):
        committer.submit([unit(f"t{i}")], done)
    assert [done.wait() for done in all_done] == [[None]] * 10
    assert len(journal.commits) <= 3
    committer.close()


def test_one_unit_in_conflict_does_not_harm_the_others() -> None:
    journal = FakeJournal()
    committer = Committer(journal, lambda: None)
    results = committer.commit([unit("a"), unit("b", expected=7), unit("c")])
    assert [type(result) for result in results] == [type(None), StaleVersion, type(None)]
    assert {recorded.tree for recorded in journal.log} == {"a", "c"}


def test_an_error_of_the_store_is_told_to_every_unit() -> None:
    journal = FakeJournal()
    journal.fail_next = StoreFull("no space left")
    committer = Committer(journal, lambda: None)
    results = committer.commit([unit("a"), unit("b")])
    assert [type(result) for result in results] == [StoreFull, StoreFull]
    assert journal.log == []


def test_closing_writes_what_is_queued_and_refuses_more() -> None:
    journal = SlowJournal()
    committer = Committer(journal, lambda: None)
    done = Collected()
    committer.submit([unit("a")], done)
    committer.close()
    assert done.results == [None]
    with pytest.raises(StoreUnavailable):
        committer.submit([unit("b")], done)


def test_followers_are_woken_after_each_commit() -> None:
    woken: list[int] = []
    journal = FakeJournal()
    committer = Committer(journal, lambda: woken.append(journal.position()))
    committer.commit([unit("a")])
    assert woken == [1]


@pytest.mark.parametrize(
    ("mode", "idle", "small", "inline"),
    [
        ("auto", True, True, True),
        ("auto", False, True, False),
        ("auto", True, False, False),
        ("inline", False, False, True),
        ("thread", True, True, False),
    ],
)
def test_a_caller_writes_inline_only_when_nothing_else_goes_on(
    mode: str, idle: bool, small: bool, inline: bool
) -> None:
    committer = Committer(FakeJournal(), lambda: None, mode=mode)
    assert committer.may_inline(idle=idle, small=small) is inline


class Poisoned(FakeJournal):
    """Cannot say what is in tree ``bad``, and breaks over it."""

    def append(self, units: Sequence[Unit]) -> int:
        if any(append.tree == "bad" for unit in units for append in unit):
            raise ZeroDivisionError
        return super().append(units)


@pytest.mark.parametrize("around", [[], ["a", "c"]], ids=["alone", "with others"])
def test_a_defect_in_one_unit_is_told_to_it_and_does_not_harm_the_others(
    around: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    journal = Poisoned()
    committer = Committer(journal, lambda: None)
    units = [unit(tree) for tree in ["bad", *around]]
    first, *others = committer.commit(units)
    assert isinstance(first, Defect)
    assert others == [None] * len(around)
    assert [recorded.tree for recorded in journal.log] == around
    (record,) = caplog.records
    assert "tree bad" in record.message
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


def test_what_builds_on_a_unit_with_a_defect_is_refused_with_it() -> None:
    class Once(FakeJournal):
        """Breaks over what it has not seen, twice: in the group, and alone."""

        left = 2

        def append(self, units: Sequence[Unit]) -> int:
            if self.left:
                self.left -= 1
                raise ZeroDivisionError
            return super().append(units)

    journal = Once()
    results = Committer(journal, lambda: None).commit([unit("a"), unit("a", 1), unit("b")])
    assert [type(result) for result in results] == [Defect, StaleVersion, type(None)]
    assert [recorded.tree for recorded in journal.log] == ["b"]


def test_a_defect_in_the_writers_thread_is_answered_and_the_next_caller_is_served() -> None:
    committer = Committer(Poisoned(), lambda: None)
    first, second = Collected(), Collected()
    committer.submit([unit("bad")], first)
    assert [type(result) for result in first.wait()] == [Defect]
    committer.submit([unit("b")], second)
    assert second.wait() == [None]
    committer.close()


def test_a_defect_of_who_is_woken_is_answered_and_the_next_caller_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", seen.append)

    def woken() -> None:
        if not seen:
            raise RuntimeError("a defect")

    committer = Committer(FakeJournal(), woken)
    first, second = Collected(), Collected()
    committer.submit([unit("a")], first)
    assert first.wait() == [None]
    while committer._thread is not None:
        time.sleep(0.001)
    committer.submit([unit("b")], second)
    assert second.wait() == [None]
    assert [type(each.exc_value) for each in seen] == [RuntimeError]
    committer.close()


def test_where_no_thread_can_be_started_the_commit_is_refused_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    journal = FakeJournal()
    committer = Committer(journal, lambda: None)
    first, second = Collected(), Collected()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StoreUnavailable, match="can't start new thread"):
            committer.submit([unit("a")], first)
    committer.submit([unit("b")], second)
    assert second.wait() == [None]
    assert [recorded.tree for recorded in journal.log] == ["b"]
    committer.close()
