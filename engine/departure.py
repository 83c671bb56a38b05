"""How trees leave an engine: settled, lost to somebody else, or released in good order."""

import asyncio
import logging
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from ..domain import decide
from ..domain.decide import Stamp
from ..domain.decide.attempts import is_running
from ..domain.errors import ApflowError, Defect, Released
from ..domain.time import to_text
from .actor import Actor
from .defects import tell
from .loading import load
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
        stops = self.let_go(actor)
        actor.abandon(error)
        defect = isinstance(error, Defect)
        if defect:
            self._engine.defects.note(actor.tree.id)
        if stops or defect:
            self._engine.leaving.add(actor.tree.id)
            self._engine.in_background(self._leave_behind(actor.tree.id, stops, free=defect))

    async def _leave_behind(self, tree: str, stops: Stops, *, free: bool) -> None:
        """Nobody here takes the tree up while something of it still runs; then it is ``free`` for
        all, where nobody else has it.
        """
        try:
            if stops:
                await asyncio.wait([task for _, task in stops])
            if free:
                await self._free(tree, {call.task for call, task in stops if _has_ended(task)})
        except ApflowError as error:  # somebody else wrote, or it was never stored
            log.info("tree %s was not released: %s", tree, error)
        finally:
            self._engine.leaving.discard(tree)

    async def _free(self, id: str, ended: Container[str]) -> None:
        """As `release`, from what is stored."""
        engine = self._engine
        await engine.quiet()
        tree = await asyncio.to_thread(load, engine.journal, id)
        if tree.engine != engine.name:
            return

        def decision(turn: Turn) -> tuple[Actor, None]:
            actor = Actor(tree)
            over = {n for n in tree.running if tree.at_n(n).spec.id in ended}
            actor.apply(decide.release(tree, turn.stamp(actor), ended=over))
            return actor, None

        await engine.post(decision)

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
            try:
                self._store(leaving)
            finally:
                self._engine.leaving -= ids
                for actor in actors:
                    actor.abandon(Released(actor.tree.id))

    def _store(self, leaving: dict[Actor, Stops]) -> None:
        turn = Turn(Stamp(to_text(self._engine.clock.now())))
        units: list[Unit] = []
        for actor, stops in leaving.items():
            try:
                ended = self._take_results(turn, actor, stops)
                actor.apply(decide.release(actor.tree, turn.stamp(actor), ended=ended))
                turn.follow(actor)
            except Exception as error:  # noqa: BLE001 - the others are to be released
                tell(self._engine, f"a defect showed in tree {actor.tree.id}", error)
            if actor.pending:
                units.append((actor.to_append(),))
        results = self._engine.committer.commit(units) if units else []
        for refused in filter(None, results):
            log.warning("a tree could not be released in good order: %s", refused)

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


def _has_ended(stop: "asyncio.Task[Stopped]") -> bool:
    return not stop.cancelled() and stop.exception() is None and stop.result().ended
