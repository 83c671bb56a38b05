"""Engines in simulated processes, each with its own connection to the one store."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, Any

from aipartnerupflow.adapters.journal.journal import Batch, EventJournal
from aipartnerupflow.domain.errors import ApflowError, OwnedElsewhere
from aipartnerupflow.engine.commands import Done
from aipartnerupflow.engine.commit import Committer
from aipartnerupflow.engine.commit import Done as Written
from aipartnerupflow.engine.engine import Engine
from aipartnerupflow.engine.errand import Errand
from aipartnerupflow.engine.lifecycle import reopen, resume
from aipartnerupflow.engine.mail import Asked, Mailroom, Sender, carry_out
from aipartnerupflow.engine.ports import Command, Journal, Unit
from aipartnerupflow.engine.takeover import Watch, beat
from tests.support.faulty import FaultyRecorder
from tests.support.simulation.executors import SimulatedBackend
from tests.support.simulation.ledger import Ledger
from tests.support.simulation.letters import Feed, Letters
from tests.support.simulation.processes import Machine, Process

LEASE = 10.0
"""Seconds after which an engine that says nothing is taken for dead, where leases are in use."""

if TYPE_CHECKING:
    from tests.support.simulation.world import World


class Connection(FaultyRecorder):
    """What one process has of the store. It may die of a commit, before or after it happened."""

    process: Process
    ledger: Ledger
    doom: tuple[int | str, str] | None = None
    """The process dies of this append, by its number in its life or by the topic of one of its
    events: ``before`` or ``after``.
    """
    appends: int = 0

    @property
    def troubled(self) -> bool:
        """Whether the store has ever failed this process."""
        return any(operation == "record" for operation, _ in self.happened)

    def record(self, batches: Sequence[Batch]) -> int:
        """See `Recorder.record`."""
        self.process.check()
        self.ledger.offer(batches)
        self.appends += 1
        self._die("before", batches)
        try:
            return super().record(batches)
        finally:
            self._die("after", batches)

    def before(self, operation: str) -> Any:
        """See `FaultyRecorder.before`."""
        self.process.check()
        return super().before(operation)

    def _die(self, when: str, batches: Sequence[Batch]) -> None:
        if self.doom is None or self.doom[1] != when:
            return
        topics = {event.topic for batch in batches for event in batch.stored}
        if self.doom[0] == self.appends or self.doom[0] in topics:
            self.process.kill()
            self.process.check()


class LoopCommitter(Committer):
    """Its thread is in the loop: what is handed to it is written a little later."""

    def __init__(self, journal: Journal, loop: Machine, chance: Random, mode: str) -> None:
        super().__init__(journal, _nothing, mode=mode)
        self._loop = loop
        self._chance = chance
        self._flying = False

    def submit(self, units: Sequence[Unit], done: Written) -> None:
        """See `Committer.submit`."""
        self._queue.append((units, done))
        if not self._flying:
            self._flying = True
            self._loop.call_later(self._chance.choice([0.0, 0.001, 0.05, 0.4]), self._fly)

    def _fly(self) -> None:
        self._flying = False
        group, self._queue = self._queue, []
        with suppress(sqlite3.DatabaseError):  # a thread would end with it; the next has another
            self._write(group)


def _nothing() -> None:
    """Nobody follows the log."""


class SimulatedLiveness:
    """`engine.ports.Liveness` by leases, or by looking whether the process is there."""

    def __init__(self, world: "World", name: str) -> None:
        self.name = name
        self.beat_every = LEASE * 0.3 if world.setting.leases else None
        self._world = world
        self.beat(())

    def alive(self, engine: str) -> bool | None:
        """See `Liveness.alive`."""
        return self._world.is_alive(engine)

    def beat(self, executors: Sequence[str]) -> bool:
        """See `Liveness.beat`."""
        now, leases = self._world.loop.time(), self._world.leases
        held = leases.get(self.name, now) >= now
        if not held:
            self._world.lapsed[self.name] = now
        leases[self.name] = now + LEASE
        return held

    def leave(self) -> None:
        """See `Liveness.leave`."""
        self._world.leases.pop(self.name, None)


class Node:
    """One life of an engine. ``ready`` once it has taken up what it found."""

    def __init__(self, world: "World", name: str) -> None:
        self.name = name
        self.world = world
        self.process = world.loop.process(name)
        self.process.on_death = self._died
        self.death: asyncio.Future[None] = world.loop.create_future()
        self.ready = False
        self.closed = False
        self.senders = 0
        self.taking: dict[str, asyncio.Lock] = {}
        self.engine: Engine | None = None
        self.connection = world.connect(self.process)
        self.process.spawn(self._live())

    @property
    def is_up(self) -> bool:
        """Whether it can be asked anything."""
        return self.engine is not None and not self.process.dead and not self.process.stopped

    def boot(self) -> Engine:
        """Make the engine. Called in its process."""
        world, outside = self.world, self.world.outside
        self.journal = EventJournal(self.connection, world.mapper)
        committer = LoopCommitter(
            self.journal,
            world.loop,
            world.chance(f"committer {self.name}"),
            world.setting.committer,
        )
        self.committer = committer
        self.liveness = SimulatedLiveness(world, self.name)
        self.inbox = Letters(world, self.connection)
        return Engine(
            journal=self.journal,
            committer=self.committer,
            liveness=self.liveness,
            executors=world.executors,
            backend=SimulatedBackend(
                outside.work_in(self.process), outside.stubborn, slots=outside.slots
            ),
            clock=world.clock,
            chance=world.chance(f"engine {self.name}").random,
        )

    async def _live(self) -> None:
        """Take up what others left, and stay."""
        self.engine = engine = self.boot()
        if self.liveness.beat_every is not None:
            engine.serve(beat(engine))
        engine.serve(Mailroom(engine, self.inbox, Feed(self.world)).serve())
        engine.serve(Watch(engine).serve())
        with suppress(ApflowError):
            await resume(engine)
        self.ready = True

    async def ask(self, what: Callable[[Engine], Awaitable[Any]]) -> Any:
        """Ask it something from outside; raises what it raises, or `Died`."""
        assert self.engine is not None
        asked = self.process.spawn(_asking(what, self.engine))
        await asyncio.wait({asked, self.death}, return_when=asyncio.FIRST_COMPLETED)
        if self.process.dead or not asked.done():
            raise Died(self.name)
        return asked.result()

    async def steer(self, command: Command) -> Done | Asked:
        """Have a command carried out, as `api.steering` does. Raises what refuses it, or `Died`."""
        done: Done | Asked = await self.ask(lambda engine: self._steer(engine, command))
        return done

    async def _steer(self, engine: Engine, command: Command) -> Done | Asked:
        async with self.taking.setdefault(command.tree, asyncio.Lock()):
            if command.tree in engine.actors:
                return await carry_out(engine, command)
            if command.name == "rerun" and self.world.ledger.of(command.tree).settled:
                with suppress(OwnedElsewhere):
                    return await reopen(engine, command)
        self.senders += 1
        liveness = SimulatedLiveness(self.world, f"{self.name}/{self.senders}")
        errand = Errand(
            self.journal, self.committer, self.world.clock, self.world.executors, liveness,
            self.inbox,
        )  # fmt: skip
        try:
            return await Sender(self.journal, self.inbox, liveness, errand).send(command)
        finally:
            liveness.leave()

    async def close(self) -> None:
        """End it in good order."""
        self.closed = True
        await self.ask(Engine.close)

    def kill(self) -> None:
        """Drop everything at once."""
        if not self.process.dead:
            self.process.kill()

    def _died(self) -> None:
        self.world.died(self)
        if not self.death.done():
            self.death.set_result(None)


class Died(Exception):
    """The process died before it answered: what came of the command, the log tells."""


async def _asking(what: Callable[[Engine], Awaitable[Any]], engine: Engine) -> Any:
    return await what(engine)
