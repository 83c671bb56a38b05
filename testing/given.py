"""Tests as sentences: given these facts, when this is decided, then these facts follow.

    given(running("r", "a", "b <- a"), started("a"))
        .when(complete, "a", 1)
        .then(completed("a"))

What was given and what is expected come from `trees`, or are events written out. An expected fact
must be equal in every field; only `at`, `by` and `cause` may be left open with ``""``.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from msgspec import json, structs

from ..domain import decide
from ..domain.decide import Stamp
from ..domain.errors import ApflowError
from ..domain.events import AnyEvent
from ..domain.evolve import evolve, fold
from ..domain.tree import Tree
from .state import differences
from .trees import OPEN, flat

STAMP = Stamp("2026-01-01T00:00:00.000000Z", "user", "command-1")
"""When, by whom and by which command everything is decided, unless a test says otherwise."""

TREE = "r"
"""The id of the tree that tests talk about."""

_E = TypeVar("_E", bound=ApflowError)
Decide = Callable[..., list[AnyEvent]]


def given(*facts: AnyEvent | Iterable[AnyEvent], tree: str = TREE) -> "Given":
    """The stream so far: events, or lists of events as `trees` makes them, one after the other."""
    return Given(tree, flat(facts))


def start(tree: Tree, id: str, stamp: Stamp, **options: Any) -> list[AnyEvent]:
    """`decide.start` by id: people do not number tasks."""
    return decide.start(tree, tree.index[id], stamp, **options)


class Given:
    """A stream, and the state it folds to."""

    def __init__(self, tree: str, facts: Sequence[AnyEvent]) -> None:
        self._id = tree
        self._facts = facts

    @property
    def tree(self) -> Tree:
        """The state, folded afresh."""
        return fold(self._id, self._facts)

    def when(
        self, command: Decide, *arguments: Any, stamp: Stamp = STAMP, **options: Any
    ) -> "Decided":
        """Ask ``command`` with the tree first and the stamp last of the arguments in their order.

        Without any facts there is no tree, and none is handed over. Fails where the command
        changes the state it was asked about.
        """
        tree = self.tree
        first = (tree,) if self._facts else ()
        facts: list[AnyEvent] = []
        error: ApflowError | None = None
        try:
            facts = command(*first, *arguments, stamp, **options)
        except ApflowError as refusal:
            error = refusal
        touched = differences(tree, self.tree, ignore=())
        assert not touched, f"deciding changed the state: {'; '.join(touched)}"
        return Decided(self, facts, error)

    def and_then(self, *facts: AnyEvent | Iterable[AnyEvent]) -> "Given":
        """The stream with more facts."""
        return Given(self._id, [*self._facts, *flat(facts)])


class Decided:
    """What a command came to."""

    def __init__(self, before: Given, facts: Sequence[AnyEvent], error: ApflowError | None) -> None:
        self._before = before
        self._facts = facts
        self._error = error

    @property
    def facts(self) -> Sequence[AnyEvent]:
        """The facts; fails where the command was refused."""
        if self._error is not None:
            raise AssertionError(f"refused: {self._error}") from self._error
        return self._facts

    @property
    def tree(self) -> Tree:
        """The state after these facts."""
        return self._before.and_then(self.facts).tree

    def then(self, *expected: AnyEvent) -> "Given":
        """Exactly these facts, in this order. Returns the stream with them, to go on from."""
        _same(self.facts, expected)
        return self._before.and_then(self.facts)

    def then_nothing(self) -> None:
        """No facts, and no refusal."""
        self.then()

    def then_in_all(self, *expected: AnyEvent) -> "Given":
        """Exactly these facts together with all that follow from them by themselves."""
        tree, facts = self.tree, list(self.facts)
        while entailed := decide.follow(tree, STAMP):
            for fact in entailed:
                evolve(tree, fact)
            facts.extend(entailed)
        _same(facts, expected)
        return self._before.and_then(facts)

    def refuses(self, error: type[_E], match: str = "") -> _E:
        """This error with a message in which ``match`` is found; returned for a closer look."""
        if self._error is None:
            raise AssertionError(f"not refused; decided was {_lines(self._facts)}")
        assert isinstance(self._error, error), f"another refusal: {self._error!r}"
        found = re.search(match, str(self._error))
        assert found, f"{match!r} is not in the message: {self._error}"
        return self._error


def _same(facts: Sequence[AnyEvent], expected: Sequence[AnyEvent]) -> None:
    seen = [_as_open_as(fact, wanted) for fact, wanted in zip(facts, expected, strict=False)]
    seen.extend(facts[len(seen) :])
    if seen != list(expected):
        raise AssertionError(f"expected {_lines(expected)}\nbut decided was {_lines(facts)}")


def _as_open_as(fact: AnyEvent, wanted: AnyEvent) -> AnyEvent:
    """The fact without what the expected one leaves open."""
    left_open = [name for name in ("at", "by", "cause") if getattr(wanted, name) == OPEN]
    return structs.replace(fact, **dict.fromkeys(left_open, OPEN))


def _lines(facts: Sequence[AnyEvent]) -> str:
    lines = [f"\n    {fact.topic} {json.encode(fact).decode()}" for fact in facts]
    return "".join(lines) or "nothing"
