"""Which ready task gets the next free slot."""

from typing import Any

from aipartnerupflow.engine.dispatch import Dispatch, Key

POOL: Key = ("pool", "loop")


def served(dispatch: Dispatch, keys: tuple[Key, ...] = (POOL,)) -> list[int]:
    return [entry[3] for entry in dispatch.ready() if dispatch.take(entry, keys)]


def offered(size: int, *priorities: int) -> Dispatch:
    dispatch = Dispatch({"loop": size})
    owner: Any = None
    for n, priority in enumerate(priorities):
        dispatch.offer(owner, n, priority)
    return dispatch


def test_lower_numbers_go_first_and_age_decides_between_equals() -> None:
    assert served(offered(9, 2, 0, 3, 0, 1)) == [1, 3, 4, 0, 2]


def test_what_finds_no_slot_waits_for_the_next_free_one() -> None:
    dispatch = offered(2, 1, 1, 1)
    assert served(dispatch) == [0, 1]
    assert served(dispatch) == []
    dispatch.free((POOL,))
    assert served(dispatch) == [2]


def test_a_parked_task_is_not_overtaken_by_a_later_one_of_less_urgency() -> None:
    dispatch = offered(1, 1, 0, 1)
    assert served(dispatch) == [1]
    owner: Any = None
    dispatch.offer(owner, 9, 2)
    dispatch.free((POOL,))
    assert served(dispatch) == [0]


def test_a_later_urgent_task_overtakes_parked_ones() -> None:
    dispatch = offered(1, 1, 1)
    assert served(dispatch) == [0]
    owner: Any = None
    dispatch.offer(owner, 9, 0)
    dispatch.free((POOL,))
    assert served(dispatch) == [9]


def test_a_limit_holds_back_only_those_it_is_for() -> None:
    dispatch = offered(9, 0, 0, 0, 0)
    dispatch.limit(("executor", "rare"), 1)
    rare, common = (POOL, ("executor", "rare")), (POOL,)
    started = [
        entry[3]
        for entry in dispatch.ready()
        if dispatch.take(entry, rare if entry[3] < 3 else common)
    ]
    assert started == [0, 3]
    dispatch.free(rare)
    assert served(dispatch, rare) == [1]


def test_a_slot_freed_for_one_who_waits_elsewhere_goes_to_the_next() -> None:
    dispatch = offered(1, 0, 0, 0)
    dispatch.limit(("executor", "rare"), 0)
    assert [e[3] for e in dispatch.ready() if dispatch.take(e, (POOL,))] == [0]
    dispatch.free((POOL,))
    started = [
        e[3]
        for e in dispatch.ready()
        if dispatch.take(e, (POOL, ("executor", "rare")) if e[3] == 1 else (POOL,))
    ]
    assert started == [2]


def test_what_has_been_given_back_leaves_nothing_behind() -> None:
    dispatch = offered(2, 0, 0, 0)
    tree: Key = ("tree", "r")
    dispatch.limit(tree, 1)
    for n in range(3):
        assert served(dispatch, (POOL, tree)) == [n]
        dispatch.unlimit(tree)
        assert tree in dispatch._limits
        dispatch.free((POOL, tree))
    assert served(dispatch) == []
    dispatch.unlimit(tree)
    assert (dispatch._used, dispatch._parked, dispatch._limits) == ({}, {}, {POOL: 2})
