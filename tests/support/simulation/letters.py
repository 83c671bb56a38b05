"""The inbox of the simulated store, and what wakes those who look into it."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from aipartnerupflow.engine.ports import Answered, Command

if TYPE_CHECKING:
    from tests.support.simulation.nodes import Connection
    from tests.support.simulation.world import World

POLL = 1.0
"""Seconds after which somebody looks again though nobody woke him."""


class Letters:
    """`engine.ports.Inbox` over the store's table, through one process's connection."""

    def __init__(self, world: "World", connection: "Connection") -> None:
        self._world = world
        self._letters = world.ledger.tables.inbox
        self._connection = connection

    def send(self, command: Command) -> None:
        """See `Inbox.send`."""
        self._connection.before("send")
        self._letters.setdefault(command.id, [command, None])
        self._world.mail.set()

    def pending(self, engine: str) -> Sequence[Command]:
        """See `Inbox.pending`."""
        self._connection.before("pending")
        trees = self._world.ledger.tables.trees
        return [
            command
            for command, outcome in self._letters.values()
            if outcome is None and trees[command.tree].engine == engine
        ]

    def refuse(self, answer: Answered) -> None:
        """See `Inbox.refuse`."""
        self._connection.before("refuse")
        letter = self._letters[answer.id]
        if letter[1] is None:
            letter[1] = answer.outcome

    def outcome(self, id: str) -> bytes | None:
        """See `Inbox.outcome`."""
        self._connection.before("outcome")
        letter = self._letters.get(id)
        outcome: bytes | None = None if letter is None else letter[1]
        return outcome

    def find(self, id: str) -> Command | None:
        """See `Inbox.find`."""
        self._connection.before("find")
        letter = self._letters.get(id)
        command: Command | None = None if letter is None else letter[0]
        return command


class Feed:
    """`engine.ports.Subscription`: a word from whoever wrote, and a look now and then."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def wake(self) -> None:
        """See `Subscription.wake`."""

    async def changed(self, since: int) -> None:
        """See `Subscription.changed`. Nobody follows the log here."""
        await asyncio.sleep(POLL)

    async def mail(self) -> None:
        """See `Subscription.mail`."""
        try:
            async with asyncio.timeout(POLL):
                await self._world.mail.wait()
        except TimeoutError:
            return
        self._world.mail.clear()
