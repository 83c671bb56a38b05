"""Cancel is two facts: somebody wants an end, and then it has come."""

from collections.abc import Sequence

import pytest

from aipartnerupflow.domain.decide import (
    cancel_task,
    cancel_tree,
    claim,
    complete,
    fail,
    progress,
    release,
    stopped,
)
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import ErrorInfo, Policy, RetryPolicy
from aipartnerupflow.domain.tree import Cancelled
from aipartnerupflow.testing.given import given, start
from aipartnerupflow.testing.trees import (
    attempt_failed,
    cancel_requested,
    cancelled,
    claimed,
    completed,
    draft,
    failed,
    group_started,
    interrupted,
    progressed,
    raw,
    refused,
    released,
    running,
    settled,
    started,
    submitted,
    task,
    tree_cancel_requested,
    waiting,
)
from tests.domain.times import at, blocked, dated, ready, stamp, statuses, the

BROKEN = ErrorInfo("TransientError", "")
NULL = raw(None)
TRIED = Policy(retry=RetryPolicy(max_attempts=5), on_interrupt="fail")

PENDING = given(running("r", task("a", policy=TRIED), "b <- a", "c <- a?"))
RUNS = PENDING.and_then(started("a"), group_started("r"))
BACKOFF = RUNS.and_then(dated(0, attempt_failed("a", at(1))))
WAITS = PENDING.and_then(started("a", called=False), waiting("a", at(60)), group_started("r"))
REQUESTED = RUNS.and_then(cancel_requested("a", "no use"))

SETTLED = [*running("r"), started("r"), completed("r"), settled("completed")]


def group_cancelled(group: str, child: str, attempt: int = 1) -> AnyEvent:
    reason = f"its child {child} was cancelled or waited for what was"
    return cancelled(group, attempt, reason=reason)


class TestWhatDoesNotRun:
    def test_a_pending_task_ends_at_once_without_an_attempt(self) -> None:
        after = PENDING.when(cancel_task, "a", reason="no use").then(
            cancelled("a", reason="no use")
        )
        assert the("a", after).phase == Cancelled("no use")
        assert the("a", after).status == "cancelled"

    def test_a_task_between_two_attempts_ends_at_once_and_its_timer_with_it(self) -> None:
        after = BACKOFF.when(cancel_task, "a").then(cancelled("a", 1))
        assert not after.tree.delayed
        after.when(start, "a", stamp=stamp(10)).refuses(InvalidTransition, "not ready")

    def test_so_does_one_that_was_interrupted(self) -> None:
        stream = given(running("r", "a"), started("a"), interrupted("a"))
        assert ready(stream.when(cancel_task, "a").then(cancelled("a", 1))) == []

    def test_a_waiting_task_ends_at_once(self) -> None:
        after = WAITS.when(cancel_task, "a").then(cancelled("a", 1))
        assert not after.tree.waiting

    def test_one_that_still_waits_for_a_dependency_does_too(self) -> None:
        after = RUNS.when(cancel_task, "b").then(cancelled("b"))
        assert ready(after.and_then(completed("a"))) == ["c"]


