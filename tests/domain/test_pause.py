"""A paused tree starts nothing new; what runs goes on, and groups end with their children."""

import pytest

from aipartnerupflow.domain.decide import claim, complete, fail, pause, unpause
from aipartnerupflow.domain.errors import InvalidTransition
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.evolve import evolve
from aipartnerupflow.domain.specs import ErrorInfo, Policy, RetryPolicy
from aipartnerupflow.testing.given import given, start
from aipartnerupflow.testing.trees import (
    attempt_failed,
    claimed,
    completed,
    draft,
    failed,
    group_started,
    interrupted,
    paused,
    raw,
    reopened,
    running,
    settled,
    started,
    submitted,
    task,
    tree_reopened,
    unpaused,
)
from tests.domain.times import at, dated, ready, stamp, statuses, wait

BROKEN = ErrorInfo("Broken", "")
NULL = raw(None)
BUSY = given(running("r", "a", "b", "c <- a"), started("a"), group_started("r"))
PAUSED = BUSY.and_then(paused())
SETTLED = [*running("r"), started("r"), completed("r"), settled("completed")]


def test_it_is_one_fact_with_its_reason() -> None:
    after = BUSY.when(pause, reason="lunch").then(paused("lunch"))
    assert after.tree.paused
    assert not after.when(unpause, reason="back").then(unpaused("back")).tree.paused


def test_twice_changes_nothing() -> None:
    PAUSED.when(pause).then_nothing()
    BUSY.when(unpause).then_nothing()
    PAUSED.and_then(unpaused()).when(unpause).then_nothing()


def test_it_can_be_paused_again() -> None:
    PAUSED.and_then(unpaused()).when(pause).then(paused())


def test_a_tree_that_nobody_drives_can_be_paused() -> None:
    given(submitted("r", "a")).when(pause).then(paused())


@pytest.mark.parametrize(
    ("stream", "words"),
    [(draft("r"), "tree r is a draft"), (SETTLED, r"tree r has settled \(completed\)")],
)
def test_only_what_could_run_is_paused(stream: list[AnyEvent], words: str) -> None:
    given(stream).when(pause).refuses(InvalidTransition, f"{words}.*cannot be paused")
    given(stream).when(unpause).refuses(InvalidTransition, f"{words}.*cannot be unpaused")


def test_nothing_starts_nor_begins_to_wait() -> None:
    PAUSED.when(start, "b").refuses(InvalidTransition, "b is not ready to start")
    PAUSED.when(start, "b", fault=BROKEN).refuses(InvalidTransition, "not ready")
    PAUSED.when(wait, "b", until=at(1)).refuses(InvalidTransition, "not ready")


def test_what_runs_goes_on_and_what_follows_waits() -> None:
    after = PAUSED.when(complete, "a", 1, result=NULL).then_in_all(completed("a"))
    assert ready(after) == ["b", "c"]
    after.when(start, "c").refuses(InvalidTransition, "not ready")
    after.and_then(unpaused()).when(start, "c").then(started("c"))


def test_a_retry_that_becomes_due_waits_for_the_end_of_the_pause() -> None:
    policy = Policy(retry=RetryPolicy(max_attempts=2))
    stream = given(running("r", task("a", policy=policy)), started("a"), paused())
    after = stream.when(fail, "a", 1, BROKEN).then(attempt_failed("a", at(1), "Broken"))
    after.when(start, "a", stamp=stamp(10)).refuses(InvalidTransition, "not ready")
    on = after.and_then(dated(20, unpaused()))
    on.when(start, "a", stamp=stamp(20)).then(started("a", 2))


def test_those_who_start_and_time_things_are_told_of_what_waited() -> None:
    policy = Policy(retry=RetryPolicy(max_attempts=2))
    stream = given(running("r", task("a", policy=policy), "b"), started("a"), paused())
    tree = stream.and_then(dated(0, attempt_failed("a", at(1)))).tree
    tree.fresh.clear()
    tree.armed.clear()
    evolve(tree, unpaused())
    assert [tree.at_n(n).spec.id for n in tree.armed] == ["a"]
    assert [tree.at_n(n).spec.id for n in tree.fresh] == ["b"]


def test_groups_end_and_the_tree_settles() -> None:
    stream = given(running("r", "g", "g/a"), started("a"), group_started("g"), group_started("r"))
    stream.and_then(paused()).when(complete, "a", 1, result=NULL).then_in_all(
        completed("a"), completed("g"), completed("r"), settled("completed")
    )


def test_it_outlives_its_engine() -> None:
    after = PAUSED.when(claim, "engine-2").then(claimed("engine-2", 2), interrupted("a"))
    assert after.tree.paused
    after.when(start, "a").refuses(InvalidTransition, "not ready")


def test_it_outlives_a_re_run() -> None:
    stream = PAUSED.and_then(failed("a"), reopened("a"), tree_reopened())
    assert stream.tree.paused
    assert statuses(stream)["a"] == "pending"
    stream.when(start, "a").refuses(InvalidTransition, "not ready")
    stream.and_then(unpaused()).when(start, "a").then(started("a", generation=2))
