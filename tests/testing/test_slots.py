"""Places under concurrency keys, counted over all trees of a store."""

from collections.abc import Iterable

import pytest
from msgspec import structs

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
EARLY, NOON, LATE = (f"2026-01-01T{hour:02}:00:00.000000Z" for hour in (6, 12, 18))


def store(*facts: tuple[str, AnyEvent]) -> Iterable[Recorded]:
    """Facts of several trees by position."""
    versions: dict[str, int] = {}
    for position, (tree, fact) in enumerate(facts, start=1):
        versions[tree] = versions.get(tree, 0) + 1
        yield Recorded(tree, versions[tree], fact, position)


def at(moment: str, fact: AnyEvent) -> AnyEvent:
    return structs.replace(fact, at=moment)


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
    assert slot_faults(store(("r", held()), ("s", at(NOON, held())), ("r", at(LATE, end))))
    assert slot_faults(store(("r", held()), ("r", end), ("r", end), ("s", held()), ("t", held())))


@pytest.mark.parametrize(
    "other", [progressed("a", 0.5), claimed("engine-2", 2), waiting("a", NOON), completed("b")],
    ids=lambda other: other.topic,
)  # fmt: skip
def test_nothing_else_frees_it(other: AnyEvent) -> None:
    assert slot_faults(store(("r", held()), ("r", other), ("s", held())))


END = completed("a")


class TestOneTransaction:
    """Ends and starts of one transaction count as one moment."""

    def test_a_place_that_is_freed_in_it_may_be_taken_in_it(self) -> None:
        assert (
            slot_faults(store(("r", held()), ("s", at(NOON, held())), ("r", at(NOON, END)))) == []
        )
        assert slot_faults(
            store(("r", held()), ("s", held()), ("s", progressed("a", 0.5)), ("t", END), ("r", END))
        ) == []  # fmt: skip

    def test_one_place_is_taken_once(self) -> None:
        crowded = slot_faults(store(("r", held()), ("s", held()), ("t", held()), ("r", END)))
        assert [fault[:4] for fault in crowded] == ["s v1", "t v1"]
        free = (("r", held(TWO)), ("q", held(TWO)), ("s", held(TWO)), ("t", held(TWO)))
        assert slot_faults(store(*free, ("r", END), ("q", END))) == []
        assert slot_faults(store(*free, ("r", END)))

    def test_a_tree_stands_in_it_once(self) -> None:
        later = (("t", END), ("s", progressed("a", 0.5)), ("r", END))
        assert slot_faults(store(("r", held()), ("s", held()), *later))
        idle = (("t", progressed("a", 0.5)), ("u", progressed("a", 0.5)))
        assert slot_faults(store(("r", held()), ("s", held()), *idle, ("r", END))) == []
        assert slot_faults(store(("r", held()), ("s", held()), *idle, idle[0], ("r", END)))

    def test_a_place_of_another_key_is_another(self) -> None:
        other = ("q", started("a", slot=Concurrency("other")))
        assert slot_faults(store(("r", held()), other, ("s", held()), ("q", END)))

    def test_what_ends_later_was_not_free(self) -> None:
        took = ("s", at(NOON, held()))
        assert slot_faults(store(("r", at(EARLY, held())), took, ("r", at(LATE, END))))
        assert slot_faults(store(("r", at(EARLY, held())), took, ("r", at(NOON, END)))) == []

    def test_a_tree_whose_time_stands_still_may_be_ahead(self) -> None:
        assert slot_faults(
            store(("r", at(LATE, held())), ("s", at(NOON, held())), ("r", at(LATE, END)))
        ) == []  # fmt: skip


def test_the_end_of_a_task_of_that_name_in_another_tree_frees_nothing() -> None:
    assert slot_faults(store(("r", held()), ("s", completed("a")), ("t", held())))
