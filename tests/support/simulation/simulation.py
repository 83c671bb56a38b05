"""One seed from beginning to end: accidents until the horizon, then healing, then judgement."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from random import Random

from msgspec import Struct, json

from aipartnerupflow.engine.ports import Command
from tests.support.faulty import Sometimes
from tests.support.simulation.accidents import all_accidents, supervise
from tests.support.simulation.checks import judge
from tests.support.simulation.clients import is_there, run_tree
from tests.support.simulation.commands import command_of, send
from tests.support.simulation.trees import Shape, name_times
from tests.support.simulation.twins import unlike
from tests.support.simulation.world import (
    World,
    live,
    random_faults,
    random_plans,
    random_setting,
)

SHAPE = Shape(waits=True, signals=True, policies=True, keys=True)
"""What the engine can do."""
PATIENCE = 600.0
"""Seconds of the world within which everything must have settled once it is healed."""


class Outcome(Struct):
    """What came of a seed."""

    seed: int
    violations: list[str]
    tasks: int = 0
    events: int = 0
    runs: int = 0
    crashes: int = 0
    faults: int = 0
    freezes: int = 0
    jumps: int = 0
    commands: int = 0
    digest: str = ""
    """Of all that was stored, when, and in which order; the same in every run of the seed."""
    seconds: float = 0.0


def simulate(seed: int, shape: Shape = SHAPE) -> Outcome:
    """Run one seed; the same one always comes to the same outcome but for its ``seconds``."""
    began = time.perf_counter()
    chance = Random(f"{seed}/setting")
    plans = random_plans(seed, chance, shape)
    setting = random_setting(chance)
    if not setting.jumps:
        name_times(Random(f"{seed}/times"), plans)
    world = World(seed, setting, plans, random_faults(chance))
    live(world, _main(world))
    judge(world)
    return outcome(world, time.perf_counter() - began)


async def _main(world: World) -> None:
    supervisor = asyncio.ensure_future(supervise(world))
    clients = [asyncio.ensure_future(run_tree(world, plan)) for plan in world.plans]
    accidents = [asyncio.ensure_future(accident) for accident in all_accidents(world)]
    twins = asyncio.ensure_future(_compare(world))
    await asyncio.sleep(world.setting.horizon)
    await _end(accidents)
    if not any(node.process.killed for node in world.nodes):
        world.nodes[-1].kill()  # no seed is spared
    _heal(world)
    await settle(world)
    await asyncio.sleep(5.0)  # what was asked for too late is answered too
    await _end([supervisor, twins, *clients])


async def _compare(world: World) -> None:
    """Hold living states against their logs, now and then."""
    chance = world.chance("twins")
    while True:
        await asyncio.sleep(chance.uniform(0.0, 8.0))
        for fault in unlike(world):
            world.violated(fault)


async def _end(tasks: Sequence["asyncio.Future[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _heal(world: World) -> None:
    if isinstance(world.schedule, Sometimes):
        world.schedule.heal()
    for node in world.nodes:
        node.connection.doom = None
        if node.process.stopped:
            node.process.go_on()


async def settle(world: World) -> None:
    """Wait until every tree is there and has settled, but not for ever.

    Somebody sees to it that nothing stays paused and that each signal comes at last.
    """
    until = world.loop.time() + PATIENCE
    chance = world.chance("settling")
    while not _settled(world):
        if world.loop.time() > until:
            world.violated(_open(world))
            return
        await asyncio.sleep(1.0)
        for command in list(_wanted(world)):
            await send(world, command, chance)


def _wanted(world: World) -> Iterator[Command]:
    """What keeps trees from going on."""
    for id, books in world.ledger.books.items():
        if books.settled or world.loop.time() < world.setting.horizon + 30.0:
            continue
        if books.paused:
            yield command_of(world, id, "unpause", {})
        for signal in books.awaited.values():
            yield command_of(world, id, "signal", {"name": signal})


def _settled(world: World) -> bool:
    there = all(is_there(world, plan) for plan in world.plans)
    return there and all(books.settled for books in world.ledger.books.values())


def _open(world: World) -> str:
    missing = [plan.name for plan in world.plans if not is_there(world, plan)]
    unsettled = [id for id, books in world.ledger.books.items() if not books.settled]
    return f"never came: {missing}; never settled: {unsettled}"


def told(world: World) -> list[str]:
    """All that went wrong."""
    return [*world.violations, *world.loop.complaints]


def outcome(world: World, seconds: float) -> Outcome:
    """What came of a world."""
    return Outcome(
        world.seed,
        told(world),
        tasks=sum(len(plan.specs) for plan in world.plans),
        events=sum(1 for _ in world.ledger.entries()),
        runs=len(world.outside.runs),
        crashes=sum(node.process.killed and not node.closed for node in world.nodes),
        faults=sum(sum(node.connection.happened.values()) for node in world.nodes),
        commands=world.acknowledged,
        jumps=len(world.jumps),
        freezes=sum(node.process.was_stopped for node in world.nodes),
        digest=_digest(world),
        seconds=seconds,
    )


def _digest(world: World) -> str:
    entries = sorted(world.ledger.entries(), key=lambda entry: entry.recorded.position)
    told = [
        (one.recorded.tree, one.recorded.version, one.event.topic, one.event, one.when)
        for one in entries
    ]
    return sha256(json.encode(told)).hexdigest()
