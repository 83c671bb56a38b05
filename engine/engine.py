"""The engine: one event loop, many trees, one rhythm.

Reports, commands and timers gather while a commit is in flight. Then one turn decides them all,
over all trees: apply, let follow what follows, give free slots to the first ready tasks, append
everything in one commit. Only when it is durable are executors called and answers given.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ..domain.decide import Stamp
from ..domain.errors import ApflowError, StoreUnavailable
from ..domain.time import to_text
from .acting import Acting
from .actor import Actor
from .commit import Committer
from .defects import Defects, contain, tell
from .departure import Departure
from .dispatch import Dispatch
from .finishing import mark_seen
from .garbage import Relaxed
from .incoming import Incoming
from .judge import Judge
from .ports import (
    Backend,
    Call,
    Clock,
    Executors,
    Journal,
    Liveness,
    Outcome,
)
from .starting import Starter
from .supervision import Supervisor
from .timers import Timers
from .turn import Decision, Turn
from .writing import Health, Write, Writing

log = logging.getLogger("aipartnerupflow.engine")


class Engine:
    """Runs trees in the event loop in which it was made. Not thread-safe: one loop, one engine."""

    def __init__(
        self,
        *,
        journal: Journal,
        committer: Committer,
        liveness: Liveness,
        executors: Executors,
        backend: Backend,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.journal = journal
        self.executors = executors
        self.liveness = liveness
        self.loop = asyncio.get_running_loop()
        self.actors: dict[str, Actor] = {}
        self.leaving: set[str] = set()
        self.backend = backend
        self.clock = clock
        self.committer = committer
        self._dispatch = Dispatch(backend.pools())
        self.starter = Starter(self, self._dispatch, executors, backend)
        self.supervisor = Supervisor(self, backend)
        self.judge = Judge(executors, chance)
        self.timers = Timers(clock, self._schedule)
        self._writing = Writing(self.loop, committer, self._written)
        self._departure = Departure(self)
        self._acting = Acting(self, self._report)
        self._incoming = Incoming(self)
        self.defects = Defects(self.loop)
        self._background: set[asyncio.Task[Any]] = set()
        self._services: list[asyncio.Task[None]] = []
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._garbage = Relaxed()
        self._scheduled = self._again = False
        self._closed = False

    @property
    def name(self) -> str:
        """This engine's name, as it stands in its claims."""
        return self.liveness.name

    @property
    def health(self) -> Health:
        """Whether new work is taken on, and if not, why."""
        return self._writing.health

    def hold(self) -> None:
        """Start nothing, whatever is ready, until `go`; what runs goes on."""
        self.starter.held = True

    def go(self) -> None:
        """Start what is ready again."""
        self.starter.held = False
        self._schedule()

    async def command(self, decision: Decision, *, tree: str = "") -> Any:
        """Decide in the next turn; returns the answer once it is durable. Raises what it raised,
        and `Defect` instead of what it must not raise; then the ``tree`` is let go of.

        While the store cannot be written nothing is taken on: `StoreUnavailable`.
        """
        if reason := self.health.degraded:
            raise StoreUnavailable(f"nothing new is taken on for now: {reason}")
        return await self.post(decision, tree=tree, patient=False)

    def post(
        self, decision: Decision, *, tree: str = "", patient: bool = True
    ) -> "asyncio.Future[Any]":
        """`command` without waiting for it, from within: it is not refused in bad times.

        Its answer comes when it is durable, however long that takes.
        """
        if self._closed:
            raise StoreUnavailable("this engine was stopped; start another")
        future: asyncio.Future[Any] = self.loop.create_future()
        future.add_done_callback(mark_seen)
        self._incoming.add_command(decision, future, patient, tree)
        self._schedule()
        return future

    def soon(self, actor: Actor, n: int) -> None:
        """Try to start a task again in the next turn."""
        self._incoming.add_start(actor, n)
        self._schedule()

    def adopt(self, actor: Actor) -> None:
        """Take an actor into hand; its tree must be claimed in the same turn."""
        self.actors[actor.tree.id] = actor
        actor.driven = True
        if actor.tree.options.limit is not None:
            self._dispatch.limit(("tree", actor.tree.id), actor.tree.options.limit)

    def take_up(self, actor: Actor) -> None:
        """`adopt` for a tree that has run before: what it waits for is armed and looked for."""
        tree = actor.tree
        tree.fresh = list(tree.ready)
        self.adopt(actor)
        self.timers.arm_all(actor)
        for n in tree.orphans:
            self.starter.reattach(actor, n)

    async def quiet(self) -> None:
        """Returns when no commit is in flight and all that was reported is stored."""
        while self._writing.busy or self._incoming.reports:
            self._quiet.clear()
            await self._quiet.wait()

    # -- the turn

    def _report(self, call: Call, outcome: Outcome) -> None:
        self._incoming.reports.append((call, outcome))
        self._schedule()

    def _schedule(self) -> None:
        """Take a turn, after the commit that is in flight."""
        if self._writing.busy:
            self._again = True
        elif not self._scheduled and not self._closed:
            self._scheduled = True
            self.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._writing.busy:
            self._again = True
            return
        turn = Turn(Stamp(to_text(self.clock.now())))
        self._incoming.take(turn)
        for actor in list(turn.touched):
            if actor.is_lost:
                continue
            try:
                turn.follow(actor)
            except Exception as error:  # noqa: BLE001 - the other trees have done nothing
                contain(self, turn, actor, error)
        self.starter.offer(turn.touched)
        self._incoming.offer()
        self.starter.start_ready(turn)
        self._commit(turn)

    def attempt_ended(self, call: Call) -> None:
        """Its slots are free, and nobody looks after it any more."""
        self.starter.ended(call)
        self.supervisor.ended(call)

    def _commit(self, turn: Turn) -> None:
        starts = self.starter.asked_for(turn)
        writes = [Write(a, (a.to_append(),)) for a in turn.touched if a.pending] + starts
        for actor in turn.touched:
            if actor.tree.armed and actor.driven:
                self.timers.arm(actor)
        if not writes:
            self._quiet.set()
            self._acting.begin(turn, {})
            return
        idle = self.starter.active == len(turn.launches)
        self._writing.write(turn, writes, idle=idle)

    def _written(self, turn: Turn, writes: Sequence[Write]) -> None:
        """The commit's outcome is known: act on it, then decide what came up meanwhile."""
        self._quiet.set()
        self._acting.written(turn, writes)
        if self._again:
            self._again = False
            self._schedule()

    def finish(self, actor: Actor) -> None:
        """The tree has settled, durably."""
        self._departure.forget(actor)
        self.defects.forget(actor.tree.id)
        actor.settle()

    def lose(self, actor: Actor, error: ApflowError) -> None:
        """The state is ahead of the store, or somebody else's: drop it, and what runs for it."""
        self._departure.lose(actor, error)

    async def release(self, actors: Sequence[Actor]) -> None:
        """Let go in good order: attempts are stopped and stored as interrupted, trees are free.

        Cancelling it cuts the waiting short, not the writing.
        """
        await self._departure.release(actors)

    async def close(self) -> None:
        """Stop: nothing new starts, trees are released, the engine's name is given up."""
        if self._closed:
            return
        for service in self._services:
            service.cancel()
        try:
            await self.release(list(self.actors.values()))
            for task in list(self._background):
                task.cancel()
            await self.backend.close()
        finally:
            self._closed = True
            self.timers.close()
            self.liveness.leave()
            self._garbage.restore()

    def serve(self, service: Coroutine[Any, Any, None]) -> None:
        """Run what watches beside the turns, until the engine begins to close."""
        serving = self.in_background(service)
        serving.add_done_callback(self._served)
        self._services.append(serving)

    def _served(self, service: "asyncio.Task[None]") -> None:
        if not service.cancelled() and (error := service.exception()) is not None:
            tell(self, "a service of the engine broke down", error)

    def in_background(self, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run a coroutine beside the turns; it ends with the engine."""
        task: asyncio.Task[Any] = self.loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
