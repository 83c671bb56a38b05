"""One round of deciding: what it touched, what it will call, whom it will answer."""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from ..domain import decide
from ..domain.decide import Stamp
from .actor import Actor
from .ports import Call

SMALL_BYTES = 64 * 1024
EVENT_BYTES = 300
"""What a stored event weighs about, without the JSON that users put in."""


Decision = Callable[["Turn"], tuple[Actor | None, Any]]
"""A command: decides and applies inside a turn; gives the tree it touched and its answer."""


class Answer(Struct):
    """What a caller gets once the turn is durable."""

    future: "asyncio.Future[Any]"
    actor: Actor | None
    value: Any


class Turn:
    """Everything between two commits of one engine."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self.touched: dict[Actor, None] = {}
        self.launches: list[tuple[Actor, Call]] = []
        self.answers: list[Answer] = []
        self.payload = 0

    def stamp(self, actor: Actor) -> Stamp:
        """This turn's time, never before the tree's last event."""
        stamp = self._stamp
        return stamp if stamp.at >= actor.tree.at else stamp.after(actor.tree)

    def touch(self, actor: Actor) -> None:
        """The actor has something to store, or to follow up."""
        self.touched[actor] = None

    def follow(self, actor: Actor) -> None:
        """Apply all that follows by itself from what was applied."""
        tree = actor.tree
        if tree.open and not tree.due:
            return
        stamp = self.stamp(actor)
        while facts := decide.follow(tree, stamp):
            actor.apply(facts)

    def is_small(self) -> bool:
        """Whether the commit is small enough to be written without leaving the loop's thread."""
        events = sum(len(actor.pending) for actor in self.touched)
        return events * EVENT_BYTES + self.payload <= SMALL_BYTES
