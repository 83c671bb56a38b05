"""Pages that are bounded in bytes too: what a page holds, a server holds for each who asks."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ...projections.views import TaskView

MAX_PAGE: Final = 16 << 20
"""Bytes of users' JSON on a page, one item at least; `next` leads to the others."""
MAX_STEP: Final = 16
"""So many tasks are read at a time: the results of all of them may be large."""


def size_of(task: TaskView) -> int:
    """Bytes of users' JSON that are told with a task."""
    parts = (task.inputs, task.params, task.schemas, task.result)
    return sum(len(memoryview(part)) for part in parts if part is not None)


def bitten(tasks: Iterable[TaskView], limit: int) -> tuple[list[TaskView], bool]:
    """As many of these as a page takes, and whether more are there."""
    found: list[TaskView] = []
    left = MAX_PAGE
    for task in tasks:
        left -= size_of(task)
        if len(found) == limit or (found and left < 0):
            return found, True
        found.append(task)
    return found, False


def stepwise(
    read: Callable[[int | None, int], Sequence[TaskView]], after: int | None, most: int
) -> Iterable[TaskView]:
    """At most so many of what ``read`` (after, limit) gives, a few at a time. Blocking."""
    step = 4
    while most > 0 and (some := read(after, min(step, most))):
        yield from some
        after, most, step = some[-1].n, most - len(some), min(MAX_STEP, 2 * step)
