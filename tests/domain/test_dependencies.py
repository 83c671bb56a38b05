"""Required and optional dependencies, what is blocked, what is ready, when a tree has settled."""

import pytest

from aipartnerupflow.domain.decide import complete, fail, follow
from aipartnerupflow.domain.errors import InvalidTransition
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.testing.given import Given, given, start
from aipartnerupflow.testing.trees import (
    claimed,
    completed,
    failed,
    group_started,
    interrupted,
    raw,
    refused,
    running,
    settled,
    started,
    submitted,
    task,
)

BROKEN = ErrorInfo("Broken", "")
NULL = raw(None)


def ready(stream: Given) -> list[str]:
    return [stream.tree.at_n(n).spec.id for n in stream.tree.ready]


def blocked(stream: Given) -> dict[str, str]:
    """By blocked task: the one that made it so."""
    tree = stream.tree
    return {t.spec.id: tree.at_n(t.blocker).spec.id for t in tree.live() if t.blocked}


class TestRequired:
    STREAM = given(running("r", "a", "b <- a"), started("a"), group_started("r"))

    def test_it_holds_back_until_the_other_has_completed(self) -> None:
        assert ready(given(running("r", "a", "b <- a"))) == ["a"]
        assert ready(self.STREAM) == []
        assert ready(self.STREAM.and_then(completed("a"))) == ["b"]

    @pytest.mark.parametrize("result", [None, False, 0, "", [], {}])
    def test_any_result_will_do(self, result: object) -> None:
        assert ready(self.STREAM.and_then(completed("a", result))) == ["b"]

    def test_an_interruption_satisfies_nothing(self) -> None:
        assert ready(self.STREAM.and_then(interrupted("a"))) == ["a"]

    def test_a_failure_blocks_what_requires_it(self) -> None:
        after = self.STREAM.and_then(failed("a"))
        assert ready(after) == []
        assert blocked(after) == {"b": "a"}
        after.when(start, "b").refuses(InvalidTransition, "not ready")

    def test_and_what_requires_that(self) -> None:
        stream = given(running("r", "a", "b <- a", "c <- b", "d <- c b"), started("a"))
        assert blocked(stream.and_then(failed("a"))) == {"b": "a", "c": "b", "d": "b"}

    def test_a_root_with_an_executor_can_block_like_any_other(self) -> None:
        stream = given(running("r(cook)", "a <- r"), started("r"))
        assert blocked(stream.and_then(failed("r"))) == {"a": "r"}
        stream.when(fail, "r", 1, BROKEN).then_in_all(failed("r"), settled("failed"))

    def test_one_failure_is_enough(self) -> None:
        stream = given(running("r", "a", "b", "c <- a b"), started("a"), started("b"))
        assert blocked(stream.and_then(completed("a"), failed("b"))) == {"c": "b"}
        assert blocked(stream.and_then(failed("b"), completed("a"))) == {"c": "b"}

    def test_the_first_to_end_badly_is_the_one_that_is_shown(self) -> None:
        stream = given(running("r", "a", "b", "c <- a b"), started("a"), started("b"))
        assert blocked(stream.and_then(failed("b"), failed("a"))) == {"c": "b"}

    def test_all_of_them_must_complete(self) -> None:
        stream = given(running("r", "a", "b", "c <- a b"), started("a"), started("b"))
        assert ready(stream.and_then(completed("b"))) == []
        assert ready(stream.and_then(completed("b"), completed("a"))) == ["c"]


class TestOptional:
    STREAM = given(running("r", "a", "b <- a?"), started("a"), group_started("r"))

    def test_it_is_waited_for(self) -> None:
        assert ready(self.STREAM) == []

    def test_any_end_will_do(self) -> None:
        assert ready(self.STREAM.and_then(completed("a"))) == ["b"]
        assert ready(self.STREAM.and_then(failed("a"))) == ["b"]

    def test_what_is_blocked_has_ended(self) -> None:
        stream = given(running("r", "x", "a <- x", "b <- a?"), started("x"))
        after = stream.and_then(failed("x"))
        assert ready(after) == ["b"]
        assert blocked(after) == {"a": "x"}

    def test_a_clean_up_runs_whatever_happened_and_the_tree_has_failed_all_the_same(self) -> None:
        stream = given(
            running("r", "make", "use <- make", "clean <- make? use?"),
            started("make"), group_started("r"), failed("make"), started("clean"),
        )  # fmt: skip
        last = stream.when(complete, "clean", 1, result=NULL)
        error = failed("r", "child_failed", "its child make failed")
        last.then_in_all(completed("clean"), error, settled("failed"))

    def test_beside_a_required_one_it_blocks_nothing_and_unblocks_nothing(self) -> None:
        stream = given(running("r", "a", "b", "c <- a b?"), started("a"), started("b"))
        assert ready(stream.and_then(failed("b"))) == []
        assert ready(stream.and_then(failed("b"), completed("a"))) == ["c"]
        assert blocked(stream.and_then(failed("b"), failed("a"))) == {"c": "a"}


