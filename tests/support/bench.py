"""Engines in the test's loop, on fakes and virtual time, and trees to give them."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from aipartnerupflow.domain.errors import StaleVersion
from aipartnerupflow.domain.events import AnyEvent, Event
from aipartnerupflow.domain.intake import read
from aipartnerupflow.domain.specs import TreeOptions
from aipartnerupflow.domain.time import to_seconds
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.engine.actor import Actor
from aipartnerupflow.engine.commands import Done
from aipartnerupflow.engine.commit import Committer, Results
from aipartnerupflow.engine.commit import Done as Told
from aipartnerupflow.engine.engine import Engine
from aipartnerupflow.engine.errand import Errand
from aipartnerupflow.engine.lifecycle import NewTree, create, load, resume
from aipartnerupflow.engine.mail import Mailroom, Sender, carry_out
from aipartnerupflow.engine.ports import Call, Command, Journal, Kind, Unit
from aipartnerupflow.testing.fakes import (
    FakeBackend,
    FakeExecutors,
    FakeInbox,
    FakeLiveness,
)
from aipartnerupflow.testing.grammar import check_log
from aipartnerupflow.testing.loop import LoopClock
from aipartnerupflow.testing.slots import slot_faults
from aipartnerupflow.testing.state import LIVE_ONLY, differences
from tests.support.sick import SickJournal

E = TypeVar("E", bound=Event)
Tasks = Sequence[Mapping[str, Any]]


def new_id() -> str:
    return str(uuid.uuid4())


class LoopCommitter(Committer):
    """Its thread is in the loop: what is handed over is written after ``takes`` seconds.

    Once ``dead`` nothing is written any more.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal, lambda: None)
        self.takes = 0.0
        self.dead = False

    def commit(self, units: Sequence[Unit]) -> Results:
        """See `Committer.commit`."""
        return [StaleVersion("", 0)] * len(units) if self.dead else super().commit(units)

    def submit(self, units: Sequence[Unit], done: Told) -> None:
        """See `Committer.submit`."""
        asyncio.get_running_loop().call_later(self.takes, self._fly, units, done)

    def _fly(self, units: Sequence[Unit], done: Told) -> None:
        if not self.dead:
            done(self.commit(units))


class Looks:
    """`engine.ports.Subscription` of a store that tells of nothing."""

    def wake(self) -> None:
        """See `Subscription.wake`."""

    async def changed(self, since: int) -> None:
        """See `Subscription.changed`."""
        await asyncio.sleep(0.1)

    async def mail(self) -> None:
        """See `Subscription.mail`."""
        await asyncio.sleep(0.1)


class Node:
    """One engine, with all that its process has for itself."""

    def __init__(self, bench: "Bench", name: str) -> None:
        self.name = name
        self._bench = bench
        self.backend = FakeBackend(bench.executors, slots=bench.slots)
        self.committer = LoopCommitter(bench.journal)
        self.liveness = FakeLiveness(name, bench.alive)
        self.engine = Engine(
            journal=bench.journal,
            committer=self.committer,
            liveness=self.liveness,
            executors=bench.executors,
            backend=self.backend,
            clock=bench.clock,
            chance=lambda: bench.chance,
        )
        self.errand = Errand(
            bench.journal, self.committer, bench.clock, bench.executors, self.liveness, bench.inbox
        )
        self.sender = Sender(bench.journal, bench.inbox, self.liveness, self.errand)

    def open_mail(self) -> None:
        """Look into the inbox from now on, every tenth of a second."""
        self.engine.serve(Mailroom(self.engine, self._bench.inbox, Looks()).serve())

    def kill(self) -> None:
        """It is gone without a word: nothing of it is called or written any more."""
        engine = self.engine
        self.committer.dead = True
        for actor in engine.actors.values():
            actor.driven = False
        engine.actors.clear()
        for task in [*engine._background, *self.backend.running.values()]:
            task.cancel()
        self.backend.running.clear()
        engine._closed = True
        engine.timers.close()
        engine._garbage.restore()
        self.liveness.leave()


