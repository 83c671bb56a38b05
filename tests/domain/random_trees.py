"""Trees by chance: nested, with parents that run, both kinds of dependencies, seldom unsound."""

from collections.abc import Sequence
from random import Random
from typing import Any

from aipartnerupflow.domain.specs import (
    EMPTY_OBJECT,
    NO_POLICY,
    Concurrency,
    Dependency,
    Policy,
    RetryPolicy,
    TaskSpec,
)
from aipartnerupflow.testing.trees import WORK, raw
from tests.domain.naive import Shape

ROOT = "t0"
IDS = [f"t{n}" for n in range(12)]
SIGNAL = "go"
INPUTS: list[dict[str, Any]] = [
    {}, {"name": SIGNAL}, {"name": SIGNAL, "timeout": 60}, {"timeout": 1, "default": {"x": None}},
]  # fmt: skip
"""What tasks with an executor are given: now and then they wait for a signal."""


def random_task(chance: Random, id: str, others: Sequence[TaskSpec]) -> TaskSpec:
    """A task below one of ``others`` that depends on some of them, seldom on any task at all."""
    shape = Shape(others, set())
    parent = chance.choice(others).id if others else None
    above = {parent, *shape.above(parent)} if parent else set()
    known = [id for id in shape.specs if id not in above] if chance.random() < 0.97 else IDS
    ons = chance.sample(known, min(len(known), chance.choice([0, 1, 1, 1, 2, 3])))
    works = chance.random() < 0.4
    return TaskSpec(
        id=id,
        name=id,
        key=f"key of {id}" if chance.random() < 0.3 else "",
        parent=parent,
        dependencies=tuple(Dependency(on, chance.random() < 0.6) for on in ons),
        inputs=raw(chance.choice(INPUTS)) if works else EMPTY_OBJECT,
        params=raw({"executor_id": WORK}) if works else EMPTY_OBJECT,
        priority=chance.randint(0, 3),
        policy=random_policy(chance) if chance.random() < (0.7 if works else 0.03) else NO_POLICY,
    )


def random_policy(chance: Random) -> Policy:
    """Few attempts and short times, so that a course comes to the end of them."""
    retry = RetryPolicy(
        max_attempts=chance.randint(1, 4),
        backoff=chance.choice(["exponential", "fixed", "none"]),
        initial_delay=chance.choice([0, 1, 30]),
        jitter=chance.choice(["none", "full"]),
        retry_on=chance.choice([None, None, ("TransientError",)]),
        non_retryable=chance.choice([(), (), ("Broken",)]),
    )
    return Policy(
        retry=retry if chance.random() < 0.6 else None,
        deadline=chance.choice([None, None, 1, 60, 4_000]),
        on_interrupt=chance.choice(["rerun", "rerun", "rerun", "fail"]),
        max_interruptions=chance.choice([0, 1, 5]),
        concurrency=chance.choice([None, None, Concurrency("db", 2)]),
        idempotent=chance.random() < 0.3,
    )


def random_tasks(chance: Random, size: int) -> list[TaskSpec]:
    """A tree. Who depends on whom follows one order, who stands where in the array another."""
    tasks: list[TaskSpec] = []
    for id in IDS[:size]:
        tasks.append(random_task(chance, id, tasks))
    below = tasks[1:]
    chance.shuffle(below)
    return [tasks[0], *below]