class TestWhatRuns:
    def test_it_is_asked_to_end(self) -> None:
        after = RUNS.when(cancel_task, "a", reason="no use").then(cancel_requested("a", "no use"))
        assert the("a", after).status == "in_progress"

    def test_asking_again_changes_nothing(self) -> None:
        REQUESTED.when(cancel_task, "a", reason="really").then_nothing()

    def test_it_has_ended_when_it_has(self) -> None:
        after = REQUESTED.when(stopped, "a", 1, ended=True).then(cancelled("a", 1, reason="no use"))
        assert not after.tree.running
        assert not after.tree.cancels

    def test_or_it_is_given_up(self) -> None:
        REQUESTED.when(stopped, "a", 1, ended=False).then(
            cancelled("a", 1, stopped=False, reason="no use")
        )

    def test_a_result_before_that_stands(self) -> None:
        after = REQUESTED.when(complete, "a", 1, result=raw(7)).then(completed("a", 7))
        assert ready(after) == ["b", "c"]
        after.when(stopped, "a", 1, ended=True).then_nothing()

    def test_an_error_makes_it_cancelled_and_nothing_is_tried_again(self) -> None:
        REQUESTED.when(fail, "a", 1, BROKEN).then(cancelled("a", 1, reason="no use"))
        REQUESTED.when(fail, "a", 1, BROKEN, final=True).then(cancelled("a", 1, reason="no use"))

    def test_a_report_after_that_is_refused(self) -> None:
        after = REQUESTED.and_then(cancelled("a", 1, stopped=False))
        after.when(complete, "a", 1, result=NULL).then(refused("a", "ended"))
        after.when(fail, "a", 1, BROKEN).then(refused("a", "ended"))

    def test_until_then_it_may_say_how_far_it_is(self) -> None:
        REQUESTED.when(progress, "a", 1, 0.9, "").then(progressed("a", 0.9))

    def test_nothing_is_stopped_that_nobody_asked_to_end(self) -> None:
        RUNS.when(stopped, "a", 1, ended=True).then_nothing()
        REQUESTED.when(stopped, "a", 2, ended=True).then_nothing()
        PENDING.when(stopped, "a", 1, ended=True).then_nothing()


class TestWhatComesOfIt:
    AFTER = REQUESTED.and_then(cancelled("a", 1))

    def test_what_requires_it_is_blocked_and_what_does_not_may_run(self) -> None:
        assert blocked(self.AFTER) == {"b": "a"}
        assert ready(self.AFTER) == ["c"]

    def test_its_group_and_its_tree_are_cancelled(self) -> None:
        last = self.AFTER.and_then(started("c")).when(complete, "c", 1, result=NULL)
        last.then_in_all(completed("c"), group_cancelled("r", "a"), settled("cancelled"))

    def test_a_failure_beside_it_weighs_more(self) -> None:
        last = self.AFTER.and_then(started("c")).when(fail, "c", 1, ErrorInfo("Broken", ""))
        error = failed("r", "child_failed", "its child c failed")
        last.then_in_all(failed("c"), error, settled("failed"))

    def test_a_group_of_which_nothing_began_begins_and_ends_in_one_commit(self) -> None:
        given(running("r", "a")).when(cancel_task, "a").then_in_all(
            cancelled("a"), group_started("r"), group_cancelled("r", "a"), settled("cancelled")
        )

    def test_it_ends_in_a_tree_that_nobody_drives_as_well(self) -> None:
        given(submitted("r", "a")).when(cancel_tree).then_in_all(
            tree_cancel_requested(), cancelled("a"),
            group_started("r"), group_cancelled("r", "a"), settled("cancelled"),
        )  # fmt: skip

    def test_a_group_whose_child_waited_for_what_was_cancelled_is_cancelled(self) -> None:
        stream = given(running("r(cook)", "x", "g", "g/a <- x", "g/b"), started("r"), started("x"))
        stream = stream.and_then(started("b"), group_started("g"), completed("b"))
        stream = stream.and_then(completed("r"), cancel_requested("x"))
        stream.when(stopped, "x", 1, ended=True).then_in_all(
            cancelled("x", 1), group_cancelled("g", "a"), settled("cancelled")
        )


