"""How trees leave an engine: settled, lost to somebody else, or released in good order."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..domain import decide
from ..domain.decide import Stamp
from ..domain.decide.attempts import is_running
from ..domain.errors import ApflowError, Released
from ..domain.time import to_text
from .actor import Actor
from .ports import Call, Returned, Stopped, Unit
from .turn import Turn
from .writing import SAVE_DEADLINE

if TYPE_CHECKING:
    from .engine import Engine

log = logging.getLogger("aipartnerupflow.engine")

Stops = list[tuple[Call, "asyncio.Task[Stopped]"]]


class Departure:
    """Takes trees out of the hands of one engine."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def lose(self, actor: Actor, error: ApflowError) -> None:
        """Drop it and what runs for it; nothing is written."""
        if not actor.driven and actor.stored:
            return
        if actor.stored:  # else it was never stored, and who asked for it hears of it
            log.warning("tree %s is no longer run by this engine: %s", actor.tree.id, error)
        self.let_go(actor)
        actor.abandon(error)

    def forget(self, actor: Actor) -> None:
        """The tree is not run here any more, and nothing of it runs."""
        self._leave(actor)
        self._engine.starter.forget(actor)

    def _leave(self, actor: Actor) -> None:
        if actor.driven:
            actor.driven = False
            del self._engine.actors[actor.tree.id]
            if actor.alarms:
                self._engine.timers.forget(actor)

    def let_go(self, actor: Actor) -> Stops:
        """Stop everything that runs for the tree; nothing is written."""
        engine = self._engine
        self._leave(actor)
        calls = engine.supervisor.forget(engine.starter.take_back(actor))
        engine.starter.forget(actor)
        return [(call, engine.in_background(engine.backend.stop(call))) for call in calls]

    async def release(self, actors: Sequence[Actor]) -> None:
        """See `Engine.release`. Where the store cannot be written the trees stay claimed, and may
        be taken up by this engine, or once it is seen to be gone.
        """
        try:
            async with asyncio.timeout(SAVE_DEADLINE):
                await self._engine.quiet()
        except TimeoutError:
            log.warning("trees could not be released in good order: the store cannot be written")
            for actor in actors:
                self.lose(actor, Released(actor.tree.id))
            return
        leaving = {actor: self.let_go(actor) for actor in actors if actor.driven}
        waiting = [task for stops in leaving.values() for _, task in stops]
        ids = {actor.tree.id for actor in leaving}
        self._engine.leaving |= ids
        try:
            if waiting:
                await asyncio.wait(waiting)
        finally:
            self._store(leaving)
            self._engine.leaving -= ids
            for actor in actors:
                actor.abandon(Released(actor.tree.id))

    def _store(self, leaving: dict[Actor, Stops]) -> None:
        turn = Turn(Stamp(to_text(self._engine.clock.now())))
        units: list[Unit] = []
        for actor, stops in leaving.items():
            ended = self._take_results(turn, actor, stops)
            actor.apply(decide.release(actor.tree, turn.stamp(actor), ended=ended))
            turn.follow(actor)
            if actor.pending:
                units.append((actor.to_append(),))
        results = self._engine.committer.commit(units) if units else []
        for error in filter(None, results):
            log.warning("a tree could not be released in good order: %s", error)

    def _take_results(self, turn: Turn, actor: Actor, stops: Stops) -> set[int]:
        """What attempts still returned counts; gives those that have really ended."""
        ended = set[int]()
        for call, task in stops:
            if not task.done() or task.cancelled() or task.exception() is not None:
                continue
            stopped = task.result()
            if stopped.ended:
                ended.add(actor.tree.index[call.task])
            running = actor.tree.task(call.task)
            if (
                isinstance(stopped.outcome, Returned)
                and running is not None
                and is_running(running, call.attempt, call.generation)
            ):
                actor.apply(self._engine.judge.facts(turn, actor, call, stopped.outcome))
                turn.follow(actor)
        return ended
