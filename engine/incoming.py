"""What came up since the last turn: reports, commands, timers, tasks to be tried again."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ..domain import decide
from ..domain.errors import ApflowError, Defect
from .actor import Actor
from .defects import contain, tell
from .ports import Call, Outcome
from .timers import Alarm, is_ticking
from .turn import Answer, Decision, Turn

if TYPE_CHECKING:
    from .engine import Engine

log = logging.getLogger("aipartnerupflow.engine")


class Incoming:
    """Gathers for the next turn of one engine, and is taken into it, all at once."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._commands: list[tuple[Decision, asyncio.Future[Any], bool, str]] = []
        self._soon: list[tuple[Actor, int]] = []
        self.reports: list[tuple[Call, Outcome]] = []

    def add_command(
        self, decision: Decision, future: "asyncio.Future[Any]", patient: bool, tree: str
    ) -> None:
        """Decide it; the future gets the answer."""
        self._commands.append((decision, future, patient, tree))

    def add_start(self, actor: Actor, n: int) -> None:
        """Try to start a task."""
        self._soon.append((actor, n))

    def take(self, turn: Turn) -> None:
        """Decide it all."""
        self._take_reports(turn)
        self._take_commands(turn)
        if self._engine.timers:  # also what a tree that was just taken up has missed
            self._take_timers(turn)

    def offer(self) -> None:
        """Queue up what is to be started."""
        soon, self._soon = self._soon, []
        for actor, n in soon:
            if actor.driven:
                self._engine.starter.offer_one(actor, n)

    def _take_reports(self, turn: Turn) -> None:
        engine = self._engine
        reports, self.reports = self.reports, []
        for call, outcome in reports:
            actor = engine.actors.get(call.tree)
            if actor is None:
                engine.attempt_ended(call)
                log.warning("dropped a report of task %s: its tree is not run here", call.task)
                continue
            try:
                engine.attempt_ended(call)
                actor.apply(engine.judge.facts(turn, actor, call, outcome))
                turn.touch(actor)
            except Exception as error:  # noqa: BLE001 - the other reports would be lost with it
                contain(engine, turn, actor, error)

    def _take_commands(self, turn: Turn) -> None:
        commands, self._commands = self._commands, []
        for decision, future, patient, tree in commands:
            try:
                actor, value = decision(turn)
            except Exception as error:  # noqa: BLE001 - else who asked would wait for ever
                told = self._told(turn, tree, error)
                if not future.done():
                    future.set_exception(told)
                continue
            if actor is not None:
                turn.touch(actor)
            turn.answers.append(Answer(future, actor, value, patient))

    def _told(self, turn: Turn, tree: str, error: Exception) -> Exception:
        """What who gave a command hears. The tree of one that broke may be half changed."""
        if isinstance(error, ApflowError):
            return error
        actor = self._engine.actors.get(tree)
        if actor is None:
            tell(self._engine, "a defect showed in a command", error)
        else:
            contain(self._engine, turn, actor, error)
        return Defect(tree)

    def _take_timers(self, turn: Turn) -> None:
        for actor, n, alarm in self._engine.timers.rung():
            if not actor.driven:  # lost in this very turn
                continue
            try:
                self._ring(turn, actor, n, alarm)
            except Exception as error:  # noqa: BLE001 - the other timers would be lost with it
                contain(self._engine, turn, actor, error)

    def _ring(self, turn: Turn, actor: Actor, n: int, alarm: Alarm) -> None:
        tree = actor.tree
        stamp = turn.stamp(actor, due=alarm.due)
        ticking = is_ticking(actor, n)
        facts = decide.time_is_up(tree, n, stamp, due=alarm.due, ticking=ticking)
        if facts:
            actor.apply(facts)
            turn.touch(actor)
        elif n in tree.delayed:
            actor.ripe.add(n)
            self.add_start(actor, n)
        elif n in tree.running and n in tree.deadlines:
            self._engine.supervisor.overdue(actor, tree.at_n(n))
