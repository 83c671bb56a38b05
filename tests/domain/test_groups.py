"""Groups start with their first child and end with their last; their dependencies hold below."""

import pytest

from aipartnerupflow.domain.decide import complete, fail, follow
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.testing.given import Given, given, start
from aipartnerupflow.testing.trees import (
    claimed,
    completed,
    failed,
    group_started,
    interrupted,
    raw,
    running,
    settled,
    started,
)

BROKEN = ErrorInfo("Broken", "")
NULL = raw(None)


def ready(stream: Given) -> list[str]:
    return [stream.tree.at_n(n).spec.id for n in stream.tree.ready]


def statuses(stream: Given) -> dict[str, str]:
    return {task.spec.id: task.status for task in stream.tree.live()}


def child_failed(group: str, child: str) -> AnyEvent:
    return failed(group, "child_failed", f"its child {child} failed")


def child_blocked(group: str, child: str, culprit: str) -> AnyEvent:
    message = f"its child {child} could not start, because {culprit} failed"
    return failed(group, "child_blocked", message)


class TestStart:
    def test_a_group_starts_with_its_first_child(self) -> None:
        given(running("r", "a", "b")).when(start, "a").then_in_all(started("a"), group_started("r"))

    def test_and_only_with_the_first(self) -> None:
        stream = given(running("r", "a", "b"), started("a"), group_started("r"))
        stream.when(start, "b").then_in_all(started("b"))

    def test_groups_start_upwards_in_the_same_breath(self) -> None:
        given(running("r", "g", "g/h", "h/a")).when(start, "a").then_in_all(
            started("a"), group_started("h"), group_started("g"), group_started("r")
        )

    def test_a_grandchild_below_a_parent_with_an_executor_is_no_child(self) -> None:
        stream = given(running("r", "g", "g/p(cook)", "p/a"))
        stream.when(start, "a").then_in_all(started("a"))
        stream.when(start, "p").then_in_all(started("p"), group_started("g"), group_started("r"))

    def test_a_parent_with_an_executor_does_not_start_with_its_child(self) -> None:
        given(running("r(cook)", "a")).when(start, "a").then_in_all(started("a"))

    def test_what_the_engine_draws_is_by_the_engine(self) -> None:
        facts = given(running("r", "a"), started("a")).when(follow).facts
        assert [fact.by for fact in facts] == ["engine"]

    def test_a_group_stays_in_progress_when_its_only_running_child_is_interrupted(self) -> None:
        stream = given(running("r", "a"), started("a"), group_started("r"), interrupted("a"))
        assert statuses(stream) == {"r": "in_progress", "a": "pending"}
        stream.and_then(claimed("engine-2", 2)).when(start, "a").then_in_all(started("a", 2))


