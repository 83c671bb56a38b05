"""Open work: the submitted trees that have not settled since, each with who claimed it last.

This fold says what the stores' query of that name has to answer.
"""

from collections.abc import Iterable

from msgspec import Struct

from ..domain import events as e


class OpenWork(Struct):
    """A tree to be driven. ``engine`` is empty and ``epoch`` 0 where nobody has claimed it yet."""

    id: str
    name: str
    engine: str = ""
    epoch: int = 0
    released: bool = True


def open_work(log: Iterable[e.Recorded]) -> list[OpenWork]:
    """What is open after all events of a store, in the order in which the trees were created."""
    trees: dict[str, OpenWork] = {}
    submitted: set[str] = set()
    for recorded in log:
        id = recorded.tree
        match recorded.event:
            case e.TreeCreated(name=name):
                trees[id] = OpenWork(id, name)
            case e.TreeSubmitted() | e.TreeReopened():
                submitted.add(id)
            case e.TreeClaimed(engine=engine, epoch=epoch):
                tree = trees[id]
                tree.engine, tree.epoch, tree.released = engine, epoch, False
            case e.TreeReleased():
                trees[id].released = True
            case e.TreeSettled():
                submitted.discard(id)
            case e.TreeAdopted():
                del trees[id]
            case _:
                pass
    return [tree for id, tree in trees.items() if id in submitted]
