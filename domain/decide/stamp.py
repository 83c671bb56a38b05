"""What every fact of one decision has in common."""

from msgspec import Struct

from ..errors import InvalidInput
from ..tree import Task, Tree
from ..wording import quoted


class Stamp(Struct, frozen=True):
    """When, by whom and by which command: what every fact of one decision has in common."""

    at: str
    by: str = "engine"
    cause: str | None = None

    def after(self, tree: Tree) -> "Stamp":
        """The same, but never before the tree's last event: time does not go back in a stream."""
        return self if self.at >= tree.at else Stamp(tree.at, self.by, self.cause)


def known(tree: Tree, id: str) -> Task:
    """The task by id; raises `InvalidInput` where the tree has none."""
    task = tree.task(id)
    if task is None:
        raise InvalidInput(f"tree {tree.id} has no task {quoted(id)}")
    return task