class TestEnd:
    def test_it_completes_when_all_children_have_with_null(self) -> None:
        stream = given(running("r", "a", "b"), started("a"), group_started("r"), started("b"))
        stream.when(complete, "a", 1, result=NULL).then_in_all(completed("a"))
        last = stream.and_then(completed("a")).when(complete, "b", 1, result=NULL)
        last.then_in_all(completed("b"), completed("r", None), settled("completed"))

    def test_it_waits_for_all_children_even_after_one_has_failed(self) -> None:
        stream = given(running("r", "a", "b"), started("a"), group_started("r"))
        stream.when(fail, "a", 1, BROKEN).then_in_all(failed("a"))
        last = stream.and_then(failed("a"), started("b")).when(complete, "b", 1, result=NULL)
        last.then_in_all(completed("b"), child_failed("r", "a"), settled("failed"))

    def test_its_error_names_the_child_that_was_first_to_end_badly(self) -> None:
        stream = given(
            running("r", "a", "b", "c"),
            started("a"), group_started("r"), started("b"), started("c"), failed("b"), failed("a"),
        )  # fmt: skip
        last = stream.when(complete, "c", 1, result=NULL)
        last.then_in_all(completed("c"), child_failed("r", "b"), settled("failed"))

    def test_groups_end_upwards_in_the_same_breath(self) -> None:
        stream = given(
            running("r", "g", "g/h", "h/a"),
            started("a"), group_started("h"), group_started("g"), group_started("r"),
        )  # fmt: skip
        stream.when(fail, "a", 1, BROKEN).then_in_all(
            failed("a"),
            child_failed("h", "a"),
            child_failed("g", "h"),
            child_failed("r", "g"),
            settled("failed"),
        )

    def test_a_child_that_fails_before_its_call_starts_and_ends_its_group(self) -> None:
        given(running("r", "a")).when(start, "a", fault=BROKEN).then_in_all(
            started("a", called=False),
            failed("a"),
            group_started("r"),
            child_failed("r", "a"),
            settled("failed"),
        )

    def test_it_does_not_wait_for_grandchildren_below_an_executor(self) -> None:
        stream = given(
            running("r", "g", "g/p(cook)", "p/a"), started("p"), group_started("g"),
            group_started("r"), started("a"),
        )  # fmt: skip
        last = stream.when(complete, "p", 1, result=NULL)
        after = last.then_in_all(completed("p"), completed("g"), completed("r"))
        assert statuses(after) == {
            "r": "completed", "g": "completed", "p": "completed", "a": "in_progress",
        }  # fmt: skip

    def test_those_may_start_after_it_has_ended(self) -> None:
        stream = given(
            running("r", "g", "g/p(cook)", "p/a"), started("p"), group_started("g"),
            group_started("r"), completed("p"), completed("g"), completed("r"),
        )  # fmt: skip
        assert ready(stream) == ["a"]
        stream.and_then(started("a")).when(complete, "a", 1, result=NULL).then_in_all(
            completed("a"), settled("completed")
        )

    def test_a_root_with_an_executor_has_no_parent_to_tell(self) -> None:
        stream = given(running("r(cook)", "g/a", "g"))
        stream.when(start, "r").then_in_all(started("r"))
        begun = stream.and_then(started("r"))
        begun.when(complete, "r", 1, result=NULL).then_in_all(completed("r"))
        begun.when(fail, "r", 1, BROKEN).then_in_all(failed("r"))


class TestBlockedChildren:
    def test_a_group_with_a_blocked_child_fails_and_names_it_and_the_reason(self) -> None:
        stream = given(
            running("r", "x", "g", "g/a <- x", "g/b"), started("x"), group_started("r"),
            started("b"), group_started("g"), completed("b"),
        )  # fmt: skip
        stream.when(fail, "x", 1, BROKEN).then_in_all(
            failed("x"), child_blocked("g", "a", "x"), child_failed("r", "x"), settled("failed")
        )

    def test_the_reason_is_looked_for_along_all_that_is_blocked(self) -> None:
        stream = given(
            running("r", "x", "y <- x", "z <- y", "g", "g/a <- z"), started("x"), group_started("r")
        )
        after = stream.when(fail, "x", 1, BROKEN).then_in_all(
            failed("x"),
            group_started("g"),
            child_blocked("g", "a", "x"),
            child_failed("r", "x"),
            settled("failed"),
        )
        assert statuses(after)["y"] == "pending"

    def test_a_group_none_of_whose_children_can_start_starts_and_ends_in_one_commit(self) -> None:
        stream = given(running("r", "x", "g", "g/a <- x"), started("x"), group_started("r"))
        stream.when(fail, "x", 1, BROKEN).then_in_all(
            failed("x"),
            group_started("g"),
            child_blocked("g", "a", "x"),
            child_failed("r", "x"),
            settled("failed"),
        )

    def test_but_not_before_its_own_dependencies_are_satisfied(self) -> None:
        stream = given(
            running("r", "x", "y", "g <- y", "g/a <- x"), started("x"), group_started("r"),
            started("y"),
        )  # fmt: skip
        after = stream.when(fail, "x", 1, BROKEN).then_in_all(failed("x"))
        last = after.when(complete, "y", 1, result=NULL)
        last.then_in_all(
            completed("y"),
            group_started("g"),
            child_blocked("g", "a", "x"),
            child_failed("r", "x"),
            settled("failed"),
        )

    def test_a_blocked_child_counts_in_the_order_of_events(self) -> None:
        stream = given(
            running("r", "x", "g", "g/a <- x", "g/b"), started("b"), group_started("g"),
            group_started("r"), started("x"), failed("x"),
        )  # fmt: skip
        stream.when(fail, "b", 1, BROKEN).then_in_all(
            failed("b"), child_blocked("g", "a", "x"), child_failed("r", "x"), settled("failed")
        )


