"""Trees by chance: nested, with parents that run, both kinds of dependencies, seldom unsound."""

from collections.abc import Sequence
from random import Random

from aipartnerupflow.domain.specs import EMPTY_OBJECT, Dependency, TaskSpec
from aipartnerupflow.testing.trees import WORK, raw
from tests.domain.naive import Shape

ROOT = "t0"
IDS = [f"t{n}" for n in range(12)]


def random_task(chance: Random, id: str, others: Sequence[TaskSpec]) -> TaskSpec:
    """A task below one of ``others`` that depends on some of them, seldom on any task at all."""
    shape = Shape(others, set())
    parent = chance.choice(others).id if others else None
    above = {parent, *shape.above(parent)} if parent else set()
    known = [id for id in shape.specs if id not in above] if chance.random() < 0.97 else IDS
    ons = chance.sample(known, min(len(known), chance.choice([0, 1, 1, 1, 2, 3])))
    return TaskSpec(
        id=id,
        name=id,
        key=f"key of {id}" if chance.random() < 0.3 else "",
        parent=parent,
        dependencies=tuple(Dependency(on, chance.random() < 0.6) for on in ons),
        params=raw({"executor_id": WORK}) if chance.random() < 0.3 else EMPTY_OBJECT,
        priority=chance.randint(0, 3),
    )


def random_tasks(chance: Random, size: int) -> list[TaskSpec]:
    """A tree. Who depends on whom follows one order, who stands where in the array another."""
    tasks: list[TaskSpec] = []
    for id in IDS[:size]:
        tasks.append(random_task(chance, id, tasks))
    below = tasks[1:]
    chance.shuffle(below)
    return [tasks[0], *below]
