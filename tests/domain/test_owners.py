"""A tree is driven by one engine at a time; what ran under a former one runs again."""

import pytest

from aipartnerupflow.domain.decide import claim, complete, release, save
from aipartnerupflow.domain.errors import InvalidTransition
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.testing.given import given, start
from aipartnerupflow.testing.trees import (
    claimed,
    completed,
    draft,
    group_started,
    interrupted,
    raw,
    refused,
    released,
    running,
    saved,
    settled,
    started,
    submitted,
)

BUSY = given(
    running("r", "a", "b", "c"), started("a"), group_started("r"), started("b"), completed("b"),
    started("c"),
)  # fmt: skip


def test_the_first_claim_interrupts_nothing() -> None:
    after = given(submitted("r", "a")).when(claim, "engine-1").then(claimed("engine-1", 1))
    assert (after.tree.engine, after.tree.epoch, after.tree.released) == ("engine-1", 1, False)


def test_a_tree_that_nobody_has_claimed_is_free() -> None:
    tree = given(submitted("r", "a")).tree
    assert (tree.engine, tree.epoch, tree.released) == ("", 0, True)


def test_a_takeover_interrupts_what_ran_and_nothing_else() -> None:
    after = BUSY.when(claim, "engine-2").then(
        claimed("engine-2", 2), interrupted("a", "engine_lost"), interrupted("c", "engine_lost")
    )
    assert {t.spec.id: t.status for t in after.tree.live()} == {
        "r": "in_progress", "a": "pending", "b": "completed", "c": "pending",
    }  # fmt: skip
    assert not after.tree.running


def test_the_same_engine_may_claim_again_in_a_new_epoch() -> None:
    BUSY.when(claim, "engine-1").then(claimed("engine-1", 2), interrupted("a"), interrupted("c"))


def test_an_interrupted_task_runs_again_as_its_next_attempt() -> None:
    stream = BUSY.and_then(claimed("engine-2", 2), interrupted("a"), interrupted("c"))
    stream.when(start, "a").then(started("a", 2))
    again = stream.and_then(started("a", 2), claimed("engine-3", 3), interrupted("a", attempt=2))
    again.when(start, "a").then(started("a", 3))
    task = again.tree.task("a")
    assert task is not None
    assert (task.attempt, task.generation, task.interruptions) == (2, 1, 2)


def test_the_lost_engine_is_not_listened_to() -> None:
    stream = BUSY.and_then(claimed("engine-2", 2), interrupted("a"), interrupted("c"))
    stream.when(complete, "a", 1).then(refused("a", "former_attempt"))
    stream.and_then(started("a", 2)).when(save, "a", 1, raw(0)).refuses(InvalidTransition)


def test_a_checkpoint_outlives_the_engine() -> None:
    stream = BUSY.and_then(saved("a", {"page": 3}))
    tree = stream.when(claim, "engine-2").tree
    task = tree.task("a")
    assert task is not None
    assert task.checkpoint == raw({"page": 3})


def test_a_release_interrupts_in_good_order() -> None:
    after = BUSY.when(release).then(
        interrupted("a", "shutdown"), interrupted("c", "shutdown"), released("engine-1")
    )
    assert after.tree.released


def test_what_is_free_is_not_released_again() -> None:
    given(submitted("r", "a")).when(release).then_nothing()
    given(running("r", "a"), released()).when(release).then_nothing()


def test_a_settled_tree_needs_no_release() -> None:
    stream = given(running("r"), started("r"), completed("r"), settled("completed"))
    stream.when(release).then_nothing()


def test_after_a_release_the_next_claim_has_nothing_to_interrupt() -> None:
    stream = given(running("r", "a"), started("a"), group_started("r"))
    stream = stream.and_then(interrupted("a", "shutdown"), released())
    stream.when(claim, "engine-2").then(claimed("engine-2", 2))


@pytest.mark.parametrize(
    "stream", [draft("r"), [*running("r"), started("r"), completed("r"), settled("completed")]]
)
def test_only_a_submitted_unfinished_tree_is_claimed(stream: list[AnyEvent]) -> None:
    given(stream).when(claim, "engine-1").refuses(InvalidTransition, "tree r has nothing to run")
