"""Those who ask engines for something, and hold them to their answers."""

import asyncio
from collections.abc import Callable
from random import Random

from aipartnerupflow.domain.errors import ApflowError, CommitUnknown, StoreError
from aipartnerupflow.domain.events import TreeSettled
from aipartnerupflow.engine.actor import Actor
from aipartnerupflow.engine.engine import Engine
from aipartnerupflow.engine.lifecycle import NewTree, create
from tests.support.simulation.nodes import Died, Node
from tests.support.simulation.trees import TreePlan
from tests.support.simulation.world import World


async def run_tree(world: World, plan: TreePlan) -> None:
    """Have a tree created: ask until it is there, but look before asking again."""
    chance = world.chance(f"client {plan.name}")
    await asyncio.sleep(chance.choice([0.0, chance.uniform(0.0, world.setting.horizon / 2)]))
    while not is_there(world, plan):
        node = await somebody(world, chance)
        await _create(world, plan, node)
        await asyncio.sleep(chance.uniform(0.05, 1.0))


def is_there(world: World, plan: TreePlan) -> bool:
    """Whether the tree is in the store, whatever its client was told."""
    return any(books.name == plan.name for books in world.ledger.books.values())


async def somebody(world: World, chance: Random) -> Node:
    """An engine that can be asked."""
    await until(lambda: bool(world.up()))
    return chance.choice(world.up())


async def until(holds: Callable[[], bool]) -> None:
    """Look every half second whether it holds."""
    while not holds():  # noqa: ASYNC110 - whoever waits so is outside, and nobody can call him
        await asyncio.sleep(0.5)


async def _create(world: World, plan: TreePlan, node: Node) -> None:
    new = NewTree(plan.specs, plan.name, None, plan.options)

    async def ask(engine: Engine) -> Actor:
        return await create(engine, new, world.new_id, strict=False)

    try:
        actor = await node.ask(ask)
    except Died:
        return
    except CommitUnknown:
        await until(lambda: is_there(world, plan) or not _is_tried(plan, node))
        return
    except StoreError as error:
        if is_there(world, plan):
            world.violated(f"creating {plan.name} was refused ({error!r}), and it is stored")
        return
    except ApflowError as error:
        world.violated(f"creating {plan.name} was refused: {error!r}")
        return
    if not is_there(world, plan):
        world.violated(f"creating {plan.name} was acknowledged, and it is not stored")
    node.process.spawn(_watch(world, actor))


def _is_tried(plan: TreePlan, node: Node) -> bool:
    """Whether an engine has not given up a tree that may not be stored yet."""
    if node.process.dead or node.engine is None:
        return False
    return any(actor.tree.name == plan.name for actor in node.engine.actors.values())


async def _watch(world: World, actor: Actor) -> None:
    """Wait for its end in its engine's process, and hold that against the log."""
    try:
        status = await actor.waiter()
    except ApflowError:
        return  # this engine does not go on with it
    ends = [
        entry.event.status
        for entry in world.ledger.of(actor.tree.id).entries
        if isinstance(entry.event, TreeSettled)
    ]
    if status not in ends[-1:]:
        world.violated(f"{actor.tree.id} was told to be {status}, stored is {ends}")
