"""Whether a failed attempt is followed by another, and when."""

from typing import Any

import pytest

from aipartnerupflow.domain.decide import complete, fail
from aipartnerupflow.domain.decide.retry import delay
from aipartnerupflow.domain.errors import InvalidTransition
from aipartnerupflow.domain.events import AttemptFailed, TaskFailed
from aipartnerupflow.domain.specs import NO_POLICY, ErrorInfo, Policy, RetryPolicy
from aipartnerupflow.domain.tree import Task
from aipartnerupflow.testing.given import given, start
from aipartnerupflow.testing.trees import (
    attempt_failed,
    completed,
    failed,
    group_started,
    interrupted,
    raw,
    refused,
    running,
    saved,
    started,
    task,
)
from tests.domain.times import at, dated, ready, seconds_of, stamp, the

BROKEN = ErrorInfo("Broken", "")
TRANSIENT = ErrorInfo("TransientError", "")
REFUSED = ErrorInfo("ConnectionRefused", "", ("ConnectionError", "TransientError", "OSError"))
TWICE = Policy(retry=RetryPolicy(max_attempts=2))


def pauses(policy: Policy, error: ErrorInfo = BROKEN, **options: Any) -> list[float]:
    """The seconds between attempts that all fail with ``error``, until the task does."""
    stream = given(running("r", task("a", policy=policy)))
    found: list[float] = []
    while True:
        attempt = len(found) + 1
        stream = stream.and_then(started("a", attempt))
        (fact,) = stream.when(fail, "a", attempt, error, **options).facts
        assert fact.by == "user"
        stream = stream.and_then(fact)
        if isinstance(fact, TaskFailed):
            assert fact.error == error
            return found
        assert isinstance(fact, AttemptFailed)
        assert (fact.attempt, fact.error) == (attempt, error)
        found.append(seconds_of(fact.retry_at))


class TestBackoff:
    def test_four_attempts_are_1_2_and_4_seconds_apart(self) -> None:
        retry = RetryPolicy(
            max_attempts=4, initial_delay=1, multiplier=2, max_delay=5, jitter="none"
        )
        assert pauses(Policy(retry=retry)) == [1, 2, 4]

    def test_no_pause_is_longer_than_the_longest(self) -> None:
        retry = RetryPolicy(max_attempts=7, initial_delay=1, multiplier=2, max_delay=5)
        assert pauses(Policy(retry=retry)) == [1, 2, 4, 5, 5, 5]

    def test_what_a_policy_leaves_out_is_3_attempts_from_1_second_doubled(self) -> None:
        assert pauses(Policy(retry=RetryPolicy())) == [1, 2]

    def test_a_minute_is_the_longest_where_none_is_said(self) -> None:
        assert pauses(Policy(retry=RetryPolicy(max_attempts=9)))[-3:] == [32, 60, 60]

    def test_a_fixed_one_does_not_grow(self) -> None:
        retry = RetryPolicy(max_attempts=4, backoff="fixed", initial_delay=0.5)
        assert pauses(Policy(retry=retry)) == [0.5, 0.5, 0.5]

    def test_none_is_at_once(self) -> None:
        retry = RetryPolicy(max_attempts=3, backoff="none", jitter="full")
        assert pauses(Policy(retry=retry)) == [0, 0]

    def test_any_factor_will_do(self) -> None:
        retry = RetryPolicy(max_attempts=4, initial_delay=0.1, multiplier=3)
        assert pauses(Policy(retry=retry)) == [0.1, 0.3, 0.9]

    def test_numbers_that_grow_beyond_all_bounds_end_at_the_longest(self) -> None:
        retry = RetryPolicy(max_attempts=9, multiplier=1e300, max_delay=7)
        assert pauses(Policy(retry=retry))[-1] == 7

    def test_full_jitter_draws_between_nothing_and_the_whole_pause(self) -> None:
        retry = RetryPolicy(max_attempts=4, jitter="full")
        assert pauses(Policy(retry=retry), chance=0.25) == [0.25, 0.5, 1]
        assert pauses(Policy(retry=retry), chance=0.0) == [0, 0, 0]
        fixed = RetryPolicy(max_attempts=2, backoff="fixed", jitter="full")
        assert pauses(Policy(retry=fixed), chance=0.5) == [0.5]

    def test_without_jitter_chance_has_no_say(self) -> None:
        assert pauses(Policy(retry=RetryPolicy()), chance=0.25) == [1, 2]


