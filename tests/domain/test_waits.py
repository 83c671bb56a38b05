"""Tasks that wait for a time: started, without a slot, and over when their time is up."""

import pytest

from aipartnerupflow.domain.decide import claim, complete, fail, progress, release, save, signal
from aipartnerupflow.domain.errors import InvalidTransition
from aipartnerupflow.domain.specs import ErrorInfo, Policy, RetryPolicy
from aipartnerupflow.domain.tree import Waiting
from aipartnerupflow.testing.given import given, start
from aipartnerupflow.testing.trees import (
    attempt_failed,
    claimed,
    completed,
    group_started,
    paused,
    raw,
    released,
    reopened,
    running,
    settled,
    started,
    task,
    tree_cancel_requested,
    tree_reopened,
    waiting,
)
from tests.domain.times import at, dated, ready, stamp, statuses, the, time_is_up, wait

READY = given(dated(0, running("r", "a(wait)", "b <- a")))
WAITS = READY.and_then(
    dated(5, started("a", called=False), waiting("a", at(65)), group_started("r"))
)
WAITED = completed("a", {"waited_until": at(65)})


class TestTheBeginning:
    def test_it_is_a_start_without_a_call_and_then_a_wait(self) -> None:
        READY.when(wait, "a", until=at(65)).then_in_all(
            started("a", called=False), waiting("a", at(65)), group_started("r")
        )

    def test_it_is_in_progress_without_a_slot(self) -> None:
        assert statuses(WAITS) == {"r": "in_progress", "a": "in_progress", "b": "pending"}
        assert not WAITS.tree.running
        assert [WAITS.tree.at_n(n).spec.id for n in WAITS.tree.waiting] == ["a"]

    def test_a_time_that_was_named_is_told_from_a_span(self) -> None:
        named = READY.when(wait, "a", until=at(65), absolute=True, stamp=stamp(5))
        after = named.then(started("a", called=False), waiting("a", at(65), absolute=True))
        assert the("a", after).phase == Waiting(1, at(65), None, True, at(5))
        assert the("a", WAITS).phase == Waiting(1, at(65), None, False, at(5))

    def test_whoever_arms_timers_is_told(self) -> None:
        assert WAITS.tree.armed == [1]

    def test_only_what_could_start_begins_to_wait(self) -> None:
        paused_tree = READY.and_then(paused())
        ending = given(running("r", "a(wait)", "b"), started("b"), tree_cancel_requested())
        for stream in (WAITS, paused_tree, ending):
            stream.when(wait, "a", until=at(65)).refuses(InvalidTransition, "a is not ready")
        WAITS.when(wait, "b", until=at(65)).refuses(InvalidTransition, "b is not ready")
        WAITS.when(start, "a").refuses(InvalidTransition, "not ready")

    def test_a_later_attempt_may_be_a_wait(self) -> None:
        policy = Policy(retry=RetryPolicy(max_attempts=2))
        stream = given(running("r", task("a(wait)", policy=policy)), started("a"))
        stream = stream.and_then(dated(1, attempt_failed("a", at(2))))
        after = stream.when(wait, "a", until=at(9), stamp=stamp(2)).then(
            started("a", 2, called=False), waiting("a", at(9), attempt=2)
        )
        assert not after.tree.delayed


class TestTheEnd:
    @pytest.mark.parametrize("seconds", [65, 65.000001, 10_000])
    def test_it_completes_with_the_time_until_which_it_waited(self, seconds: float) -> None:
        after = WAITS.when(time_is_up, "a", stamp=stamp(seconds)).then(WAITED)
        assert ready(after) == ["b"]
        assert not after.tree.waiting

    def test_not_a_moment_before(self) -> None:
        WAITS.when(time_is_up, "a", stamp=stamp(64.999999)).then_nothing()

    def test_a_timer_that_rang_counts_more_than_a_clock_that_was_set(self) -> None:
        WAITS.when(time_is_up, "a", stamp=stamp(64), due=at(65)).then(WAITED)
        WAITS.when(time_is_up, "a", stamp=stamp(70), due=at(64)).then_nothing()

    def test_it_ends_in_a_paused_tree_too(self) -> None:
        stream = WAITS.and_then(dated(6, paused()))
        stream.when(time_is_up, "a", stamp=stamp(65)).then(WAITED)

    def test_the_time_of_a_task_that_does_not_wait_is_never_up(self) -> None:
        ended = WAITS.and_then(dated(65, WAITED))
        runs = READY.and_then(started("a"))
        for stream in (READY, ended, runs):
            stream.when(time_is_up, "a", stamp=stamp(10_000)).then_nothing()

    def test_a_wait_without_an_end_goes_on(self) -> None:
        stream = READY.and_then(dated(5, started("a", called=False), waiting("a", signal="go")))
        stream.when(time_is_up, "a", stamp=stamp(1e7)).then_nothing()


class TestOtherEngines:
    def test_a_claim_does_not_interrupt_it(self) -> None:
        after = WAITS.when(claim, "engine-2").then(claimed("engine-2", 2))
        assert the("a", after) == the("a", WAITS)
        after.when(time_is_up, "a", stamp=stamp(65)).then(WAITED)

    def test_nor_does_a_release(self) -> None:
        after = WAITS.when(release).then(released())
        assert statuses(after)["a"] == "in_progress"


def test_no_executor_reports_on_it() -> None:
    WAITS.when(progress, "a", 1, 0.5, "").then_nothing()
    WAITS.when(save, "a", 1, raw(1)).refuses(InvalidTransition, "nothing was saved")
    WAITS.when(complete, "a", 1).refuses(InvalidTransition, "a has had no attempt 1 to report on")
    WAITS.when(fail, "a", 1, ErrorInfo("Broken", "")).refuses(InvalidTransition, "no attempt 1")


def test_a_re_run_waits_anew() -> None:
    ended = WAITS.and_then(
        dated(65, WAITED, started("b")), dated(70, completed("b"), completed("r")),
        dated(70, settled("completed")),
    )  # fmt: skip
    again = ended.and_then(dated(80, reopened("a"), reopened("b"), reopened("r"), tree_reopened()))
    again.when(wait, "a", until=at(140), stamp=stamp(80)).then(
        started("a", called=False, generation=2), waiting("a", at(140))
    )


def test_a_signal_reaches_nothing_that_waits_for_a_time() -> None:
    said = WAITS.when(signal, "1", "a", None, stamp=stamp(6), signals={0})
    assert [fact.topic for fact in said.facts] == ["signal.received"]
