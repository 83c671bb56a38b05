"""Places under concurrency keys, counted over all trees of a store."""

from collections.abc import Iterable

import pytest

from aipartnerupflow.domain.events import AnyEvent, Recorded
from aipartnerupflow.domain.specs import Concurrency
from aipartnerupflow.testing.slots import slot_faults
from aipartnerupflow.testing.trees import (
    attempt_failed,
    cancelled,
    claimed,
    completed,
    failed,
    interrupted,
    progressed,
    started,
    waiting,
)

ONE, TWO = Concurrency("k", 1), Concurrency("k", 2)
NOON = "2026-01-01T12:00:00.000000Z"


def store(*facts: tuple[str, AnyEvent]) -> Iterable[Recorded]:
    """Facts of several trees by position."""
    versions: dict[str, int] = {}
    for position, (tree, fact) in enumerate(facts, start=1):
        versions[tree] = versions.get(tree, 0) + 1
        yield Recorded(tree, versions[tree], fact, position)


def held(slot: Concurrency = ONE) -> AnyEvent:
    return started("a", slot=slot)


def test_as_many_as_there_are_places_may_run() -> None:
    assert slot_faults(store(("r", held(TWO)), ("s", held(TWO)))) == []
    assert slot_faults(store(("r", held()), ("s", started("a", slot=Concurrency("other"))))) == []
    assert slot_faults(store(("r", started("a")), ("s", started("a")))) == []


def test_one_more_is_found_out() -> None:
    assert slot_faults(store(("r", held()), ("s", held()))) == [
        "s v1: a is one of 2 under 'k', which has room for 1"
    ]
    (fault,) = slot_faults(store(("r", held(TWO)), ("s", held(TWO)), ("t", held(TWO))))
    assert fault.startswith("t v1: a is one of 3")


def test_two_tasks_of_one_tree_are_two() -> None:
    assert slot_faults(store(("r", held()), ("r", started("b", slot=ONE))))


def test_the_limit_is_that_of_the_task_that_starts() -> None:
    assert slot_faults(store(("r", held(ONE)), ("s", held(TWO)))) == []
    assert slot_faults(store(("r", held(TWO)), ("s", held(ONE))))


@pytest.mark.parametrize(
    "end",
    [completed("a"), failed("a"), cancelled("a", 1), interrupted("a"), attempt_failed("a", NOON)],
    ids=lambda end: end.topic,
)
def test_a_place_is_free_again_with_the_end_of_the_attempt(end: AnyEvent) -> None:
    assert slot_faults(store(("r", held()), ("r", end), ("s", held()))) == []
    assert slot_faults(store(("r", held()), ("s", held()), ("r", end)))
    assert slot_faults(store(("r", held()), ("r", end), ("r", end), ("s", held()), ("t", held())))


@pytest.mark.parametrize(
    "other", [progressed("a", 0.5), claimed("engine-2", 2), waiting("a", NOON), completed("b")],
    ids=lambda other: other.topic,
)  # fmt: skip
def test_nothing_else_frees_it(other: AnyEvent) -> None:
    assert slot_faults(store(("r", held()), ("r", other), ("s", held())))


def test_the_end_of_a_task_of_that_name_in_another_tree_frees_nothing() -> None:
    assert slot_faults(store(("r", held()), ("s", completed("a")), ("t", held())))
