"""Attempts under way: how long they may take, how long they may be silent, and how they are ended.

All of it is measured by the loop's monotonic clock and lives with the engine: after a restart an
attempt is a new one, or one that was taken over, whose time begins again.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ..domain import decide
from ..domain.decide.attempts import is_running
from ..domain.events import AnyEvent
from ..domain.specs import NO_POLICY, ErrorInfo, Policy
from ..domain.tree import Task
from .attempt import Attempt
from .ports import Backend, Call, Returned

if TYPE_CHECKING:
    from .actor import Actor
    from .engine import Engine
    from .turn import Turn

GRACE = 10.0
"""Seconds for which former work may still be looked for once it is to end."""


class _Watched(Struct):
    """An attempt that was called: what looks after it, and whether it is being ended."""

    actor: "Actor"
    call: Call
    timers: tuple[asyncio.TimerHandle, ...] = ()
    ending: bool = False
    hurried: bool = False

    def add(self, timer: asyncio.TimerHandle) -> None:
        """It is cancelled when the attempt is over."""
        self.timers = (*self.timers, timer)


class Supervisor:
    """Watches the attempts of one engine and ends those that are to end."""

    def __init__(self, engine: "Engine", backend: Backend) -> None:
        self._engine = engine
        self._backend = backend
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._overdue: dict[tuple[str, str], Task] = {}

    def began(self, actor: "Actor", call: Call, policy: Policy) -> None:
        """The executor of ``call`` was called."""
        watched = _Watched(actor, call)
        self._watched[call.tree, call.task] = watched
        if call.reattach:
            self.end_cancelled(actor)
        if policy is NO_POLICY:
            return
        overdue = self._overdue.pop((call.tree, call.task), None)
        if overdue is not None and overdue.generation == call.generation:
            self._end(watched, decide.overdue(overdue), final=True)
        loop = self._engine.loop
        if policy.timeout is not None:
            text = f"the attempt took longer than {policy.timeout:g} s"
            error = _timeout("attempt_timeout", text)
            watched.add(loop.call_later(policy.timeout, self._end, watched, error))
        if policy.heartbeat is not None:
            self._listen(watched, policy.heartbeat, loop.time())

    def ended(self, call: Call) -> None:
        """The attempt is over."""
        key = (call.tree, call.task)
        watched = self._watched.get(key)
        if watched is not None and (watched.call is call or watched.call.is_same(call)):
            del self._watched[key]
            for timer in watched.timers:
                timer.cancel()

    def forget(self, calls: Sequence[Call]) -> list[Call]:
        """These are not ours to watch any more; returns those that had begun."""
        begun = [call for call in calls if (call.tree, call.task) in self._watched]
        for call in begun:
            self.ended(call)
        return begun

    def end_cancelled(self, actor: "Actor") -> None:
        """End what was asked to end, once that is durable; what is looked for, once it is found.

        A look that takes too long is given up.
        """
        tree = actor.tree
        for n in tree.cancels:
            watched = self._watched.get((tree.id, tree.at_n(n).spec.id))
            if watched is None:
                continue
            if n not in tree.orphans:
                self._end(watched, None)
            elif not watched.hurried:
                watched.hurried = True
                loop = self._engine.loop
                watched.add(loop.call_later(GRACE, self._end, watched, None))

    def overdue(self, actor: "Actor", task: Task) -> None:
        """The deadline of a running task has passed, maybe while its start was being stored."""
        key = (actor.tree.id, task.spec.id)
        watched = self._watched.get(key)
        if watched is None:
            self._overdue[key] = task
        else:
            self._end(watched, decide.overdue(task), final=True)

    def _listen(self, watched: _Watched, silence: float, heard: float) -> None:
        """Look again when the attempt would have been silent for too long."""
        loop = self._engine.loop
        port = watched.call.port
        if isinstance(port, Attempt):
            heard = max(heard, port.heard)
        at = heard + silence
        if loop.time() >= at:
            error = _timeout("heartbeat_timeout", f"no sign of life for {silence:g} s")
            self._end(watched, error)
        else:
            watched.timers = tuple(t for t in watched.timers if t.when() > loop.time())
            watched.add(loop.call_at(at, self._listen, watched, silence, heard))

    def _end(self, watched: _Watched, error: ErrorInfo | None, *, final: bool = False) -> None:
        if watched.ending or not watched.actor.driven:
            return
        watched.ending = True
        self._engine.in_background(self._stop(watched, error, final))

    async def _stop(self, watched: _Watched, error: ErrorInfo | None, final: bool) -> None:
        """End it for good, then say what came of it: a result that it still gave to a cancel."""
        actor, call = watched.actor, watched.call
        stopped = await self._backend.stop(call)

        def decision(turn: "Turn") -> tuple["Actor | None", None]:
            if not actor.driven:
                return None, None
            self._engine.attempt_ended(call)
            tree = actor.tree
            task = tree.task(call.task)
            if task is None or not is_running(task, call.attempt, call.generation):
                return None, None
            facts: Sequence[AnyEvent]
            if error is not None and task.n not in tree.cancels:
                facts = self._engine.judge.failure(turn, actor, call, error, final=final)
            elif isinstance(stopped.outcome, Returned):
                facts = self._engine.judge.facts(turn, actor, call, stopped.outcome)
            else:
                stamp, ended = turn.stamp(actor), stopped.ended and task.n not in tree.orphans
                facts = decide.stopped(
                    tree, call.task, call.attempt, stamp, ended=ended, generation=call.generation
                )
            actor.apply(facts)
            return actor, None

        self._engine.post(decision, tree=actor.tree.id)


def _timeout(type: str, message: str) -> ErrorInfo:
    return ErrorInfo(type, message, ("TimeoutError", "TransientError"))