class TestReadyOrder:
    def test_it_is_the_order_in_which_tasks_became_ready(self) -> None:
        stream = given(running("r", "d <- b", "c <- a", "a", "b"))
        assert ready(stream) == ["a", "b"]
        later = stream.and_then(started("b"), started("a"), completed("b"), completed("a"))
        assert ready(later) == ["d", "c"]

    def test_tasks_that_become_ready_together_keep_the_order_they_were_written_in(self) -> None:
        stream = given(running("r", "a", "d <- a", "c <- a", "b <- a"), started("a"))
        assert ready(stream.and_then(completed("a"))) == ["d", "c", "b"]

    def test_what_is_ready_first_after_the_submission_is_what_was_written_first(self) -> None:
        assert ready(given(submitted("r", "c", "a", "b"))) == ["c", "a", "b"]

    def test_an_interrupted_task_queues_up_again(self) -> None:
        stream = given(running("r", "a", "b"), started("a"))
        assert ready(stream) == ["b"]
        assert ready(stream.and_then(interrupted("a"))) == ["b", "a"]

    def test_fresh_is_what_became_ready_lately(self) -> None:
        tree = given(running("r", "a", "b <- a")).tree
        assert [tree.at_n(n).spec.id for n in tree.fresh] == ["a"]

    def test_priorities_are_carried_for_those_who_choose(self) -> None:
        stream = given(running("r", task("a", priority=3), task("b", priority=0), "c"))
        tree = stream.tree
        assert [tree.at_n(n).spec.priority for n in tree.ready] == [3, 0, 2]

    def test_a_started_task_is_not_ready(self) -> None:
        assert ready(given(running("r", "a", "b"), started("a"))) == ["b"]


class TestSettled:
    def test_a_lone_task(self) -> None:
        stream = given(running("r"), started("r"))
        stream.when(complete, "r", 1, result=NULL).then_in_all(completed("r"), settled("completed"))
        stream.when(fail, "r", 1, BROKEN).then_in_all(failed("r"), settled("failed"))

    def test_not_while_anything_runs(self) -> None:
        stream = given(running("r(cook)", "a"), started("r"), started("a"), failed("r"))
        stream.when(follow).then_nothing()
        stream.and_then(completed("a")).when(follow).then(settled("failed"))

    def test_not_while_anything_can_still_start(self) -> None:
        stream = given(running("r(cook)", "a"), started("r"), completed("r"))
        stream.when(follow).then_nothing()

    def test_one_failure_fails_the_tree(self) -> None:
        stream = given(running("r(cook)", "a", "b"), started("r"), started("a"), started("b"))
        stream.and_then(completed("r"), failed("a"), completed("b")).when(follow).then(
            settled("failed")
        )

    def test_blocked_tasks_stay_pending_under_it(self) -> None:
        stream = given(running("r(cook) <- a", "a", "b <- r"), started("a"))
        after = stream.when(fail, "a", 1, BROKEN).then_in_all(failed("a"), settled("failed"))
        assert {t.spec.id: t.status for t in after.tree.live()} == {
            "r": "pending", "a": "failed", "b": "pending",
        }  # fmt: skip
        assert ready(after) == []

    def test_it_settles_once(self) -> None:
        stream = given(running("r"), started("r"), completed("r"), settled("completed"))
        stream.when(follow).then_nothing()
        stream.and_then(refused("r", "ended")).when(follow).then_nothing()

    def test_a_draft_does_not_settle(self) -> None:
        given(running("r", "a")[:1]).when(follow).then_nothing()

    def test_nor_does_a_tree_that_nobody_has_started(self) -> None:
        given(submitted("r", "a"), claimed()).when(follow).then_nothing()
