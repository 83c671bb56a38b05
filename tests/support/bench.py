"""One engine in the test's loop, on fakes, and trees to give it."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from aipartnerupflow.domain.intake import read
from aipartnerupflow.domain.specs import TreeOptions
from aipartnerupflow.engine.actor import Actor
from aipartnerupflow.engine.commit import Committer
from aipartnerupflow.engine.engine import Engine
from aipartnerupflow.engine.lifecycle import NewTree, create, resume
from aipartnerupflow.engine.ports import Call, Kind
from aipartnerupflow.testing.clock import VirtualClock
from aipartnerupflow.testing.fakes import FakeBackend, FakeExecutors, FakeJournal, FakeLiveness


def new_id() -> str:
    return str(uuid.uuid4())


class Bench:
    """An engine and everything around it. `crash` throws all away but the journal."""

    def __init__(self, *, slots: int = 1_000, kinds: Mapping[str, Kind] | None = None) -> None:
        self.journal = FakeJournal()
        self.executors = FakeExecutors(kinds)
        self.clock = VirtualClock()
        self.alive: set[str] = set()
        self.slots = slots
        self.boot("engine-1")

    def boot(self, name: str) -> None:
        self.backend = FakeBackend(self.executors, slots=self.slots)
        self.committer = Committer(self.journal, lambda: None)
        self.engine = Engine(
            journal=self.journal,
            committer=self.committer,
            liveness=FakeLiveness(name, self.alive),
            executors=self.executors,
            backend=self.backend,
            clock=self.clock,
        )

    def crash(self, name: str) -> None:
        """The engine is gone without a word; another one starts."""
        for task in self.backend.running.values():
            task.cancel()
        self.backend.running.clear()
        self.alive.clear()
        self.boot(name)

    def on(self, executor: str, work: Callable[[Call], Awaitable[Any]]) -> None:
        self.executors.work[executor] = work

    async def submit(
        self, tasks: Sequence[Mapping[str, Any]], limit: int | None = None, strict: bool = True
    ) -> Actor:
        documents = [msgspec.json.encode(task) for task in tasks]
        intake = read(documents, new_id)
        new = NewTree(intake.specs, "test", intake.owner, TreeOptions(limit))
        return await create(self.engine, new, new_id, strict=strict)

    async def run(self, tasks: Sequence[Mapping[str, Any]], limit: int | None = None) -> str:
        return await (await self.submit(tasks, limit)).waiter()

    async def resume_all(self) -> None:
        """Take up every interrupted tree and wait for them all."""
        resumed = await resume(self.engine)
        assert not resumed.refused
        await asyncio.gather(*(actor.waiter() for actor in resumed.taken))

    def topics(self, tree: str = "r") -> list[str]:
        return [recorded.event.topic for recorded in self.journal.read(tree)]

    def started(self) -> list[str]:
        return [call.task for call in self.backend.calls]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until ``condition`` holds; fails after many rounds."""
    for _ in range(200_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("what was waited for did not happen")


async def nothing(call: Call) -> None:
    return None


def fan(n: int, **fields: Any) -> list[dict[str, Any]]:
    children = [{"id": f"t{i}", "name": "noop", "parent_id": "r", **fields} for i in range(n)]
    return [{"id": "r", "name": "root"}, *children]


def chain(n: int) -> list[dict[str, Any]]:
    tasks = fan(n)
    for i, task in enumerate(tasks[2:]):
        task["dependencies"] = [f"t{i}"]
    return tasks
