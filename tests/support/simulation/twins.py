"""A second state beside the live one, made of the log alone: both are equal and decide alike."""

from collections.abc import Iterator

from aipartnerupflow.domain import decide
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.decide import Stamp
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.evolve import evolve, fold
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.engine.actor import Actor
from aipartnerupflow.testing.state import LIVE_ONLY, differences
from tests.support.simulation.ledger import Entry
from tests.support.simulation.world import World

EMPTIED = LIVE_ONLY | {"armed"}
"""What an engine empties as it goes."""


def unlike(world: World) -> Iterator[str]:
    """Where the state of a living engine is not what its log and what it is about to write give."""
    for node in world.nodes:
        if node.process.dead or node.engine is None:
            continue
        for actor in node.engine.actors.values():
            yield from (f"{node.name}: {fault}" for fault in _compare(world, actor))


def _compare(world: World, actor: Actor) -> Iterator[str]:
    entries = world.ledger.of(actor.tree.id).entries[: actor.stored]
    twin = fold(actor.tree.id, [entry.event for entry in entries])
    for event in actor.pending:
        evolve(twin, event)
    yield from (
        f"a twin of {twin.id} differs in {found}"
        for found in differences(twin, actor.tree, ignore=EMPTIED)
    )
    for task in twin.live():
        if decide.why(twin, task.spec.id) != decide.why(actor.tree, task.spec.id):
            yield f"a twin of {twin.id} tells {task.spec.label} otherwise"


def undecided(world: World) -> Iterator[str]:
    """Consequences in the log that a replay does not come to by itself, or that it misses."""
    for id, books in world.ledger.books.items():
        yield from _replayed(Tree(id), books.entries)


def _replayed(tree: Tree, entries: list[Entry]) -> Iterator[str]:
    """What follows from the state must come next in the log, and before its commit."""
    expected: list[AnyEvent] = []
    commit = 0
    for entry in entries:
        event = entry.event
        if entry.commit != commit:
            yield from _forgotten(tree)
            commit = entry.commit
        if not expected and _is_consequence(tree, event):
            expected = decide.follow(tree, Stamp(event.at, "engine", event.cause))
        if expected and _is_consequence(tree, event):
            wanted = expected.pop(0)
            if not _alike(wanted, event):
                yield f"{tree.id} v{tree.version + 1}: {event} where a replay decides {wanted}"
                expected = []
        evolve(tree, event)
    yield from _forgotten(tree)


def _forgotten(tree: Tree) -> Iterator[str]:
    if tree.submitted and (missing := decide.follow(tree, Stamp(tree.at))):
        yield f"{tree.id} v{tree.version}: not in the log is what follows from it, {missing}"


def _is_consequence(tree: Tree, event: AnyEvent) -> bool:
    """Whether it is of the kind that `decide.follow` makes."""
    match event:
        case (
            e.TaskStarted(task=id)
            | e.TaskCompleted(task=id)
            | e.TaskFailed(task=id)
            | e.TaskCancelled(task=id)
        ):
            return tree.at_n(tree.index[id]).is_group
        case e.TreeSettled():
            return True
        case _:
            return False


def _alike(one: AnyEvent, other: AnyEvent) -> bool:
    return type(one) is type(other) and getattr(one, "task", "") == getattr(other, "task", "")
