"""Why a task does not run: for which task, group or slot it waits, in keys."""

import pytest

from aipartnerupflow.domain.decide import why
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.testing.given import Given, given
from aipartnerupflow.testing.trees import (
    completed,
    draft,
    failed,
    group_started,
    running,
    started,
    task,
)


def why(stream: Given, id: str) -> dict[str, str]:
    return dict(why(stream.tree, id))


def test_what_runs_or_has_ended_waits_for_nothing() -> None:
    stream = given(running("r", "a", "b"), started("a"), group_started("r"), started("b"))
    stream = stream.and_then(failed("b"))
    assert [why(stream, id) for id in ("r", "a", "b")] == [{}, {}, {}]


def test_a_draft_waits_to_be_submitted() -> None:
    assert why(given(draft("r", "a")), "a") == {"reason": "draft"}


def test_a_ready_task_waits_for_a_slot() -> None:
    assert why(given(running("r", "a")), "a") == {"reason": "slot"}


@pytest.mark.parametrize("arrow", ["x", "x?"])
def test_the_first_dependency_that_is_missing_is_named_by_key(arrow: str) -> None:
    stream = given(running("r", "y", task("x", key="flour"), f"a <- y {arrow}"), started("y"))
    assert why(stream, "a") == {"reason": "dependency", "on": "y"}
    later = stream.and_then(completed("y"), started("x"))
    assert why(later, "a") == {"reason": "dependency", "on": "flour"}


def test_an_optional_dependency_that_has_ended_is_not_waited_for() -> None:
    stream = given(running("r", "x", "y <- x", "z", "a <- x? y? z"), started("x"), failed("x"))
    assert why(stream, "a") == {"reason": "dependency", "on": "z"}


def test_what_is_blocked_names_its_blocker() -> None:
    stream = given(running("r", task("x", key="flour"), "a <- x", "b <- a"), started("x"))
    stream = stream.and_then(failed("x"))
    assert why(stream, "a") == {"reason": "blocked", "on": "flour"}
    assert why(stream, "b") == {"reason": "blocked", "on": "a"}


def test_the_group_is_named_whose_dependency_it_is() -> None:
    stream = given(running("r", "x", "y", task("g <- x", key="outer"), "g/h <- y", "h/a"))
    assert why(stream, "a") == {"reason": "group", "on": "h"}
    assert why(stream, "h") == {"reason": "dependency", "on": "y"}
    later = stream.and_then(started("y"), completed("y"))
    assert why(later, "a") == {"reason": "group", "on": "outer"}
    assert why(later, "h") == {"reason": "group", "on": "outer"}
    assert why(later, "g") == {"reason": "dependency", "on": "x"}


def test_a_blocked_group_is_named_by_those_below_it() -> None:
    stream = given(running("r", "x", "g <- x", "g/a"), started("x"), failed("x"))
    assert why(stream, "a") == {"reason": "blocked", "on": "g"}
    assert why(stream, "g") == {"reason": "blocked", "on": "x"}


def test_a_group_that_may_start_waits_for_its_children_not_for_a_slot() -> None:
    stream = given(running("r", "x", "g", "g/a <- x"), started("x"), group_started("r"))
    assert why(stream, "g") == {"reason": "children"}


def test_what_a_group_says_of_its_own_children_is_not_waited_for() -> None:
    stream = given(running("r", "g <- a", "g/a", "g/b"))
    assert [why(stream, id) for id in ("g", "a", "b")] == [
        {"reason": "children"}, {"reason": "slot"}, {"reason": "slot"},
    ]  # fmt: skip


def test_an_unknown_task_is_told() -> None:
    with pytest.raises(InvalidInput, match="no task 'x'"):
        why(given(running("r", "a")), "x")
