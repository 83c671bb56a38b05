"""The engine: one event loop, many trees, one rhythm.

Reports and commands gather while a commit is in flight. Then one turn decides them all, over all
trees: apply, let follow what follows, give free slots to the first ready tasks, append everything
in one commit. Only when it is durable are executors called and answers given.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from hashlib import sha256
from typing import Any

from ..domain import decide
from ..domain.decide import Stamp
from ..domain.decide.drafts import INLINE_BYTES
from ..domain.errors import ApflowError, Released, StoreUnavailable
from ..domain.time import to_text
from .actor import Actor
from .commit import Committer, Results
from .dispatch import Dispatch
from .finishing import mark_seen
from .garbage import Relaxed
from .ports import (
    Backend,
    Call,
    Clock,
    Executors,
    Journal,
    Liveness,
    Outcome,
    Returned,
    Unit,
)
from .starting import Starter
from .turn import Answer, Decision, Turn

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
    ) -> None:
        self.journal = journal
        self.executors = executors
        self.liveness = liveness
        self.loop = asyncio.get_running_loop()
        self.actors: dict[str, Actor] = {}
        self._committer = committer
        self._backend = backend
        self._clock = clock
        self._dispatch = Dispatch(backend.pools())
        self._starter = Starter(self, self._dispatch, executors, backend)
        self._reports: list[tuple[Call, Outcome]] = []
        self._commands: list[tuple[Decision, asyncio.Future[Any]]] = []
        self._background: set[asyncio.Task[Any]] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._garbage = Relaxed()
        self._busy = False
        self._scheduled = False
        self._closed = False

    @property
    def name(self) -> str:
        """This engine's name, as it stands in its claims."""
        return self.liveness.name

    def drives(self, actor: Actor) -> bool:
        """Whether the tree is (still) in this engine's hands."""
        return actor.driven

    # -- what others ask

    async def command(self, decision: Decision) -> Any:
        """Decide in the next turn; returns the answer once it is durable. Raises what it raised."""
        return await self.post(decision)

    def post(self, decision: Decision) -> "asyncio.Future[Any]":
        """`command` without waiting for it."""
        if self._closed:
            raise StoreUnavailable("this engine was stopped; start another")
        future: asyncio.Future[Any] = self.loop.create_future()
        future.add_done_callback(mark_seen)
        self._commands.append((decision, future))
        self._schedule()
        return future

    def adopt(self, actor: Actor) -> None:
        """Take an actor into hand; its tree must be claimed in the same turn."""
        self.actors[actor.tree.id] = actor
        actor.driven = True
        if actor.tree.options.limit is not None:
            self._dispatch.limit(("tree", actor.tree.id), actor.tree.options.limit)

    async def quiet(self) -> None:
        """Returns when no commit is in flight."""
        while self._busy:
            await self._quiet.wait()

    # -- the turn

    def _report(self, call: Call, outcome: Outcome) -> None:
        self._reports.append((call, outcome))
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._busy:
            self._scheduled = True
            self.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._busy:
            return
        turn = Turn(Stamp(to_text(self._clock.now())))
        self._take_reports(turn)
        self._take_commands(turn)
        for actor in turn.touched:
            turn.follow(actor)
        self._starter.offer(turn.touched)
        self._starter.start_ready(turn)
        self._commit(turn)

    def _take_reports(self, turn: Turn) -> None:
        reports, self._reports = self._reports, []
        for call, outcome in reports:
            self._starter.ended(call)
            actor = self.actors.get(call.tree)
            if actor is None:
                log.warning("dropped a report of task %s: its tree is not run here", call.task)
                continue
            actor.apply(self._judge(turn, actor, call, outcome))
            turn.touch(actor)

    def _judge(self, turn: Turn, actor: Actor, call: Call, outcome: Outcome) -> Sequence[Any]:
        stamp, tree = turn.stamp(actor), actor.tree
        if not isinstance(outcome, Returned):
            return decide.fail(tree, call.task, call.attempt, outcome.error, stamp)
        result = outcome.result
        size = len(memoryview(result))
        turn.payload += size
        if size <= INLINE_BYTES:
            return decide.complete(tree, call.task, call.attempt, stamp, result=result)
        data = bytes(result)
        blob = sha256(data).hexdigest()
        actor.new_blobs[blob] = data
        return decide.complete(tree, call.task, call.attempt, stamp, blob=blob, size=size)

    def _take_commands(self, turn: Turn) -> None:
        commands, self._commands = self._commands, []
        for decision, future in commands:
            try:
                actor, value = decision(turn)
            except ApflowError as error:
                if not future.done():
                    future.set_exception(error)
                continue
            if actor is not None:
                turn.touch(actor)
            turn.answers.append(Answer(future, actor, value))

    # -- committing

    def _commit(self, turn: Turn) -> None:
        actors = [actor for actor in turn.touched if actor.pending]
        if not actors:
            self._answer(turn, {})
            return
        units = [(actor.to_append(),) for actor in actors]
        idle = self._starter.active == len(turn.launches)
        if self._committer.may_inline(idle=idle, small=turn.is_small()):
            self._committed(turn, actors, self._committer.commit(units))
            return
        self._busy = True
        self._quiet.clear()

        def done(results: Results) -> None:
            try:
                self.loop.call_soon_threadsafe(self._committed, turn, actors, results)
            except RuntimeError:
                log.warning("the event loop ended before its last commit was answered")

        self._committer.submit(units, done)

    def _committed(self, turn: Turn, actors: Sequence[Actor], results: Results) -> None:
        self._busy = False
        self._quiet.set()
        failures: dict[Actor, ApflowError] = {}
        for actor, error in zip(actors, results, strict=True):
            if error is None:
                actor.committed()
            else:
                failures[actor] = error
                self._lose(actor, error)
        for actor, call in turn.launches:
            if self.drives(actor):
                self._backend.start(call, self._report)
        self._answer(turn, failures)
        for actor in actors:
            if actor.tree.settled and actor not in failures:
                self._finish(actor)
        if self._reports or self._commands:
            self._schedule()

    def _answer(self, turn: Turn, failures: dict[Actor, ApflowError]) -> None:
        for answer in turn.answers:
            if answer.future.done():
                continue
            error = failures.get(answer.actor) if answer.actor is not None else None
            if error is not None:
                answer.future.set_exception(error)
            else:
                answer.future.set_result(answer.value)

    def _finish(self, actor: Actor) -> None:
        self._forget(actor)
        actor.settle()

    # -- letting go

    def _lose(self, actor: Actor, error: ApflowError) -> None:
        """The state is ahead of the store: drop it, and what runs for it."""
        if actor.stored:  # else it was never stored, and who asked for it hears of it
            log.warning("tree %s is no longer run by this engine: %s", actor.tree.id, error)
        self.let_go(actor)
        actor.abandon(error)

    def _forget(self, actor: Actor) -> None:
        if actor.driven:
            actor.driven = False
            del self.actors[actor.tree.id]

    def let_go(self, actor: Actor) -> list["asyncio.Task[bool]"]:
        """Stop everything that runs for the tree; nothing is written."""
        self._forget(actor)
        return [
            self.in_background(self._backend.stop(call)) for call in self._starter.take_back(actor)
        ]

    async def release(self, actors: Sequence[Actor]) -> None:
        """Let go in good order: attempts are stopped and stored as interrupted, trees are free.

        Cancelling it cuts the waiting short, not the writing.
        """
        await self.quiet()
        stops: list[asyncio.Task[bool]] = []
        units = []
        stamp = Stamp(to_text(self._clock.now()))
        for actor in actors:
            if not self.drives(actor):
                continue
            stops.extend(self.let_go(actor))
            actor.apply(decide.release(actor.tree, stamp.after(actor.tree)))
            if actor.pending:
                units.append((actor.to_append(),))
        try:
            if stops:
                await asyncio.wait(stops)
        finally:
            self._store_release(units)
            for actor in actors:
                actor.abandon(Released(actor.tree.id))

    def _store_release(self, units: Sequence[Unit]) -> None:
        results = self._committer.commit(units) if units else []
        for error in filter(None, results):
            log.warning("a tree could not be released in good order: %s", error)

    async def close(self) -> None:
        """Stop: nothing new starts, trees are released, the engine's name is given up."""
        if self._closed:
            return
        try:
            await self.release(list(self.actors.values()))
            for task in list(self._background):
                task.cancel()
            await self._backend.close()
        finally:
            self._closed = True
            self.liveness.leave()
            self._garbage.restore()

    def in_background(self, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run a coroutine beside the turns; it ends with the engine."""
        task: asyncio.Task[Any] = self.loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
