"""A tree of thirty tasks in which everything occurs once, and what its client does with it."""

import asyncio
from typing import Any

from msgspec import Raw, json

from aipartnerupflow.domain.specs import (
    EMPTY_OBJECT,
    NO_POLICY,
    Concurrency,
    Dependency,
    Policy,
    RetryPolicy,
    TaskSpec,
)
from aipartnerupflow.engine.ports import SIGNAL, WAIT
from tests.support.simulation.clients import run_tree
from tests.support.simulation.simulation import settle
from tests.support.simulation.trees import Script, TreePlan
from tests.support.simulation.world import World


def plan() -> TreePlan:
    """Three stages of groups; then a task that fails and one that it blocks, an optional clean-up,
    one that is tried again, a wait, a signal, a timeout and two under one concurrency key.
    """
    specs = [TaskSpec(id="r", name="root")]
    scripts: dict[str, Script] = {}
    before: list[str] = []
    for stage in range(3):
        group = f"g{stage}"
        specs.append(_task(group, "r", before, executor=None))
        before = [f"{group}.{n}" for n in range(5)]
        for n, id in enumerate(before):
            specs.append(_task(id, group, [before[n - 1]] if n % 2 else []))
            scripts[id] = Script(seconds=(n * 5 + stage * 3) % 7 / 2)
    return TreePlan("thirty", [*specs, *_rest()], scripts | _SCRIPTS)


_SCRIPTS = {
    "bad": Script("broken", seconds=0.5),
    "never": Script(),
    "cleanup": Script(saves=True, seconds=1.0),
    "again": Script("transient", times=1, seconds=0.3),
    "hangs": Script("hangs", times=1),
    "one": Script(seconds=2.0),
    "two": Script(seconds=2.0),
    "lasting": Script(seconds=4.0),
    "last": Script(tells=True, seconds=1.0),
}


def _rest() -> list[TaskSpec]:
    key = Policy(concurrency=Concurrency("thirty", 1))
    patient = Policy(timeout=2.0, idempotent=True, retry=RetryPolicy(initial_delay=0.5))
    return [
        _task("bad", "r", ["g0.4"]),
        _task("never", "r", ["bad"]),
        _task("cleanup", "r", [], ["bad", "never"]),
        _task("again", "r", ["g0.1"], executor="safe"),
        _task("hangs", "r", ["again"], policy=patient),
        _task("one", "r", [], policy=key),
        _task("two", "r", [], policy=key),
        _task("lasting", "r", ["g0.2"], executor="lasting"),
        _task("pause", "r", ["again"], executor=WAIT, inputs={"seconds": 3.0}),
        _task("word", "r", ["pause"], executor=SIGNAL),
        _task("last", "r", ["word", "cleanup"]),
    ]


def _task(
    id: str, parent: str, needs: list[str], optional: tuple[str, ...] | list[str] = (), *,
    executor: str | None = "work", policy: Policy = NO_POLICY, inputs: dict[str, Any] | None = None,
) -> TaskSpec:  # fmt: skip
    return TaskSpec(
        id=id,
        name=id,
        parent=parent,
        dependencies=(*map(Dependency, needs), *(Dependency(on, False) for on in optional)),
        params=Raw(json.encode({"executor_id": executor})) if executor else EMPTY_OBJECT,
        inputs=Raw(json.encode(inputs)) if inputs else EMPTY_OBJECT,
        policy=policy,
    )


async def whole_life(world: World) -> None:
    """One engine, one client, until the tree has settled."""
    world.boot()
    client = asyncio.ensure_future(run_tree(world, world.plans[0]))
    await settle(world)
    client.cancel()
    await asyncio.wait({client})
