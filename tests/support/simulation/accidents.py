"""What happens to engines until the horizon: crashes, freezes, jumps of the clock, shutdowns."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import ApflowError
from aipartnerupflow.engine.lifecycle import resume
from tests.support.simulation.commands import commands
from tests.support.simulation.nodes import LEASE, Died, Node
from tests.support.simulation.world import DAY, HOUR, World

TOPICS = [
    kind.topic
    for kind in (
        e.AttemptFailed, e.TaskWaiting, e.TaskCancelRequested, e.TreeCancelRequested,
        e.TreeReopened, e.TreeClaimed, e.TreePaused, e.TreeUnpaused, e.SignalReceived,
        e.AttemptTakenOver, e.TaskSaved, e.TreeSettled, e.TreeReleased,
    )
]  # fmt: skip
"""Of an append with one of these an engine may die."""


def all_accidents(world: World) -> list[Coroutine[Any, Any, None]]:
    """All of them, to be run side by side."""
    return [crashes(world), freezes(world), jumps(world), shutdowns(world), commands(world)]


async def supervise(world: World) -> None:
    """See to it that the wanted number of engines lives; a new one takes its time to come."""
    chance = world.chance("supervisor")
    while True:
        for _ in range(world.setting.nodes - sum(not node.process.dead for node in world.nodes)):
            world.boot()
        await asyncio.sleep(chance.uniform(0.05, 1.5))


async def crashes(world: World) -> None:
    """Engines die: at once, or of an append to come, maybe one of their own recovery."""
    chance = world.chance("crashes")
    for n in range(world.setting.crashes):
        if n or chance.random() < 0.7:
            await asyncio.sleep(chance.uniform(0.0, world.setting.horizon / world.setting.crashes))
        living = [node for node in world.nodes if not node.process.dead]
        if not living:
            continue
        node = chance.choice(living)
        if chance.random() < 0.2:
            node.kill()
            continue
        if chance.random() < 0.4:
            node.connection.doom = (chance.choice(TOPICS), chance.choice(["before", "after"]))
            continue
        _doom(node, chance.randint(1, 12), chance.choice(["before", "after"]))
        if chance.random() < 0.3:
            await asyncio.wait({node.death})
            await _doom_next(world, chance.randint(1, 3), chance.choice(["before", "after"]))


def _doom(node: Node, appends: int, when: str) -> None:
    node.connection.doom = (node.connection.appends + appends, when)


async def _doom_next(world: World, appends: int, when: str) -> None:
    """The engine that comes next dies while it takes up what was left."""
    _doom(await world.next_node(), appends, when)


async def freezes(world: World) -> None:
    """Engines stand still, some for longer than their lease: others take their trees."""
    chance = world.chance("freezes")
    for _ in range(world.setting.freezes):
        await asyncio.sleep(chance.uniform(0.0, world.setting.horizon / 2))
        up = world.up()
        if not up:
            continue
        node = chance.choice(up)
        node.process.stop()
        await asyncio.sleep(chance.choice([0.5, 3.0, LEASE + 5.0]))
        if not world.setting.leases and chance.random() < 0.3:
            await _by_force(world, node)
        node.process.go_on()


async def _by_force(world: World, frozen: Node) -> None:
    """Somebody does not wait for an engine that is there, but does nothing."""
    others = [node for node in world.up() if node.ready]
    if others and not frozen.process.dead:
        ids = [id for id, books in world.ledger.books.items() if books.engine == frozen.name]
        world.forced.update(ids)
        with suppress(Died, ApflowError):
            await others[0].ask(lambda engine: resume(engine, ids, take_over=True))


async def jumps(world: World) -> None:
    """Somebody sets the clock, forward or back."""
    chance = world.chance("jumps")
    for _ in range(world.setting.jumps):
        await asyncio.sleep(chance.uniform(0.0, world.setting.horizon / 2))
        world.jump(chance.choice([-DAY, -HOUR, -0.3, 0.7, HOUR, DAY]))


async def shutdowns(world: World) -> None:
    """Engines end in good order."""
    chance = world.chance("shutdowns")
    for _ in range(world.setting.closes):
        await asyncio.sleep(chance.uniform(0.0, world.setting.horizon))
        up = [node for node in world.up() if node.ready]
        if not up:
            continue
        node = chance.choice(up)
        try:
            await node.close()
        except Died:
            pass
        finally:
            node.kill()
