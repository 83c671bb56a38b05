"""Which tree, and which task of it, is meant."""

from ...domain.errors import InvalidInput, NotFound
from .source import Source


def place(source: Source, id: str, key: str | None) -> tuple[str, str | None]:
    """The tree, and the id of the task in it if one is meant.

    Raises `InvalidInput`, `NotFound`.
    """
    task = source.task_alone(id)
    if task is not None:
        if key is not None:
            raise InvalidInput(f"{id} is a task already; --task belongs to a tree")
        return task.tree_id, task.id
    tree = source.tree_id(id)
    if key is None:
        return tree, None
    for one in source.outline(tree):
        if key in (one.key, one.id):
            return tree, one.id
    raise NotFound("task", key)
