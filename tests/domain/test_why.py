"""Why a task does not run, or that it does: reasons, and for which task, time or word it waits."""

import pytest

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import Concurrency, Policy, RetryPolicy
from aipartnerupflow.testing.given import Given, given
from aipartnerupflow.testing.trees import (
    attempt_failed,
    cancel_requested,
    cancelled,
    completed,
    draft,
    failed,
    group_started,
    interrupted,
    paused,
    released,
    running,
    started,
    submitted,
    task,
    tree_cancel_requested,
    waiting,
)
from tests.domain.times import at, dated

RUNS = given(running("r", "a", "b <- a"), started("a"), group_started("r"))


def why(stream: Given, id: str) -> dict[str, str]:
    return decide.why(stream.tree, id)


class TestPending:
    def test_a_draft_waits_to_be_submitted(self) -> None:
        assert why(given(draft("r", "a")), "a") == {"reason": "draft"}

    def test_a_ready_task_waits_for_a_slot(self) -> None:
        assert why(given(running("r", "a")), "a") == {"reason": "slot"}
        assert why(RUNS.and_then(interrupted("a")), "a") == {"reason": "slot"}

    def test_or_for_a_place_under_its_key(self) -> None:
        policy = Policy(concurrency=Concurrency("db", 2))
        assert why(given(running("r", task("a", policy=policy))), "a") == {
            "reason": "concurrency", "detail": "a slot, or one of 2 places under 'db'",
        }  # fmt: skip

    @pytest.mark.parametrize("stream", [submitted("r", "a"), [*running("r", "a"), released()]])
    def test_or_for_an_engine(self, stream: list[AnyEvent]) -> None:
        assert why(given(stream), "a") == {
            "reason": "unclaimed", "detail": "no engine drives the tree; resume it",
        }  # fmt: skip

    def test_or_for_the_time_of_its_next_attempt(self) -> None:
        policy = Policy(retry=RetryPolicy())
        stream = given(running("r", task("a", policy=policy)), started("a"))
        stream = stream.and_then(attempt_failed("a", at(1)))
        assert why(stream, "a") == {"reason": "retry", "until": at(1)}

    def test_or_for_the_end_of_a_pause(self) -> None:
        stream = given(running("r", "a", "b <- a"), paused())
        assert why(stream, "a") == {"reason": "paused"}
        assert why(stream, "b") == {"reason": "dependency", "on": "a"}

    def test_a_group_that_may_start_waits_for_its_children_not_for_a_slot(self) -> None:
        stream = given(running("r", "x", "g", "g/a <- x"), started("x"), group_started("r"))
        assert why(stream, "g") == {"reason": "children"}

    def test_in_a_tree_that_is_to_end_it_waits_for_nothing_else(self) -> None:
        stream = given(running("r", "x", "g", "g/h <- x", "h/a"), started("x"), group_started("r"))
        ending = stream.and_then(tree_cancel_requested(), cancelled("a"))
        assert why(ending, "g") == {"reason": "cancelling"}

    def test_a_deadline_is_told_beside_the_reason(self) -> None:
        stream = given(dated(0, running("r", "x", task("a", policy=Policy(deadline=60)))))
        assert why(stream, "a") == {"reason": "slot", "deadline": at(60)}
        assert why(stream.and_then(started("a")), "a") == {
            "reason": "running", "detail": "attempt 1", "deadline": at(60),
        }  # fmt: skip


