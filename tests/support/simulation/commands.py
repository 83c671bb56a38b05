"""Commands for trees that run, and whether their answers agree with the log."""

import asyncio
from random import Random
from typing import Any

from msgspec import Raw, json

from aipartnerupflow.domain.errors import ApflowError, CommitUnknown, StoreError
from aipartnerupflow.domain.evolve import fold
from aipartnerupflow.engine.commands import Done, done_of
from aipartnerupflow.engine.mail import Asked
from aipartnerupflow.engine.ports import Command
from tests.support.simulation.clients import somebody, until
from tests.support.simulation.nodes import Died
from tests.support.simulation.trees import signals_of
from tests.support.simulation.world import World

PATIENCE = 300.0
"""Seconds of the world within which a command that lies in the inbox must be answered."""


async def commands(world: World) -> None:
    """Some commands, each for itself, at any time until the horizon."""
    chance = world.chance("commands")
    async with asyncio.TaskGroup() as group:
        for _ in range(world.setting.commands):
            await asyncio.sleep(chance.expovariate(world.setting.commands / world.setting.horizon))
            if world.ledger.books:
                group.create_task(send(world, random_command(world, chance), chance))


def random_command(world: World, chance: Random) -> Command:
    """Something for a tree that is there."""
    tree = chance.choice(list(world.ledger.books))
    plan = world.outside.plans[world.ledger.of(tree).name]
    keys = [spec.label for spec in plan.specs]
    name = chance.choice(["pause", "unpause", "cancel", "cancel", "rerun", "rerun", "signal"])
    said: dict[str, Any] = {}
    match name:
        case "cancel":
            said = {"task": chance.choice(keys)} if chance.random() < 0.8 else {}
        case "rerun":
            said = {"way": chance.choice(["failed", "from", "all"])}
            if said["way"] == "from":
                said["tasks"] = chance.sample(keys, min(len(keys), 2))
        case "signal":
            names = [*signals_of(plan), "nobody"]
            said = {"name": chance.choice(names), "id": f"signal {chance.randint(1, 3)}"}
            said |= {"payload": {"said": chance.randint(1, 9)}} if chance.random() < 0.7 else {}
        case _:
            pass
    return command_of(world, tree, name, said)


def command_of(world: World, tree: str, name: str, said: dict[str, Any]) -> Command:
    """A command with an id of its own."""
    return Command(world.new_id(), tree, name, Raw(json.encode(said)), "user", world.clock.text())


async def send(world: World, command: Command, chance: Random) -> None:
    """Have it carried out once; where the answer is lost, look into the log."""
    node = await somebody(world, chance)
    try:
        done = await node.steer(command)
        if isinstance(done, Asked):
            done = await asyncio.wait_for(_answer(world, command), PATIENCE)
    except TimeoutError:
        world.violated(f"{command.name} of {command.tree} lies in the inbox, and nobody answers")
    except (Died, CommitUnknown):
        return
    except StoreError as error:
        world.refused[command.id] = repr(error)
        if world.ledger.caused.get(command.id):
            world.violated(f"{command.name} was refused ({error!r}), and is stored")
    except ApflowError as error:
        world.refused[command.id] = repr(error)
    else:
        _acknowledged(world, command, done)


async def _answer(world: World, command: Command) -> Done:
    """What its owner has left in the inbox."""
    letter = world.ledger.tables.inbox[command.id]
    await until(lambda: letter[1] is not None)
    return done_of(letter[1])


def _acknowledged(world: World, command: Command, done: Done) -> None:
    world.acknowledged += 1
    entries = world.ledger.of(command.tree).entries
    if done.version > len(entries):
        world.violated(f"{command.name} was acknowledged for a version that is not stored")
    elif not world.ledger.caused.get(command.id) and not _changes_nothing(world, command, done):
        world.violated(f"{command.name} of {command.tree} was acknowledged, and is not stored")


def _changes_nothing(world: World, command: Command, done: Done) -> bool:
    """Whether the tree was already as it was to be, or another command has done it."""
    entries = world.ledger.of(command.tree).entries[: done.version]
    tree = fold(command.tree, [entry.event for entry in entries])
    said = json.decode(command.arguments)
    match command.name:
        case "pause":
            return tree.paused
        case "unpause":
            return not tree.paused
        case "signal":
            return said["id"] in tree.signal_ids
        case "cancel":
            task = tree.task(said["task"]) if "task" in said else None
            return tree.cancelling or (
                task is not None and (task.is_group or task.n in tree.cancels)
            )
        case _:
            return False