class TestWithoutAPolicy:
    def test_what_is_transient_and_safe_is_tried_three_times(self) -> None:
        assert pauses(NO_POLICY, TRANSIENT, safe=True) == [1, 2]
        assert pauses(NO_POLICY, REFUSED, safe=True) == [1, 2]

    def test_with_full_jitter(self) -> None:
        assert pauses(NO_POLICY, TRANSIENT, safe=True, chance=0.5) == [0.5, 1]

    def test_any_other_error_fails_at_once(self) -> None:
        assert pauses(NO_POLICY, BROKEN, safe=True) == []
        assert pauses(Policy(idempotent=True), BROKEN) == []

    @pytest.mark.parametrize("safe", [False, None])
    def test_so_does_a_call_that_nobody_says_is_safe(self, safe: bool | None) -> None:
        assert pauses(NO_POLICY, TRANSIENT, safe=safe) == []

    @pytest.mark.parametrize("safe", [False, None, True])
    def test_the_task_can_say_it_is(self, safe: bool | None) -> None:
        assert pauses(Policy(idempotent=True), TRANSIENT, safe=safe) == [1, 2]

    def test_a_policy_that_says_nothing_of_retries_is_none_of_them(self) -> None:
        assert pauses(Policy(timeout=5), TRANSIENT, safe=True) == [1, 2]
        assert pauses(Policy(timeout=5), TRANSIENT) == []


class TestWhichErrors:
    def test_any_error_where_a_policy_names_none(self) -> None:
        assert pauses(TWICE, BROKEN) == [1]

    @pytest.mark.parametrize("name", ["ConnectionRefused", "ConnectionError", "OSError"])
    def test_a_name_matches_the_class_and_each_of_its_bases(self, name: str) -> None:
        only = Policy(retry=RetryPolicy(max_attempts=2, retry_on=("Other", name)))
        assert pauses(only, REFUSED) == [1]
        assert pauses(only, BROKEN) == []

    @pytest.mark.parametrize("name", ["ConnectionRefused", "ConnectionError", "OSError"])
    def test_what_is_not_retryable_has_one_attempt(self, name: str) -> None:
        never = Policy(retry=RetryPolicy(max_attempts=4, non_retryable=("Other", name)))
        assert pauses(never, REFUSED) == []
        assert pauses(never, BROKEN) == [1, 2, 4]

    def test_it_is_stronger_than_what_is(self) -> None:
        both = RetryPolicy(max_attempts=4, retry_on=("OSError",), non_retryable=("OSError",))
        assert pauses(Policy(retry=both), REFUSED) == []

    def test_an_empty_list_of_errors_names_none(self) -> None:
        assert pauses(Policy(retry=RetryPolicy(retry_on=()))) == []

    def test_one_attempt_is_one_attempt(self) -> None:
        once = Policy(retry=RetryPolicy(max_attempts=1), idempotent=True)
        assert pauses(once, TRANSIENT, safe=True) == []

    def test_a_call_that_its_executor_calls_unsafe_is_repeated_only_if_the_task_says_so(
        self,
    ) -> None:
        retry = RetryPolicy(max_attempts=2)
        assert pauses(Policy(retry=retry), TRANSIENT, safe=False) == []
        assert pauses(Policy(retry=retry), TRANSIENT, safe=None) == [1]
        assert pauses(Policy(retry=retry), TRANSIENT, safe=True) == [1]
        assert pauses(Policy(retry=retry, idempotent=True), TRANSIENT, safe=False) == [1]

    def test_a_fault_before_the_call_is_final(self) -> None:
        stream = given(running("r", task("a", policy=TWICE)))
        stream.when(start, "a", fault=BROKEN).then(started("a", called=False), failed("a"))

    def test_so_is_what_the_engine_says_is(self) -> None:
        stream = given(running("r", task("a", policy=TWICE)), started("a"))
        stream.when(fail, "a", 1, BROKEN, final=True).then(failed("a"))


