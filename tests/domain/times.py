"""Times in tests: seconds after `STAMP`, and the commands on numbered tasks by their ids."""

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from aipartnerupflow.domain import decide
from aipartnerupflow.domain.decide import Stamp
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.time import later, to_seconds
from aipartnerupflow.domain.tree import Task, Tree
from aipartnerupflow.testing.given import STAMP, Given
from aipartnerupflow.testing.trees import flat


def at(seconds: float) -> str:
    """So many seconds after `STAMP`."""
    return later(STAMP.at, seconds)


def seconds_of(text: str) -> float:
    """How many seconds after `STAMP` a time is."""
    return round(to_seconds(text) - to_seconds(STAMP.at), 6)


def stamp(seconds: float) -> Stamp:
    """A decision so many seconds after `STAMP`."""
    return Stamp(at(seconds), STAMP.by, STAMP.cause)


def dated(seconds: float, *facts: AnyEvent | Iterable[AnyEvent]) -> list[AnyEvent]:
    """These facts, all at one time."""
    return [structs.replace(fact, at=at(seconds)) for fact in flat(facts)]


def wait(tree: Tree, id: str, stamp: Stamp, **options: Any) -> list[AnyEvent]:
    """`decide.wait` by id."""
    return decide.wait(tree, tree.index[id], stamp, **options)


def time_is_up(tree: Tree, id: str, stamp: Stamp, **options: Any) -> list[AnyEvent]:
    """`decide.time_is_up` by id."""
    return decide.time_is_up(tree, tree.index[id], stamp, **options)


def the(id: str, stream: Given) -> Task:
    """The task as it is after these facts."""
    task = stream.tree.task(id)
    assert task is not None
    return task


def statuses(stream: Given) -> dict[str, str]:
    """The public status of each task."""
    return {task.spec.id: task.status for task in stream.tree.live()}


def ready(stream: Given) -> list[str]:
    """Which tasks could start, in their order."""
    return [stream.tree.at_n(n).spec.id for n in stream.tree.ready]


def blocked(stream: Given) -> dict[str, str]:
    """By blocked task: the one that made it so."""
    tree = stream.tree
    return {t.spec.id: tree.at_n(t.blocker).spec.id for t in tree.live() if t.blocked}
