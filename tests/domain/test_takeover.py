"""Attempts that outlive their engine: found again they go on, else they were interrupted."""

from aipartnerupflow.domain.decide import (
    cancel_task,
    claim,
    complete,
    fail,
    lost,
    progress,
    release,
    save,
    stopped,
    take_over,
)
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from aipartnerupflow.domain.specs import ErrorInfo, Policy
from aipartnerupflow.testing.given import Given, given
from aipartnerupflow.testing.trees import (
    cancel_requested,
    cancelled,
    claimed,
    completed,
    failed,
    group_started,
    interrupted,
    progressed,
    raw,
    running,
    saved,
    started,
    taken_over,
    task,
)
from tests.domain.times import the

A, B = 1, 2
"""The numbers of these tasks."""
STREAM = given(
    running("r", task("a", policy=Policy(on_interrupt="fail")), "b", "c"),
    started("a"), group_started("r"), started("b"), started("c"), completed("c"),
)  # fmt: skip
CLAIMED = STREAM.and_then(claimed("engine-2", 2))
TAKEN = CLAIMED.and_then(
    taken_over("a", engine="engine-2", epoch=2), taken_over("b", engine="engine-2", epoch=2)
)


def orphans(stream: Given) -> list[str]:
    return [stream.tree.at_n(n).spec.id for n in stream.tree.orphans]


def test_a_claim_leaves_those_that_may_be_found_again() -> None:
    after = STREAM.when(claim, "engine-2", keep={A, B}).then(claimed("engine-2", 2))
    assert orphans(after) == ["a", "b"]
    assert the("b", after) == the("b", STREAM)


def test_and_interrupts_the_others() -> None:
    after = STREAM.when(claim, "engine-2", keep={A}).then(claimed("engine-2", 2), interrupted("b"))
    assert orphans(after) == ["a"]


def test_what_is_found_goes_on_as_the_same_attempt() -> None:
    after = CLAIMED.when(take_over, "a", 1).then(taken_over("a", engine="engine-2", epoch=2))
    assert orphans(after) == ["b"]
    assert (the("a", after).attempt, the("a", after).interruptions) == (1, 0)
    after.when(progress, "a", 1, 0.5, "").then(progressed("a", 0.5))
    after.when(save, "a", 1, raw(7)).then(saved("a", 7))
    after.when(complete, "a", 1, result=raw(1)).then(completed("a", 1))


def test_what_is_not_found_was_interrupted_by_its_policy() -> None:
    after = CLAIMED.when(lost, "b", 1).then(interrupted("b"))
    text = "its engine stopped while it ran (engine_lost)"
    last = after.when(lost, "a", 1).then(failed("a", "interrupted", text))
    assert orphans(last) == []


def test_what_is_over_is_not_lost_any_more() -> None:
    CLAIMED.when(lost, "c", 1).then_nothing()
    CLAIMED.when(lost, "b", 2).then_nothing()
    CLAIMED.and_then(interrupted("b")).when(lost, "b", 1).then_nothing()
    CLAIMED.and_then(interrupted("b"), started("b", 2)).when(lost, "b", 1).then_nothing()
    CLAIMED.when(lost, "nobody", 1).refuses(InvalidInput, "no task 'nobody'")


def test_only_what_ran_under_a_former_engine_is_taken_over() -> None:
    STREAM.when(take_over, "a", 1).refuses(InvalidTransition, "task a: attempt 1 is over")
    TAKEN.when(take_over, "a", 1).refuses(InvalidTransition, "attempt 1 is over")
    for attempt in (0, 2):
        CLAIMED.when(take_over, "a", attempt).refuses(InvalidTransition, f"attempt {attempt} is")
    CLAIMED.when(take_over, "c", 1).refuses(InvalidTransition, "task c: attempt 1 is over")
    again = CLAIMED.and_then(interrupted("b"), started("b", 2))
    again.when(take_over, "b", 2).refuses(InvalidTransition, "task b: attempt 2 is over")
    CLAIMED.when(take_over, "nobody", 1).refuses(InvalidInput)


def test_the_engine_after_next_has_to_look_again() -> None:
    after = TAKEN.when(claim, "engine-3", keep={A, B}).then(claimed("engine-3", 3))
    assert orphans(after) == ["a", "b"]
    after.when(take_over, "b", 1).then(taken_over("b", engine="engine-3", epoch=3))


def test_an_orphan_can_be_asked_to_end() -> None:
    asked = CLAIMED.when(cancel_task, "b").then(cancel_requested("b"))
    asked.when(lost, "b", 1).then(cancelled("b", 1, stopped=False))
    found = asked.and_then(taken_over("b", engine="engine-2", epoch=2))
    after = found.when(stopped, "b", 1, ended=True).then(cancelled("b", 1))
    assert orphans(after) == ["a"]


def test_its_end_is_its_end_found_or_not() -> None:
    after = CLAIMED.when(complete, "b", 1, result=raw(1)).then(completed("b", 1))
    assert orphans(after) == ["a"]
    after = CLAIMED.when(fail, "a", 1, ErrorInfo("Broken", "")).then(failed("a"))
    assert orphans(after) == ["b"]


def test_what_outlives_any_engine_is_not_interrupted_by_a_shutdown() -> None:
    decided = STREAM.when(release, keep={A})
    assert [fact.topic for fact in decided.facts] == ["task.interrupted", "tree.released"]
    assert list(decided.tree.running) == [A]
