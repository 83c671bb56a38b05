"""Flow: the native Python API. Opens a store, runs trees in this loop, lets callers follow them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from ..domain.decide import Plan
from ..domain.errors import InvalidInput
from ..domain.events import Recorded
from ..domain.intake import read
from ..engine.actor import Actor
from ..engine.engine import Engine
from ..engine.lifecycle import NewTree, create, resume
from ..engine.takeover import Watch
from ..engine.writing import Health
from ..projections.views import AttemptView, TreeView
from .builder import TreeBuilder
from .encoding import as_json
from .library.nodes import Task, tasks_of
from .library.sessions import create_session
from .steering import command_of, plan, steer, why
from .stores import Store
from .submitting import HOOKS_NEED_A_SERVER, Written, options, parse
from .wiring import timeline

Spec = TreeBuilder | Sequence[Mapping[str, Any]] | Mapping[str, Any] | bytes | str
"""A builder, an array of tasks, a nested tree, ``{"name", "tasks", "limit"}``, or JSON of these."""

SETTLED = "tree.settled"

T = TypeVar("T", str, str | None)


class TreeHandle:
    """A tree that was submitted, by whomever; what it says is read from the store."""

    def __init__(self, store: Store, id: str, actor: Actor | None = None) -> None:
        self._store = store
        self._actor = actor
        self.id = id

    def view(self) -> TreeView:
        """The tree's row as it stands now."""
        return self._store.tree(self.id)

    @property
    def status(self) -> str:
        """The public status as it stands now."""
        return self.view().status

    async def settled(self) -> str:
        """Wait until nothing runs and nothing can; returns the status.

        A failed tree does not raise; a tree that the engine of this flow let go of does.
        """
        engine = self._store.running_engine()
        if engine is not None:
            self._actor = engine.actors.get(self.id, self._actor)
        if self._actor is None or self._actor.tree.settled:  # it may have been re-run since
            return (await self._store.settled(self.id)).status
        return await asyncio.shield(self._actor.waiter())

    async def tasks(self) -> list[Task]:
        """All tasks in creation order, as they stand now."""
        return tasks_of(await asyncio.to_thread(self._store.reads.tasks, self.id))

    async def task(self, key: str) -> Task:
        """One task by what its client called it. Raises KeyError."""
        for task in await self.tasks():
            if key in (task.key, task.id):
                return task
        raise KeyError(key)

    async def attempts(self) -> Sequence[AttemptView]:
        """Every attempt of every task: when it began and how it ended, oldest first."""
        return await asyncio.to_thread(timeline, self._store, self.id)

    async def cancel(self, task: str | None = None, *, reason: str = "") -> int:
        """Cancel the tree, or one task by key or id; returns the tree's version behind it.

        What is pending ends at once; what runs is told to end, and `settled` or `task` show when it
        has. Raises `InvalidTransition` where it has ended already.
        """
        return await self._steer("cancel", {"task": task, "reason": reason})

    async def pause(self, *, reason: str = "") -> int:
        """Nothing new starts; what runs goes on. Survives a restart."""
        return await self._steer("pause", {"reason": reason})

    async def unpause(self, *, reason: str = "") -> int:
        """Tasks may start again."""
        return await self._steer("unpause", {"reason": reason})

    async def signal(self, name: str, payload: Any = None, *, id: str | None = None) -> int:
        """Say ``name`` to the first task that waits for it, now or later; ``payload`` is JSON.

        With an ``id`` it counts once, however often it is said. Raises `InvalidInput` for a name
        that no task waits for, or a payload that its schema refuses.
        """
        said = {"name": name, "id": id, "payload": payload}
        return await self._steer("signal", said)

    async def rerun(
        self, way: str = "failed", tasks: Sequence[str] = (), *, reason: str = ""
    ) -> int:
        """Run tasks again, in place: what ``failed`` or was cancelled, ``from`` tasks on, or
        ``all``. What completed and is not named is kept. Raises where there is nothing to repeat.

        A tree that had settled is driven by the flow of this loop, where there is one.
        """
        said = {"way": way, "tasks": list(tasks), "reason": reason}
        return await self._steer("rerun", said)

    async def plan(self, way: str = "failed", tasks: Sequence[str] = ()) -> Plan:
        """What `rerun` would do, without doing it: ids that are reopened, may run, are kept."""
        return await plan(self._store, self.id, way, tasks)

    async def why(self, task: str) -> dict[str, str]:
        """Why a task (by key or id) runs or does not: ``{"reason": …}`` and what belongs to it."""
        return await asyncio.to_thread(why, self._store, (await self.task(task)).id)

    async def _steer(self, name: str, said: dict[str, Any]) -> int:
        command = command_of(self._store, self.id, name, said)
        return (await steer(self._store, command)).version

    async def events(self, after: int = 0) -> AsyncIterator[Recorded]:
        """The history after version ``after``, then what comes, until the tree has settled."""
        while True:
            position = self._store.journal.position()
            recorded = None
            for recorded in self._store.journal.read(self.id, after=after):
                after = recorded.version
                yield recorded
            if recorded is not None and recorded.event.topic == SETTLED:
                return
            if recorded is None and self.view().phase == "settled":
                return
            await self._store.feed.changed(position)


