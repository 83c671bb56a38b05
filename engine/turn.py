"""One round of deciding: what it touched, what it will call, whom it will answer."""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Raw, Struct

from ..domain import decide
from ..domain.decide import Stamp
from ..domain.errors import ApflowError
from ..domain.events import AnyEvent
from ..domain.specs import Policy
from .actor import Actor
from .dispatch import Entry, Key
from .ports import Append, Call

SMALL_BYTES = 64 * 1024
EVENT_BYTES = 300
"""What a stored event weighs about, without the JSON that users put in."""


Decision = Callable[["Turn"], tuple[Actor | None, Any]]
"""A command: decides and applies inside a turn; gives the tree it touched and its answer."""


class Answer(Struct):
    """What a caller gets once the turn is durable, if he is ``patient`` enough."""

    future: "asyncio.Future[Any]"
    actor: Actor | None
    value: Any
    patient: bool


class Provisional(Struct):
    """A start that the store may refuse, because it needs a place under a concurrency key.

    Its facts are stored behind all else of its tree, and applied once they are.
    """

    actor: Actor
    call: Call
    entry: Entry
    keys: tuple[Key, ...]
    inputs: Raw | None
    stamp: Stamp
    facts: list[AnyEvent] = []

    @property
    def policy(self) -> Policy:
        """That of its task."""
        return self.actor.tree.at_n(self.entry[3]).spec.policy

    def to_append(self) -> Append:
        """The start, with those of the groups that begin with it."""
        tree = self.actor.tree
        task = tree.at_n(self.entry[3])
        stamp = self.stamp.after(tree)
        self.facts = [
            *decide.start(tree, task.n, stamp, inputs=self.inputs),
            *(decide.group_started(group, stamp) for group in decide.groups_to_start(tree, task)),
        ]
        return Append(tree.id, tree.version, self.facts, tree.index, keyed=True)


class Turn:
    """Everything between two commits of one engine."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self.touched: dict[Actor, None] = {}
        self.launches: list[tuple[Actor, Call, Policy]] = []
        self.provisional: dict[Actor, Provisional] = {}
        self.answers: list[Answer] = []
        self.payload = 0

    @property
    def at(self) -> str:
        """The time of this turn."""
        return self._stamp.at

    def stamp(self, actor: Actor, *, due: str = "") -> Stamp:
        """This turn's time, never before the tree's last event, nor before what was ``due``.

        A clock that was set back makes no timer early.
        """
        at = max(self._stamp.at, actor.tree.at, due)
        return self._stamp if at == self._stamp.at else Stamp(at, self._stamp.by)

    def stamp_for(self, actor: Actor, by: str, cause: str | None = None) -> Stamp:
        """The same for a command of somebody's."""
        return Stamp(self.stamp(actor).at, by, cause)

    def touch(self, actor: Actor) -> None:
        """The actor has something to store, or to follow up."""
        self.touched[actor] = None

    def drop(self, actor: Actor, error: ApflowError) -> Provisional | None:
        """Who asked for something of the actor hears of the ``error``. Gives the start for which it
        wanted a place.
        """
        for answer in self.answers:
            if answer.actor is actor and not answer.future.done():
                answer.future.set_exception(error)
        return self.provisional.pop(actor, None)

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
        return self._events() * EVENT_BYTES + self.payload <= SMALL_BYTES

    def rows(self) -> int:
        """How many events, and new tasks, are to be stored."""
        new = sum(len(actor.tree.tasks) for actor in self.touched if not actor.stored)
        return self._events() + new

    def _events(self) -> int:
        return sum(len(actor.pending) for actor in self.touched) + 2 * len(self.provisional)
