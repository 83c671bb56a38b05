"""A tree's state out of its stream, which may be damaged."""

import gc
from collections.abc import Iterable

from ..domain.errors import NotFound, StoreCorrupt
from ..domain.events import Recorded
from ..domain.evolve import evolve
from ..domain.tree import Tree
from .garbage import Paused
from .ports import Journal

BIG = 20_000
"""What a stream longer than this was folded into, to be driven, is exempt from collection: it lives
for long.
"""


def load(journal: Journal, id: str, *, keep: bool = False) -> Tree:
    """The tree's state, folded from its stream. Raises `NotFound`, `StoreCorrupt`. Blocking.

    ``keep`` says that it is to be driven here, and not only looked at. What is garbage by then is
    collected before: it would be exempt too, for good.
    """
    tree = Tree(id)
    with Paused():
        _fold_into(tree, journal.read(id))
        if keep and tree.version > BIG:
            gc.collect()
            gc.freeze()
    if not tree.version:
        raise NotFound("tree", id)
    return tree


def _fold_into(tree: Tree, stream: Iterable[Recorded]) -> None:
    """Apply a stream that may be damaged: a gap, or an event that fits nothing, is told."""
    for recorded in stream:
        if recorded.version != tree.version + 1:
            raise StoreCorrupt(_broken(tree, "is missing"))
        try:
            evolve(tree, recorded.event)
        except (AssertionError, IndexError, KeyError, ValueError) as error:
            tree.version -= 1
            raise StoreCorrupt(_broken(tree, "does not fit what stands before it")) from error


def _broken(tree: Tree, what: str) -> str:
    return (
        f"the history of tree {tree.id} is damaged: its event {tree.version + 1} {what}. "
        "Keep a copy of the store and restore it from a backup; this tree is left alone."
    )
