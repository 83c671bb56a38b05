"""What the copies of the status rows that databases make have in common."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...projections.rebuild import Difference, TreeChanges, torn
from .chain import START, Head
from .journal import Batch


class Numbers:
    """The row numbers of trees in a copy; remembers those of trees that are not over."""

    def __init__(self, make: Callable[[Batch], int], find: Callable[[str], int | None]) -> None:
        self._make = make
        self._find = find
        self._known: dict[str, int] = {}

    def of(self, made: Sequence[TreeChanges]) -> tuple[list[Batch], list[Head]]:
        """The changes as the row writers take them. New trees are made, or get a number."""
        batches = [Batch(one.tree, 0, [], one.changes, None) for one in made]
        return batches, [Head(0, START, self._number(batch)) for batch in batches]

    def _number(self, batch: Batch) -> int:
        tree = batch.tree
        if batch.changes.new_tree is not None:
            number = self._make(batch)
        else:
            known = self._known.get(tree) or self._find(tree)
            if known is None:
                raise torn(tree, 1)
            number = known
        if batch.changes.tree.phase in ("settled", "adopted"):
            self._known.pop(tree, None)
        else:
            self._known[tree] = number
        return number


def paired(
    table: str, names: Iterable[str], rows: Iterable[Sequence[Any]], limit: int
) -> list[Difference]:
    """The first ``limit`` differences in rows with the columns ``subject`` and ``side``.

    Of twice as many rows, a pair that was cut apart stands behind those.
    """
    columns = tuple(names)
    sides: dict[str, dict[str, dict[str, Any]]] = {}
    for values in rows:
        row = dict(zip(columns, values, strict=True))
        sides.setdefault(str(row.pop("subject")), {})[row.pop("side")] = row
    found = [
        Difference(table, subject, side.get("stored"), side.get("rebuilt"))
        for subject, side in sides.items()
    ]
    return found[:limit]


def misplaced(stored: int, rebuilt: int) -> list[Difference]:
    """The difference in position, where there is one."""
    if stored == rebuilt:
        return []
    return [Difference("tracking", "status", {"position": stored}, {"position": rebuilt})]