class TestGroups:
    STREAM = given(
        running("r", "g", "g/a", "g/h", "h/b", "g/p(cook)", "p/c", "z <- g", "y"),
        started("b"), group_started("h"), group_started("g"), group_started("r"), started("y"),
    )  # fmt: skip

    def test_all_below_it_ends_or_is_asked_to_and_nothing_else(self) -> None:
        after = self.STREAM.when(cancel_task, "g", reason="late").then(
            cancelled("a", reason="late"), cancel_requested("b", "late"),
            cancelled("p", reason="late"), cancelled("c", reason="late"),
        )  # fmt: skip
        last = after.when(stopped, "b", 1, ended=True).then_in_all(
            cancelled("b", 1, reason="late"), group_cancelled("h", "b"), group_cancelled("g", "a")
        )
        assert blocked(last) == {"z": "g"}
        assert statuses(last)["y"] == "in_progress"

    def test_again_it_only_asks_those_who_were_not_asked(self) -> None:
        stream = self.STREAM.and_then(cancel_requested("b"), cancelled("a"), started("p"))
        stream.when(cancel_task, "g").then(cancel_requested("p"), cancelled("c"))

    def test_what_completes_meanwhile_has_completed(self) -> None:
        stream = given(running("r", "g", "g/a", "g/b"), started("a"), group_started("g"),
                       group_started("r"), cancel_requested("a"), cancelled("b"))  # fmt: skip
        stream.when(complete, "a", 1, result=NULL).then_in_all(
            completed("a"), group_cancelled("g", "b"), group_cancelled("r", "g"),
            settled("cancelled"),
        )  # fmt: skip
        alone = given(running("r", "a"), started("a"), group_started("r"), cancel_requested("a"))
        alone.when(complete, "a", 1, result=NULL).then_in_all(
            completed("a"), completed("r"), settled("completed")
        )

    def test_a_parent_with_an_executor_ends_alone(self) -> None:
        self.STREAM.when(cancel_task, "p").then(cancelled("p"))

    def test_a_group_that_has_not_begun_can_be_cancelled_too(self) -> None:
        stream = given(running("r", "x", "g <- x", "g/a"), started("x"), group_started("r"))
        after = stream.when(cancel_task, "g").then_in_all(cancelled("a"))
        after.when(complete, "x", 1, result=NULL).then_in_all(
            completed("x"), group_started("g"), group_cancelled("g", "a"),
            group_cancelled("r", "g"), settled("cancelled"),
        )  # fmt: skip

    def test_tasks_of_it_that_block_one_another_all_end(self) -> None:
        stream = given(running("r", "g", "g/a", "g/b <- a", "g/c <- b?"))
        stream.when(cancel_task, "g").then_in_all(
            cancelled("a"), cancelled("b"), cancelled("c"),
            group_started("g"), group_cancelled("g", "a"),
            group_started("r"), group_cancelled("r", "g"), settled("cancelled"),
        )  # fmt: skip


class TestTrees:
    STREAM = given(
        running("r", "a", "b", "c(wait)", "d", "e <- a", "x", "y <- x"),
        started("a"), group_started("r"), started("x"), failed("x"),
        started("c", called=False), waiting("c", at(60)), dated(0, started("b")),
    )  # fmt: skip
    ENDING = STREAM.and_then(
        tree_cancel_requested("enough"), cancelled("c", 1), cancelled("d"), cancelled("e")
    )

    def test_what_runs_is_asked_to_end_all_else_ends_and_what_is_blocked_is_left_alone(
        self,
    ) -> None:
        after = self.STREAM.when(cancel_tree, reason="enough").then(
            tree_cancel_requested("enough"), cancelled("c", 1, reason="enough"),
            cancelled("d", reason="enough"), cancelled("e", reason="enough"),
        )  # fmt: skip
        assert [after.tree.at_n(n).spec.id for n in after.tree.cancels] == ["a", "b"]
        assert statuses(after)["y"] == "pending"

    def test_nothing_starts_after_it(self) -> None:
        stream = given(running("r", "a", "b"), started("a"), interrupted("a"))
        ending = stream.and_then(tree_cancel_requested())
        ending.when(start, "b").refuses(InvalidTransition, "not ready")
        ending.when(start, "b", fault=BROKEN).refuses(InvalidTransition, "not ready")

    def test_what_runs_ends_as_if_it_had_been_asked_itself(self) -> None:
        self.ENDING.when(fail, "a", 1, BROKEN).then(cancelled("a", 1, reason="enough"))
        self.ENDING.when(stopped, "b", 1, ended=False).then(
            cancelled("b", 1, stopped=False, reason="enough")
        )
        self.ENDING.when(complete, "b", 1, result=NULL).then(completed("b"))

    def test_the_tree_settles_when_the_last_has_ended(self) -> None:
        stream = self.ENDING.and_then(cancelled("a", 1))
        error = failed("r", "child_failed", "its child x failed")
        stream.when(stopped, "b", 1, ended=True).then_in_all(
            cancelled("b", 1, reason="enough"), error, settled("failed")
        )

    def test_it_is_cancelled_where_nothing_failed(self) -> None:
        stream = given(running("r(cook)", "a <- r"), started("r"))
        stream = stream.and_then(tree_cancel_requested(), cancelled("a"))
        after = stream.when(stopped, "r", 1, ended=True)
        after.then_in_all(cancelled("r", 1), settled("cancelled"))

    def test_it_is_completed_where_all_that_ran_completed(self) -> None:
        stream = given(running("r(cook)"), started("r"), tree_cancel_requested())
        stream.when(complete, "r", 1, result=NULL).then_in_all(completed("r"), settled("completed"))

    def test_tasks_that_depend_on_one_another_all_end_whatever_their_order(self) -> None:
        for tasks in (("a", "b <- a", "c <- b"), ("c <- b", "b <- a", "a")):
            decided = given(running("r", *tasks)).when(cancel_tree)
            after = decided.then_in_all(
                tree_cancel_requested(), *(cancelled(written[0]) for written in tasks),
                group_started("r"), group_cancelled("r", tasks[0][0]), settled("cancelled"),
            )  # fmt: skip
            assert set(statuses(after).values()) == {"cancelled"}

    def test_again_it_changes_nothing(self) -> None:
        self.ENDING.when(cancel_tree).then_nothing()

    def test_what_was_asked_already_is_not_asked_again(self) -> None:
        self.ENDING.when(cancel_task, "a").then_nothing()