class TestRetryAfter:
    def test_it_is_the_least(self) -> None:
        assert pauses(TWICE, retry_after=7) == [7]
        assert pauses(TWICE, retry_after=0.5) == [1]
        assert pauses(NO_POLICY, TRANSIENT, safe=True, retry_after=3, chance=0.1) == [3, 3]

    def test_it_is_longer_than_the_longest_pause_if_need_be(self) -> None:
        short = Policy(retry=RetryPolicy(max_attempts=2, max_delay=2))
        assert pauses(short, retry_after=90) == [90]

    @pytest.mark.parametrize("said", [-5.0, 0.0, float("nan"), float("-inf")])
    def test_what_is_no_span_is_not_heeded(self, said: float) -> None:
        assert pauses(TWICE, retry_after=said) == [1]

    @pytest.mark.parametrize("said", [31_536_000, 1e300, 1e18, float("inf")])
    def test_nobody_waits_longer_than_an_hour(self, said: float) -> None:
        assert pauses(TWICE, retry_after=said) == [3600]
        assert pauses(NO_POLICY, TRANSIENT, safe=True, retry_after=said) == [3600, 3600]

    def test_unless_the_policy_bears_longer_delays(self) -> None:
        patient = Policy(retry=RetryPolicy(max_attempts=2, max_delay=7200))
        assert pauses(patient, retry_after=31_536_000) == [7200]
        assert pauses(patient, retry_after=5000) == [5000]

    def test_it_makes_no_error_retryable(self) -> None:
        assert pauses(NO_POLICY, BROKEN, safe=True, retry_after=1) == []


class TestBetweenTwoAttempts:
    STREAM = given(
        running("r", task("a", policy=TWICE), "b <- a", "c <- a?"), started("a"), group_started("r")
    )
    WAITS = STREAM.and_then(saved("a", {"page": 7}), dated(10, attempt_failed("a", at(11))))

    def test_the_task_is_pending_and_holds_nothing(self) -> None:
        tree = self.WAITS.tree
        assert the("a", self.WAITS).status == "pending"
        assert (list(tree.running), [tree.at_n(n).spec.id for n in tree.delayed]) == ([], ["a"])

    def test_nobody_is_let_through_and_nobody_is_blocked(self) -> None:
        assert ready(self.WAITS) == []
        assert not any(task.blocked for task in self.WAITS.tree.live())

    def test_the_next_one_starts_when_it_is_due_and_not_before(self) -> None:
        early = self.WAITS.when(start, "a", stamp=stamp(10.999999))
        early.refuses(InvalidTransition, "task a is not ready")
        for seconds in (11, 12, 10_000):
            self.WAITS.when(start, "a", stamp=stamp(seconds)).then(started("a", 2))

    def test_then_nothing_is_left_of_the_pause(self) -> None:
        after = self.WAITS.and_then(dated(11, started("a", 2)))
        assert not after.tree.delayed
        assert the("a", after).backoff is None

    def test_it_is_given_the_checkpoint_of_the_last(self) -> None:
        assert the("a", self.WAITS).checkpoint == raw({"page": 7})

    def test_a_late_report_of_the_failed_one_changes_nothing(self) -> None:
        self.WAITS.when(complete, "a", 1).then(refused("a", "former_attempt"))
        again = self.WAITS.and_then(dated(11, started("a", 2)))
        again.when(complete, "a", 1).then(refused("a", "former_attempt"))
        again.when(complete, "a", 2, result=raw(1)).then(completed("a", 1, attempt=2))

    def test_the_second_failure_of_two_is_the_end(self) -> None:
        again = self.WAITS.and_then(dated(11, started("a", 2)))
        again.when(fail, "a", 2, BROKEN).then(failed("a", attempt=2))


class TestWhatDoesNotCount:
    def test_an_interruption_is_no_failure(self) -> None:
        stream = given(
            running("r", task("a", policy=TWICE)),
            started("a"), interrupted("a"), started("a", 2), interrupted("a", attempt=2),
            started("a", 3),
        )  # fmt: skip
        after = stream.when(fail, "a", 3, TRANSIENT).then(attempt_failed("a", at(1), attempt=3))
        after.and_then(started("a", 4)).when(fail, "a", 4, BROKEN).then(failed("a", attempt=4))

    def test_nor_does_it_lengthen_the_pause(self) -> None:
        policy = Policy(retry=RetryPolicy(max_attempts=9))
        asked = Task(0, task("a", policy=policy), attempt=8, failures=1, interruptions=6)
        assert delay(asked, BROKEN, safe=None, retry_after=None, chance=1.0) == 2
