"""An attempt that ended with its engine: the task is tried again, unless its policy says no."""

import pytest

from aipartnerupflow.domain.decide import claim, lost, release
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import MAX_INTERRUPTIONS, NO_POLICY, Policy
from aipartnerupflow.testing.given import Given, given, start
from aipartnerupflow.testing.trees import (
    attempt_failed,
    claimed,
    failed,
    group_started,
    interrupted,
    raw,
    released,
    reopened,
    running,
    saved,
    settled,
    started,
    task,
    tree_reopened,
)
from tests.domain.times import at, blocked, dated, ready, the

FAIL = Policy(on_interrupt="fail")


def after(policy: Policy, interruptions: int) -> Given:
    """A task that runs again after so many interruptions."""
    facts: list[AnyEvent] = [started("a"), group_started("r")]
    for n in range(1, interruptions + 1):
        facts += [claimed("engine-2", n + 1), interrupted("a", attempt=n), started("a", n + 1)]
    return given(running("r", task("a", policy=policy), "b <- a"), facts)


def too_often(times: int) -> AnyEvent:
    text = f"its engine stopped, or let go of it, {times} times while it ran"
    return failed("a", "interrupted_too_often", text, times)


class TestRerun:
    def test_it_is_what_happens_where_nothing_is_said(self) -> None:
        once = after(NO_POLICY, 0).when(claim, "engine-2")
        again = once.then(claimed("engine-2", 2), interrupted("a"))
        assert the("a", again).status == "pending"
        again.when(start, "a").then(started("a", 2))

    def test_the_fifth_interruption_is_the_last_that_is_borne(self) -> None:
        assert MAX_INTERRUPTIONS == 5
        after(NO_POLICY, 4).when(claim, "e").then(claimed("e", 6), interrupted("a", attempt=5))
        after(NO_POLICY, 5).when(claim, "e").then(claimed("e", 7), too_often(6))

    @pytest.mark.parametrize("most", [0, 1, 2, 7])
    def test_unless_a_task_says_how_many(self, most: int) -> None:
        policy = Policy(max_interruptions=most)
        if most:
            after(policy, most - 1).when(lost, "a", most).then(interrupted("a", attempt=most))
        stream = after(policy, most).when(lost, "a", most + 1).then(too_often(most + 1))
        assert blocked(stream) == {"b": "a"}

    def test_shutdowns_count_like_losses(self) -> None:
        stream = after(Policy(max_interruptions=1), 1)
        stream.when(release).then(too_often(2), released("engine-2"))

    def test_failures_do_not(self) -> None:
        stream = given(running("r", task("a", policy=Policy(max_interruptions=1))), started("a"))
        stream = stream.and_then(dated(0, attempt_failed("a", at(0)), started("a", 2)))
        stream.when(lost, "a", 2).then(interrupted("a", attempt=2))

    def test_a_re_run_begins_to_count_anew(self) -> None:
        stream = after(Policy(max_interruptions=1), 1).and_then(
            too_often(2), failed("r"), settled("failed"),
            reopened("a"), reopened("r"), tree_reopened(), started("a", generation=2),
        )  # fmt: skip
        stream.when(lost, "a", 1).then(interrupted("a"))


class TestFail:
    def test_the_task_fails_in_place_of_the_interruption(self) -> None:
        text = "its engine stopped while it ran ({})"
        stream = after(FAIL, 0)
        stream.when(claim, "engine-2").then(
            claimed("engine-2", 2), failed("a", "interrupted", text.format("engine_lost"))
        )
        stream.when(release).then(failed("a", "interrupted", text.format("shutdown")), released())
        stream.when(lost, "a", 1).then(failed("a", "interrupted", text.format("engine_lost")))

    def test_what_did_not_run_is_not_interrupted(self) -> None:
        stream = given(running("r", task("a", policy=FAIL)))
        stream.when(claim, "engine-2").then(claimed("engine-2", 2))


def test_what_was_interrupted_is_ready_at_once_with_its_checkpoint() -> None:
    stream = after(NO_POLICY, 0).and_then(saved("a", 7), interrupted("a"))
    assert ready(stream) == ["a"]
    assert the("a", stream).checkpoint == raw(7)
    assert the("a", stream).interruptions == 1