class TestConflicts:
    @pytest.mark.parametrize(
        ("end", "words"),
        [
            ([completed("a")], "a has completed already"),
            ([failed("a")], "a has failed already"),
            ([cancelled("a", 1)], "a has cancelled already"),
        ],
    )
    def test_what_has_ended_is_not_cancelled(self, end: Sequence[AnyEvent], words: str) -> None:
        RUNS.and_then(end).when(cancel_task, "a").refuses(InvalidTransition, words)

    def test_nor_is_what_never_starts(self) -> None:
        RUNS.and_then(failed("a")).when(cancel_task, "b").refuses(
            InvalidTransition, "b is blocked and never starts"
        )

    @pytest.mark.parametrize(
        ("stream", "words"),
        [(draft("r"), "tree r is a draft"), (SETTLED, r"tree r has settled \(completed\)")],
    )
    def test_nor_is_what_does_not_run(self, stream: list[AnyEvent], words: str) -> None:
        given(stream).when(cancel_task, "r").refuses(InvalidTransition, words)
        given(stream).when(cancel_tree).refuses(InvalidTransition, words)

    def test_a_task_that_is_not_there_is_told(self) -> None:
        RUNS.when(cancel_task, "nobody").refuses(InvalidInput, "no task 'nobody'")


class TestEnginesThatGo:
    def test_a_restart_in_between_finishes_it_whatever_its_policy_says(self) -> None:
        REQUESTED.when(claim, "engine-2").then(
            claimed("engine-2", 2), cancelled("a", 1, stopped=False, reason="no use")
        )

    def test_so_it_does_for_a_whole_tree(self) -> None:
        stream = given(running("r(cook)", "a"), started("r"), started("a"), tree_cancel_requested())
        stream.when(claim, "engine-2").then_in_all(
            claimed("engine-2", 2), cancelled("r", 1, stopped=False),
            cancelled("a", 1, stopped=False), settled("cancelled"),
        )  # fmt: skip

    def test_a_shutdown_tells_what_has_really_ended(self) -> None:
        stream = given(running("r", "a", "b", "c"), started("a"), group_started("r"), started("b"))
        stream = stream.and_then(started("c"), cancel_requested("a"), cancel_requested("b"))
        stream.when(release, ended={1}).then(
            cancelled("a", 1), cancelled("b", 1, stopped=False), interrupted("c", "shutdown"),
            released(),
        )  # fmt: skip