class Bench:
    """A store, executors, a clock, and engines on them; ``engine`` is the one booted last."""

    def __init__(self, *, slots: int = 1_000, kinds: Mapping[str, Kind] | None = None) -> None:
        self.journal = SickJournal()
        self.inbox = FakeInbox(self.journal)
        self.executors = FakeExecutors(kinds)
        self.clock = LoopClock(asyncio.get_running_loop())
        self.began = self.clock.now()
        self.chance = 0.5
        self.alive: set[str] = set()
        self.slots = slots
        self.nodes: list[Node] = []
        self.boot("engine-1")

    def boot(self, name: str) -> Node:
        """One more engine."""
        self.nodes.append(Node(self, name))
        return self.nodes[-1]

    def crash(self, name: str) -> Node:
        """The engine is gone without a word; another one starts."""
        self.node.kill()
        return self.boot(name)

    @property
    def node(self) -> Node:
        return self.nodes[-1]

    @property
    def engine(self) -> Engine:
        return self.node.engine

    @property
    def backend(self) -> FakeBackend:
        return self.node.backend

    @property
    def committer(self) -> LoopCommitter:
        return self.node.committer

    def end(self) -> None:
        """End all engines, and check what they left in the store and in memory."""
        faults = [*check_log(self.journal.log), *slot_faults(self.journal.log)]
        for node in self.nodes:
            for actor in list(node.engine.actors.values()):
                if not actor.pending and self._is_owner(node, actor.tree):
                    again = load(self.journal, actor.tree.id)
                    live = LIVE_ONLY | {"armed"}
                    faults.extend(differences(actor.tree, again, ignore=live))
            node.kill()
        assert not faults, "\n".join(faults)

    def _is_owner(self, node: Node, tree: Tree) -> bool:
        owner = self.journal.owner(tree.id)
        return owner is not None and owner.engine == node.name

    # -- asking

    def on(self, executor: str, work: Callable[[Call], Awaitable[Any]]) -> None:
        self.executors.work[executor] = work

    async def submit(
        self, tasks: Tasks, limit: int | None = None, strict: bool = True, node: Node | None = None
    ) -> Actor:
        documents = [msgspec.json.encode(task) for task in tasks]
        intake = read(documents, new_id)
        new = NewTree(intake.specs, "test", intake.owner, TreeOptions(limit))
        engine = (node or self.node).engine
        return await create(engine, new, new_id, strict=strict)

    async def run(self, tasks: Tasks, limit: int | None = None) -> str:
        return await (await self.submit(tasks, limit)).waiter()

    async def resume_all(self) -> None:
        """Take up every interrupted tree and wait for them all."""
        resumed = await resume(self.engine)
        assert not resumed.refused
        await asyncio.gather(*(actor.waiter() for actor in resumed.taken))

    async def take(self, tree: str = "r") -> Actor:
        """Take up one tree, in the engine booted last."""
        resumed = await resume(self.engine, {tree})
        for error in resumed.refused.values():
            raise error
        return resumed.taken[0]

    def command(self, what: str, /, tree: str = "r", **arguments: Any) -> Command:
        said = Raw(msgspec.json.encode(arguments))
        return Command(new_id(), tree, what, said, "user", self.clock.text())

    async def ask(self, what: str, /, tree: str = "r", **arguments: Any) -> Done:
        """Have a command carried out by the engine, which drives the tree."""
        return await carry_out(self.engine, self.command(what, tree, **arguments))

    # -- looking

    def topics(self, tree: str = "r") -> list[str]:
        return [recorded.event.topic for recorded in self.journal.read(tree)]

    def facts(self, kind: type[E], task: str | None = None) -> list[E]:
        """All events of this kind, in order; with ``task`` only that task's."""
        found = [r.event for r in self.journal.log if isinstance(r.event, kind)]
        return [fact for fact in found if task in (None, getattr(fact, "task", None))]

    def seconds(self, at: str) -> float:
        """A time in an event, in seconds since the beginning of the test."""
        return round(to_seconds(at) - self.began, 3)

    def times(self, kind: type[Event], task: str | None = None) -> list[float]:
        """When this happened, in seconds since the beginning of the test."""
        return [self.seconds(fact.at) for fact in self.facts(kind, task)]

    def started(self) -> list[str]:
        return [call.task for call in self.backend.calls]

    def story(self, task: str) -> list[str]:
        """What happened to a task, by topic."""
        events: list[AnyEvent] = [recorded.event for recorded in self.journal.log]
        return [event.topic for event in events if getattr(event, "task", None) == task]


MakeBench = Callable[..., Bench]


async def until(condition: Callable[[], Any]) -> None:
    """Let time pass, more and more of it, until ``condition`` holds; fails after an hour."""
    pause = 0.001
    while not condition():
        assert pause < 60, "what was waited for did not happen"
        await asyncio.sleep(pause)
        pause *= 1.02


def fan(n: int, **fields: Any) -> list[dict[str, Any]]:
    children = [{"id": f"t{i}", "name": "noop", "parent_id": "r", **fields} for i in range(n)]
    return [{"id": "r", "name": "root"}, *children]


def chain(n: int) -> list[dict[str, Any]]:
    tasks = fan(n)
    for i, task in enumerate(tasks[2:]):
        task["dependencies"] = [f"t{i}"]
    return tasks


def one(name: str, **fields: Any) -> list[dict[str, Any]]:
    """A tree of one task, ``r``."""
    return [{"id": "r", "name": name, **fields}]
