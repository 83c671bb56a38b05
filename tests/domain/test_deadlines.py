"""A deadline runs from the moment a task is ready to its end, over all attempts."""

import pytest

from aipartnerupflow.domain.decide import fail, overdue, why
from aipartnerupflow.domain.events import AnyEvent, TaskFailed
from aipartnerupflow.domain.specs import ErrorInfo, Policy, RetryPolicy
from aipartnerupflow.testing.given import Given, given
from aipartnerupflow.testing.trees import (
    OPEN,
    attempt_failed,
    cancelled,
    completed,
    failed,
    group_started,
    interrupted,
    paused,
    reopened,
    running,
    settled,
    started,
    task,
    tree_reopened,
    waiting,
)
from tests.domain.times import at, dated, stamp, the, time_is_up

BROKEN = ErrorInfo("Broken", "")
IN_A_MINUTE = Policy(deadline=60, retry=RetryPolicy(max_attempts=4, initial_delay=20))
LATE = ErrorInfo(
    "deadline_exceeded",
    "it was not over at its deadline, 60 s after it was ready",
    ("TimeoutError",),
)

QUEUED = given(dated(0, running("r", task("a", policy=IN_A_MINUTE), "b <- a")))
RUNS = QUEUED.and_then(dated(5, started("a"), group_started("r")))
AGAIN = RUNS.and_then(dated(10, attempt_failed("a", at(30))))
LOST = RUNS.and_then(dated(10, interrupted("a")))
WAITS = QUEUED.and_then(dated(5, started("a", called=False), waiting("a", at(900))))
BEHIND = given(dated(0, running("r", "x", task("a <- x", policy=IN_A_MINUTE)), started("x")))


def too_late(attempt: int = 1) -> TaskFailed:
    return TaskFailed(at=OPEN, by=OPEN, cause=OPEN, task="a", attempt=attempt, error=LATE)


def deadlines(stream: Given) -> dict[str, str]:
    """By task: its deadline, as people are told."""
    tree = stream.tree
    ids = [tree.at_n(n).spec.id for n in tree.deadlines]
    return {id: why(tree, id)["deadline"] for id in ids}


class TestTheClock:
    def test_it_starts_when_nothing_is_missing(self) -> None:
        assert deadlines(QUEUED) == {"a": at(60)}
        assert deadlines(BEHIND) == {}
        assert deadlines(BEHIND.and_then(dated(100, completed("x")))) == {"a": at(160)}

    @pytest.mark.parametrize("stream", [RUNS, AGAIN, LOST, WAITS])
    def test_it_runs_on_over_all_that_happens_to_the_task(self, stream: Given) -> None:
        assert deadlines(stream) == {"a": at(60)}

    @pytest.mark.parametrize("stream", [AGAIN, LOST])
    def test_the_next_attempt_has_no_other(self, stream: Given) -> None:
        assert deadlines(stream.and_then(dated(30, started("a", 2)))) == {"a": at(60)}

    @pytest.mark.parametrize("end", [completed("a"), failed("a"), cancelled("a", 1)])
    def test_it_stops_at_the_end(self, end: AnyEvent) -> None:
        assert deadlines(RUNS.and_then(dated(20, end))) == {}

    def test_whoever_arms_timers_is_told_of_it_once(self) -> None:
        assert QUEUED.tree.armed == [1]
        assert RUNS.tree.armed == [1]

    def test_a_re_run_starts_another(self) -> None:
        ended = RUNS.and_then(dated(20, failed("a"), failed("r"), settled("failed")))
        again = ended.and_then(dated(100, reopened("a"), reopened("r"), tree_reopened()))
        assert deadlines(again) == {"a": at(160)}

    def test_a_task_without_a_policy_has_none(self) -> None:
        assert deadlines(given(dated(0, running("r", "a")))) == {}


class TestWhenItHasPassed:
    def test_a_task_in_the_queue_fails_without_a_call(self) -> None:
        QUEUED.when(time_is_up, "a", stamp=stamp(60)).then(started("a", called=False), too_late())

    def test_not_a_moment_before(self) -> None:
        for stream in (QUEUED, AGAIN, LOST, WAITS):
            stream.when(time_is_up, "a", stamp=stamp(59.999999)).then_nothing()

    @pytest.mark.parametrize("stream", [AGAIN, LOST])
    def test_between_two_attempts_the_next_one_fails_without_a_call(self, stream: Given) -> None:
        after = stream.when(time_is_up, "a", stamp=stamp(61)).then(
            started("a", 2, called=False), too_late(2)
        )
        assert not after.tree.delayed
        assert the("b", after).blocked

    def test_a_task_that_waits_fails(self) -> None:
        after = WAITS.when(time_is_up, "a", stamp=stamp(60)).then(too_late())
        assert not after.tree.waiting

    def test_a_running_attempt_has_to_be_stopped_first(self) -> None:
        RUNS.when(time_is_up, "a", stamp=stamp(61)).then_nothing()
        error = overdue(the("a", RUNS))
        assert error == LATE
        RUNS.when(fail, "a", 1, error, stamp=stamp(61), final=True).then(too_late())

    def test_a_pause_of_the_tree_does_not_delay_it(self) -> None:
        stream = QUEUED.and_then(dated(1, paused()))
        stream.when(time_is_up, "a", stamp=stamp(60)).then(started("a", called=False), too_late())

    def test_what_has_ended_is_left_alone(self) -> None:
        ended = RUNS.and_then(dated(20, completed("a")))
        ended.when(time_is_up, "a", stamp=stamp(61)).then_nothing()

    def test_so_is_what_never_started_for_want_of_a_dependency(self) -> None:
        BEHIND.when(time_is_up, "a", stamp=stamp(10_000)).then_nothing()
        blocked = BEHIND.and_then(dated(1, failed("x")))
        blocked.when(time_is_up, "a", stamp=stamp(10_000)).then_nothing()

    def test_so_is_a_task_that_has_none(self) -> None:
        stream = given(dated(0, running("r", "a")))
        stream.when(time_is_up, "a", stamp=stamp(10_000)).then_nothing()


class TestRetries:
    def test_one_that_would_start_in_time_is_made(self) -> None:
        RUNS.when(fail, "a", 1, BROKEN, stamp=stamp(39)).then(attempt_failed("a", at(59), "Broken"))

    @pytest.mark.parametrize("seconds", [40, 45, 70])
    def test_one_that_would_start_too_late_is_not(self, seconds: float) -> None:
        RUNS.when(fail, "a", 1, BROKEN, stamp=stamp(seconds)).then(failed("a"))

    def test_what_the_target_asked_for_counts(self) -> None:
        RUNS.when(fail, "a", 1, BROKEN, stamp=stamp(10), retry_after=50).then(failed("a"))