class TestDependencies:
    @pytest.mark.parametrize("arrow", ["x", "x?"])
    def test_the_first_that_is_missing_is_named_by_key(self, arrow: str) -> None:
        stream = given(running("r", "y", task("x", key="flour"), f"a <- y {arrow}"), started("y"))
        assert why(stream, "a") == {"reason": "dependency", "on": "y"}
        later = stream.and_then(completed("y"), started("x"))
        assert why(later, "a") == {"reason": "dependency", "on": "flour"}

    @pytest.mark.parametrize("end", [failed("x"), cancelled("x", 1)])
    def test_an_optional_one_that_has_ended_is_not_waited_for(self, end: AnyEvent) -> None:
        stream = given(running("r", "x", "y <- x", "z", "a <- x? y? z"), started("x"), end)
        assert why(stream, "a") == {"reason": "dependency", "on": "z"}

    @pytest.mark.parametrize("end", [failed("x"), cancelled("x", 1)])
    def test_what_is_blocked_names_the_task_that_ended_badly(self, end: AnyEvent) -> None:
        stream = given(running("r", task("x", key="flour"), "a <- x", "b <- a"), started("x"), end)
        assert why(stream, "a") == {"reason": "blocked", "on": "flour"}
        assert why(stream, "b") == {"reason": "blocked", "on": "flour"}

    def test_so_does_what_is_in_a_blocked_group(self) -> None:
        stream = given(running("r", "x", "g <- x", "g/a"), started("x"), failed("x"))
        assert why(stream, "a") == {"reason": "blocked", "on": "x"}
        assert why(stream, "g") == {"reason": "blocked", "on": "x"}

    def test_the_group_is_named_whose_dependency_it_is_and_what_it_waits_for(self) -> None:
        stream = given(running("r", "x", "y", task("g <- x", key="outer"), "g/h <- y", "h/a"))
        assert why(stream, "a") == {
            "reason": "group", "on": "h", "detail": "the group waits for y",
        }  # fmt: skip
        assert why(stream, "h") == {"reason": "dependency", "on": "y"}
        later = stream.and_then(started("y"), completed("y"))
        for id in ("a", "h"):
            assert why(later, id) == {
                "reason": "group", "on": "outer", "detail": "the group waits for x",
            }  # fmt: skip
        assert why(later, "g") == {"reason": "dependency", "on": "x"}

    def test_what_a_group_says_of_its_own_children_is_not_waited_for(self) -> None:
        stream = given(running("r", "g <- a", "g/a", "g/b"))
        assert [why(stream, id) for id in ("g", "a", "b")] == [
            {"reason": "children"}, {"reason": "slot"}, {"reason": "slot"},
        ]  # fmt: skip


class TestInProgress:
    def test_what_runs_runs(self) -> None:
        assert why(RUNS, "a") == {"reason": "running", "detail": "attempt 1"}
        again = RUNS.and_then(interrupted("a"), started("a", 2))
        assert why(again, "a") == {"reason": "running", "detail": "attempt 2"}
        assert why(RUNS, "r")["reason"] == "running"

    def test_what_was_asked_to_end_is_stopping(self) -> None:
        stream = RUNS.and_then(cancel_requested("a"))
        assert why(stream, "a") == {"reason": "stopping", "detail": "it was asked to end"}

    def test_a_wait_tells_its_time(self) -> None:
        stream = given(running("r", "a(wait)"), started("a", called=False))
        assert why(stream.and_then(waiting("a", at(60))), "a") == {
            "reason": "timer", "until": at(60),
        }  # fmt: skip

    def test_a_wait_for_a_signal_tells_its_name_and_its_timeout_if_it_has_one(self) -> None:
        stream = given(running("r", "a(signal)"), started("a", called=False))
        assert why(stream.and_then(waiting("a", signal="go")), "a") == {
            "reason": "signal", "signal": "go",
        }  # fmt: skip
        assert why(stream.and_then(waiting("a", at(60), signal="go")), "a") == {
            "reason": "signal", "signal": "go", "until": at(60),
        }  # fmt: skip


class TestEnded:
    def test_the_end_is_the_reason(self) -> None:
        assert why(RUNS.and_then(completed("a")), "a") == {"reason": "completed"}
        assert why(RUNS.and_then(failed("a", "Broken", "it broke")), "a") == {
            "reason": "failed", "detail": "Broken: it broke",
        }  # fmt: skip
        assert why(RUNS.and_then(cancelled("a", 1)), "a") == {
            "reason": "cancelled", "detail": "on request",
        }  # fmt: skip
        assert why(RUNS.and_then(cancelled("a", 1, reason="no use")), "a") == {
            "reason": "cancelled", "detail": "no use",
        }  # fmt: skip


def test_an_unknown_task_is_told() -> None:
    with pytest.raises(InvalidInput, match="no task 'x'"):
        why(RUNS, "x")