class Flow:
    """``async with Flow() as flow:`` opens the store and runs what is submitted, in this loop.

    ``store`` is a URL or a path; without it, what settings and environment name. With ``resume``
    every interrupted tree goes on at once, and as long as the block lasts so does any other whose
    engine dies; `refused` tells those that did not at the beginning, and why. With ``paused``
    nothing starts before `go`. Leaving the block releases what still runs: interrupted and
    resumable.
    """

    def __init__(
        self, store: str | None = None, *, resume: bool = False, paused: bool = False
    ) -> None:
        self._url = store
        self._resume = resume
        self._paused = paused
        self._stack = AsyncExitStack()
        self._store: Store | None = None
        self._engine: Engine | None = None
        self.refused: dict[str, Exception] = {}

    async def __aenter__(self) -> "Flow":
        self._store = create_session(self._url).store
        self._engine = await self._stack.enter_async_context(self._store.engine())
        if self._paused:
            self._engine.hold()
        if self._resume:
            self.refused = dict((await resume(self._engine)).refused)
            self._engine.serve(Watch(self._engine).serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._engine = None
        await self._stack.aclose()

    def go(self) -> None:
        """Let start what was held back by ``paused``."""
        self._running().go()

    @property
    def health(self) -> Health:
        """Whether new work is taken on; ``degraded`` says why not."""
        return self._running().health

    def _running(self) -> Engine:
        if self._engine is None:
            raise InvalidInput("use `async with Flow() as flow:`")
        return self._engine

    @property
    def store(self) -> Store:
        """The open store."""
        if self._store is None:
            raise InvalidInput("use `async with Flow() as flow:`")
        return self._store

    async def submit(
        self,
        spec: Spec,
        *,
        name: str | None = None,
        user_id: str | None = None,
        limit: int | None = None,
        demo: bool = False,
    ) -> TreeHandle:
        """Create a tree and start it; returns once that is durable.

        ``limit`` caps how many of its tasks run at once. With ``demo`` executors give results for
        show instead of working. Raises `InvalidInput`, or `InvalidGraph`
        with all faults, an executor that is not registered here among them.
        """
        engine = self._running()
        written = _written(spec)
        intake = read(written.tasks, self.store.new_id, self.store.executors.module_of)
        root = next((task.name for task in intake.specs if task.parent is None), "")
        new = NewTree(
            intake.specs,
            _text(name or written.name or root, "the name of the tree"),
            _text(_owner(user_id, intake.owner), "the user_id"),
            options(written.limit if limit is None else limit, demo or written.demo),
        )
        actor = await create(engine, new, self.store.new_id)
        return TreeHandle(self.store, actor.tree.id, actor)

    def tree(self, id: str) -> TreeHandle:
        """A tree of this store by id. Raises `NotFound`."""
        return TreeHandle(self.store, self.store.tree(id).id)


def _written(spec: Spec) -> Written:
    """The tasks of any form that a tree may be given in, with its name and limit, if given."""
    if isinstance(spec, TreeBuilder):
        return Written(spec.documents(), spec.name, spec.limit)
    text = spec if isinstance(spec, bytes | str) else as_json(spec, "the tree")
    written = parse(text.encode() if isinstance(text, str) else text)
    if written.webhooks:
        raise InvalidInput(HOOKS_NEED_A_SERVER)
    if not written.start:
        raise InvalidInput('it says "start": false, but submit starts what it creates')
    return written


def _owner(asked: str | None, written: str | None) -> str | None:
    if asked is not None and written not in (None, asked):
        raise InvalidInput("the tasks name another user_id than submit was given; a tree has one")
    return written if asked is None else asked


def _text(value: T, what: str) -> T:
    """What is stored beside the tasks must be JSON as they are. Raises `InvalidInput`."""
    said: Any = value
    if said is not None and not isinstance(said, str):
        raise InvalidInput(f"{what} is a text")
    as_json(said, what)
    return value
