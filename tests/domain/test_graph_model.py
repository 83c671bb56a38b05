"""Random heaps of tasks, sound or not, against the definition of what can be run."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from aipartnerupflow.domain.errors import Fault
from aipartnerupflow.domain.graph import check
from aipartnerupflow.domain.specs import Dependency, TaskSpec
from tests.domain.naive import Shape

Moment = tuple[str, str]


def heap(chance: Random, size: int) -> list[TaskSpec]:
    """Tasks that stand below and depend on whatever comes, now and then on what is not there."""
    ids = [f"t{n}" for n in range(size)]
    tasks = []
    for n, id in enumerate(ids):
        parent = chance.choice(ids[: n or 1])
        if chance.random() < 0.1:
            parent = chance.choice([*ids, "ghost"])
        ons = chance.sample([*ids, "ghost"], chance.choice([0, 0, 0, 1, 1, 2]))
        ons = [on for on in ons if on != "ghost" or chance.random() < 0.2]
        tasks.append(
            TaskSpec(
                id=id,
                name=id,
                parent=None if n == 0 or chance.random() < 0.03 else parent,
                dependencies=tuple(Dependency(on, chance.random() < 0.5) for on in ons),
            )
        )
    if chance.random() < 0.5:
        chance.shuffle(tasks)
    return tasks


def places(faults: list[Fault]) -> set[tuple[str, str]]:
    return {(f.code, "" if f.code in ("cycle", "parent_cycle") else f.where) for f in faults}


def knots(shape: Shape) -> set[frozenset[Moment]]:
    """The sets of moments each of which waits for every other."""
    waits = {
        moment: shape.waits_for(moment)
        for id in shape.specs
        for moment in (("start", id), ("end", id))
    }
    return {
        frozenset(other for other in waits[moment] if moment in waits[other])
        for moment in waits
        if moment in waits[moment]
    }


@given(st.integers(0, 2**32).map(Random), st.integers(1, 9))
def test_exactly_what_cannot_be_run_is_refused_for_all_its_faults(
    chance: Random, size: int
) -> None:
    tasks = heap(chance, size)
    parents = {spec.parent for spec in tasks}
    groups = {spec.id for spec in tasks if spec.id in parents and chance.random() < 0.6}
    shape = Shape(tasks, groups)
    faults = check(tasks, {n for n, spec in enumerate(tasks) if spec.id in groups})
    found, expected = places(faults), shape.faults()
    if ("parent_cycle", "") in expected:  # who waits for whom is not defined then
        assert found - {("cycle", "")} == expected - {("cycle", "")}
        return
    assert found == expected
    cycles = [fault for fault in faults if fault.code == "cycle"]
    assert len(cycles) == len(knots(shape))
    for fault in cycles:
        path = fault.message.removeprefix("the dependencies form a cycle: ").split(" -> ")
        assert path[0] == path[-1] == fault.where
        for one, other in pairwise(path):  # waits for its end, or for what that group waits for
            assert ("end", other) in shape.waits_for(("end", one)) or other in shape.above(one)


@given(st.integers(0, 2**32).map(Random), st.integers(1, 9))
def test_what_is_told_before_groups_are_known_is_wrong_in_any_case(
    chance: Random, size: int
) -> None:
    tasks = heap(chance, size)
    early = places(check(tasks, None))
    with_children = [n for n, spec in enumerate(tasks) if spec.id in {t.parent for t in tasks}]
    for _ in range(4):
        groups = {n for n in with_children if chance.random() < 0.5}
        assert early <= places(check(tasks, groups))
