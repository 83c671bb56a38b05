"""A failure weighs more than a cancel: for groups, and for what is blocked by both."""

import pytest

from aipartnerupflow.domain.decide import complete, follow, stopped, why
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.testing.given import Given, given
from aipartnerupflow.testing.trees import (
    cancel_requested,
    cancelled,
    completed,
    failed,
    group_started,
    raw,
    reopened,
    running,
    settled,
    started,
    tree_reopened,
)
from tests.domain.times import blocked, ready, statuses

NULL = raw(None)


def busy(*tasks: str) -> Given:
    """x and y run, and w, which keeps the group g open; the root is no group."""
    return given(
        running("r(cook)", "x", "y", "g", "g/w", *tasks), started("r"), completed("r"),
        started("x"), started("y"), started("w"), group_started("g"),
    )  # fmt: skip


def child_blocked(group: str, child: str, culprit: str, how: str = "failed") -> AnyEvent:
    text = f"its child {child} could not start, because {culprit} {how}"
    return failed(group, "child_blocked", text)


def group_cancelled(group: str, child: str) -> AnyEvent:
    return cancelled(group, 1, reason=f"its child {child} was cancelled or waited for what was")


BOTH_WAYS = pytest.mark.parametrize(
    "ends",
    [[cancelled("x", 1), failed("y")], [failed("y"), cancelled("x", 1)]],
    ids=["cancel first", "failure first"],
)


class TestGroups:
    @BOTH_WAYS
    def test_one_whose_child_is_blocked_by_both_has_failed(self, ends: list[AnyEvent]) -> None:
        stream = busy("g/a <- x y").and_then(ends)
        stream.when(complete, "w", 1, result=NULL).then_in_all(
            completed("w"), child_blocked("g", "a", "y"), settled("failed")
        )

    @BOTH_WAYS
    def test_so_has_one_whose_child_comes_behind_that(self, ends: list[AnyEvent]) -> None:
        stream = busy("a <- x y", "b <- a", "g/c <- b").and_then(ends)
        stream.when(complete, "w", 1, result=NULL).then_in_all(
            completed("w"), child_blocked("g", "c", "y"), settled("failed")
        )

    @BOTH_WAYS
    def test_so_has_one_whose_child_is_in_a_group_that_is_blocked_by_both(
        self, ends: list[AnyEvent]
    ) -> None:
        stream = busy("h <- x y", "h/k", "k/a", "g/b <- a").and_then(ends)
        assert set(blocked(stream)) == {"h", "k", "a", "b"}
        stream.when(complete, "w", 1, result=NULL).then_in_all(
            completed("w"), child_blocked("g", "b", "y"), settled("failed")
        )

    @BOTH_WAYS
    def test_an_optional_way_to_the_failure_is_none(self, ends: list[AnyEvent]) -> None:
        stream = busy("g/a <- x y?").and_then(ends)
        stream.when(complete, "w", 1, result=NULL).then_in_all(
            completed("w"), group_cancelled("g", "a"), settled("failed")
        )

    @BOTH_WAYS
    def test_a_child_that_failed_weighs_more_than_one_that_was_cancelled(
        self, ends: list[AnyEvent]
    ) -> None:
        stream = given(
            running("r", "x", "y", "w"), started("x"), started("y"), started("w"),
            group_started("r"), ends,
        )  # fmt: skip
        stream.when(complete, "w", 1, result=NULL).then_in_all(
            completed("w"), failed("r", "child_failed", "its child y failed"), settled("failed")
        )

    def test_the_error_names_the_first_that_failed_not_the_first_that_ended_badly(self) -> None:
        stream = busy("g/a <- x", "g/b <- y").and_then(cancelled("x", 1), failed("y"))
        stream.when(complete, "w", 1, result=NULL).then_in_all(
            completed("w"), child_blocked("g", "b", "y"), settled("failed")
        )

    def test_one_that_has_ended_stays_as_it_ended(self) -> None:
        stream = busy("g/a <- x y").and_then(cancelled("x", 1), completed("w"))
        ended = stream.and_then(group_cancelled("g", "a"), failed("y"))
        assert statuses(ended)["g"] == "cancelled"
        ended.when(follow).then(settled("failed"))

    def test_a_group_that_was_cancelled_hands_on_a_cancel(self) -> None:
        stream = given(
            running("r(cook)", "h", "h/a", "g", "g/b <- h", "g/w"), started("r"), completed("r"),
            started("a"), group_started("h"), started("w"), group_started("g"), completed("w"),
            cancel_requested("a"),
        )  # fmt: skip
        stream.when(stopped, "a", 1, ended=True).then_in_all(
            cancelled("a", 1), group_cancelled("h", "a"), group_cancelled("g", "b"),
            settled("cancelled"),
        )  # fmt: skip


class TestBlocked:
    @BOTH_WAYS
    def test_the_failure_is_the_one_that_is_named(self, ends: list[AnyEvent]) -> None:
        stream = busy("a <- x y", "b <- a", "h <- b", "h/c").and_then(ends)
        assert blocked(stream) == {"a": "y", "b": "a", "h": "b", "c": "h"}
        for id in ("a", "b", "h", "c"):
            assert why(stream.tree, id) == {"reason": "blocked", "on": "y"}

    def test_of_two_alike_it_is_the_first(self) -> None:
        stream = busy("a <- x y")
        assert blocked(stream.and_then(failed("y"), failed("x"))) == {"a": "y"}
        assert blocked(stream.and_then(cancelled("y", 1), cancelled("x", 1))) == {"a": "y"}

    @BOTH_WAYS
    def test_what_waits_for_its_end_is_let_through_once(self, ends: list[AnyEvent]) -> None:
        stream = busy("a <- x y", "b <- a? w").and_then(ends)
        assert ready(stream) == []
        assert ready(stream.and_then(completed("w"))) == ["b"]
        assert stream.tree.open == 3

    def test_a_task_cancelled_together_with_what_blocks_it_had_ended_before(self) -> None:
        stream = busy("a <- x", "b <- a", "c <- a?", "g/d <- b")
        first = stream.and_then(cancelled("x", 1))
        after = first.and_then(cancelled("a"), cancelled("b"), cancelled("d"))
        assert ready(after) == ready(first) == ["c"]
        assert after.tree.open == first.tree.open == 4
        after.when(complete, "w", 1, result=NULL).then_in_all(
            completed("w"), group_cancelled("g", "d")
        )

    @BOTH_WAYS
    def test_a_re_run_of_the_failure_leaves_the_cancel(self, ends: list[AnyEvent]) -> None:
        stream = busy("a <- x y", "b <- a").and_then(ends, reopened("y"), tree_reopened())
        assert blocked(stream) == {"a": "x", "b": "a"}
        assert ready(stream) == ["y"]
        both = busy("a <- x y", "b <- a").and_then(
            ends, reopened("x"), reopened("y"), tree_reopened()
        )
        assert blocked(both) == {}
        assert ready(both) == ["x", "y"]
