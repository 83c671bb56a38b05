"""How a running attempt talks back: progress, now and then, and checkpoints, each one."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Raw

from ..domain import decide
from ..domain.decide import Stamp
from ..domain.errors import InvalidTransition
from ..domain.events import AnyEvent
from ..domain.tree import Task, Tree

if TYPE_CHECKING:
    from .actor import Actor
    from .engine import Engine
    from .turn import Turn

PROGRESS_INTERVAL = 1.0
"""Seconds between two stored values of one task."""


class Attempt:
    """`ports.AttemptPort` for one attempt. Lives in the engine's loop.

    ``heard`` is when it last gave a sign of life, by the loop's clock.
    """

    __slots__ = (
        "_actor", "_attempt", "_engine", "_generation", "_last", "_next", "_task", "heard",
    )  # fmt: skip

    def __init__(self, engine: "Engine", actor: "Actor", task: Task, attempt: int) -> None:
        self._engine = engine
        self._actor = actor
        self._task = task.spec.id
        self._attempt = attempt
        self._generation = task.generation
        self._next = 0.0
        self._last: tuple[float, str] | None = None
        self.heard = 0.0

    def beat(self) -> None:
        """See `ports.AttemptPort.beat`."""
        self.heard = self._engine.loop.time()

    async def progress(self, fraction: float, message: str = "") -> None:
        """Keep the value; store it now, or with the next second's."""
        self.beat()
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
            if not self._actor.driven:  # lost since: what it held back must not be stored
                return None, None
            facts = decide.progress(
                self._actor.tree, self._task, self._attempt, fraction, message,
                turn.stamp(self._actor), generation=self._generation,
            )  # fmt: skip
            self._actor.apply(facts)
            return self._actor if facts else None, None

        if self._actor.driven:
            self._engine.post(decision, tree=self._actor.tree.id)

    async def save(self, checkpoint: Raw) -> None:
        """Returns after the commit. Raises `InvalidTransition` where the attempt is over."""
        self.beat()
        size = len(bytes(checkpoint))

        def facts(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
            return decide.save(
                tree, self._task, self._attempt, checkpoint, stamp, generation=self._generation
            )

        await self._say(facts, size)

    async def taken_over(self) -> None:
        """See `ports.AttemptPort.taken_over`."""
        self.beat()

        def facts(tree: Tree, stamp: Stamp) -> list[AnyEvent]:
            return decide.take_over(
                tree, self._task, self._attempt, stamp, generation=self._generation
            )

        await self._say(facts)

    async def _say(self, facts: Callable[[Tree, Stamp], list[AnyEvent]], size: int = 0) -> None:
        """Decide in the next turn; returns once it is durable."""
        actor = self._actor
        if not actor.driven:
            raise InvalidTransition(f"attempt {self._attempt} of {self._task} is over")

        def decision(turn: "Turn") -> tuple["Actor | None", None]:
            turn.payload += size
            if not actor.driven:
                raise InvalidTransition(f"attempt {self._attempt} of {self._task} is over")
            actor.apply(facts(actor.tree, turn.stamp(actor)))
            return actor, None

        await self._engine.post(decision, tree=actor.tree.id)