class TestDependenciesOfGroups:
    def test_they_hold_for_all_that_is_below(self) -> None:
        stream = given(running("r", "x", "g <- x", "g/a", "g/h", "h/b", "g/p(cook)", "p/c"))
        assert ready(stream) == ["x"]
        opened = stream.and_then(started("x"), group_started("r"), completed("x"))
        assert set(ready(opened)) == {"a", "b", "p", "c"}

    def test_beside_what_a_task_depends_on_itself(self) -> None:
        stream = given(running("r", "x", "y", "g <- x", "g/a <- y"))
        assert ready(stream.and_then(started("x"), completed("x"))) == ["y"]
        assert ready(stream.and_then(started("y"), completed("y"))) == ["x"]
        both = stream.and_then(started("x"), completed("x"), started("y"), completed("y"))
        assert ready(both) == ["a"]

    def test_and_beside_those_of_the_groups_further_up(self) -> None:
        stream = given(running("r", "x", "y", "g <- x", "g/h <- y", "h/a"))
        assert ready(stream.and_then(started("y"), completed("y"))) == ["x"]
        both = stream.and_then(started("y"), completed("y"), started("x"), completed("x"))
        assert ready(both) == ["a"]

    def test_a_group_that_is_blocked_stays_pending_with_all_below_it(self) -> None:
        stream = given(
            running("r", "x", "g <- x", "g/h", "h/a", "g/p(cook)", "p/b", "z <- g?"),
            started("x"), group_started("r"),
        )  # fmt: skip
        after = stream.when(fail, "x", 1, BROKEN).then_in_all(failed("x"))
        assert {t.spec.id for t in after.tree.live() if t.blocked} == {"g", "h", "a", "p", "b"}
        assert ready(after) == ["z"]
        last = after.and_then(started("z")).when(complete, "z", 1, result=NULL)
        last.then_in_all(completed("z"), child_failed("r", "x"), settled("failed"))

    def test_what_is_blocked_already_is_not_blocked_again(self) -> None:
        stream = given(
            running("r(cook)", "x", "y", "g <- x", "g/a <- y"), started("r"), started("x"),
            started("y"), failed("y"), failed("x"),
        )  # fmt: skip
        blockers = {t.spec.id: stream.tree.at_n(t.blocker).spec.id for t in stream.tree.live()
                    if t.blocked}  # fmt: skip
        assert blockers == {"g": "x", "a": "y"}
        stream.when(complete, "r", 1, result=NULL).then_in_all(completed("r"), settled("failed"))

    def test_an_optional_one_is_satisfied_by_an_end_of_any_kind(self) -> None:
        stream = given(running("r", "x", "g <- x?", "g/a"), started("x"))
        assert ready(stream) == []
        assert ready(stream.and_then(failed("x"))) == ["a"]

    @pytest.mark.parametrize("dependency", ["a", "a?", "b", "h", "h?"])
    def test_one_on_what_is_below_the_group_says_only_what_holds_anyway(
        self, dependency: str
    ) -> None:
        stream = given(running("r", f"g <- {dependency}", "g/a", "g/h", "h/b"))
        assert ready(stream) == ["a", "b"]

    def test_a_failure_below_the_group_on_which_it_depends_fails_it_as_ever(self) -> None:
        stream = given(
            running("r", "g <- a", "g/a", "g/b"), started("a"), group_started("g"),
            group_started("r"), started("b"), failed("a"),
        )  # fmt: skip
        last = stream.when(complete, "b", 1, result=NULL)
        last.then_in_all(
            completed("b"), child_failed("g", "a"), child_failed("r", "g"), settled("failed")
        )

    def test_waiting_for_a_group_is_waiting_for_its_end(self) -> None:
        stream = given(
            running("r", "g", "g/a", "g/b", "z <- g"), started("a"), group_started("g"),
            group_started("r"), started("b"), completed("a"),
        )  # fmt: skip
        assert ready(stream) == []
        ended = stream.and_then(completed("b"), completed("g"))
        assert ready(ended) == ["z"]


class TestParentsWithAnExecutor:
    def test_they_wait_for_their_dependencies_not_for_their_children(self) -> None:
        stream = given(running("r(cook)", "a", "b <- r"))
        assert ready(stream) == ["r", "a"]
        done = stream.and_then(started("r"), completed("r"))
        assert ready(done) == ["a", "b"]

    def test_their_dependencies_do_not_hold_for_their_children(self) -> None:
        assert ready(given(running("r", "x", "p(cook) <- x", "p/a"))) == ["x", "a"]
