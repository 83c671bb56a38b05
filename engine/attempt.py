"""How a running attempt talks back: progress, now and then, and checkpoints, each one."""

import asyncio
from typing import TYPE_CHECKING

from msgspec import Raw

from ..domain import decide
from ..domain.errors import InvalidTransition

if TYPE_CHECKING:
    from .actor import Actor
    from .engine import Engine
    from .turn import Turn

PROGRESS_INTERVAL = 1.0
"""Seconds between two stored values of one task."""


class Attempt:
    """`ports.AttemptPort` for one attempt. Lives in the engine's loop."""

    __slots__ = ("_actor", "_attempt", "_engine", "_last", "_next", "_task")

    def __init__(self, engine: "Engine", actor: "Actor", task: str, attempt: int) -> None:
        self._engine = engine
        self._actor = actor
        self._task = task
        self._attempt = attempt
        self._next = 0.0
        self._last: tuple[float, str] | None = None

    async def progress(self, fraction: float, message: str = "") -> None:
        """Keep the value; store it now, or with the next second's."""
        waiting = self._last is not None
        self._last = (fraction, message)
        if waiting:
            return
        loop = asyncio.get_running_loop()
        delay = self._next - loop.time()
        if delay <= 0:
            self._store()
        else:
            loop.call_later(delay, self._store)

    def _store(self) -> None:
        if self._last is None:
            return
        fraction, message = self._last
        self._last = None
        self._next = asyncio.get_running_loop().time() + PROGRESS_INTERVAL

        def decision(turn: "Turn") -> tuple["Actor | None", None]:
            facts = decide.progress(
                self._actor.tree, self._task, self._attempt, fraction, message,
                turn.stamp(self._actor),
            )  # fmt: skip
            self._actor.apply(facts)
            return self._actor if facts else None, None

        if self._engine.drives(self._actor):
            self._engine.post(decision)

    async def save(self, checkpoint: Raw) -> None:
        """Returns after the commit. Raises `InvalidTransition` where the attempt is over."""
        if not self._engine.drives(self._actor):
            raise InvalidTransition(f"attempt {self._attempt} of {self._task} is over")

        def decision(turn: "Turn") -> tuple["Actor | None", None]:
            stamp = turn.stamp(self._actor)
            turn.payload += len(bytes(checkpoint))
            tree = self._actor.tree
            self._actor.apply(decide.save(tree, self._task, self._attempt, checkpoint, stamp))
            return self._actor, None

        await self._engine.command(decision)
