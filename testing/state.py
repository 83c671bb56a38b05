"""Whether two trees are in the same state, and where they differ."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ..domain.tree import Task, Tree

LIVE_ONLY = frozenset({"fresh"})
"""What an engine empties as it goes, so that a replay cannot have it."""
_LOOKED_UP = frozenset({"listeners"})
"""What follows from the rest, and is there from when it is first asked for."""


def differences(one: Tree, other: Tree, *, ignore: Collection[str] = LIVE_ONLY) -> list[str]:
    """Every slot of the trees and every field of their tasks that differs; empty: the same state.

    The order of what is ready, due or running counts: decisions follow it.
    """
    found: list[str] = []
    for name in Tree.__slots__:
        left, right = getattr(one, name), getattr(other, name)
        if name in ignore or name in _LOOKED_UP or _same(left, right):
            continue
        if name == "tasks" and len(left) == len(right):
            found.extend(_between_tasks(left, right))
        else:
            found.append(f"{name}: {left!r} != {right!r}")
    return found


def _same(left: Any, right: Any) -> bool:
    ordered = not isinstance(left, dict) or list(left) == list(right)
    return ordered and bool(left == right)


def _between_tasks(left: Sequence[Task | None], right: Sequence[Task | None]) -> Iterator[str]:
    for n, (a, b) in enumerate(zip(left, right, strict=True)):
        for name in Task.__struct_fields__:
            x, y = getattr(a, name, None), getattr(b, name, None)
            if x != y:
                yield f"tasks[{n}].{name}: {x!r} != {y!r}"
