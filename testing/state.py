"""Whether two trees are in the same state, and where they differ."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import structs

from ..domain.tree import Task, Tree

LIVE_ONLY = frozenset({"fresh"})
"""What an engine empties as it goes, so that a replay cannot have it."""


def differences(one: Tree, other: Tree, *, ignore: Iterable[str] = LIVE_ONLY) -> list[str]:
    """Every slot of the trees and every field of their tasks that differs; empty: the same state.

    The order of what is ready, due or running counts: decisions follow it.
    """
    left, right = state_of(one), state_of(other)
    for name in ignore:
        del left[name], right[name]
    return list(_differences("", left, right))


def state_of(tree: Tree) -> dict[str, Any]:
    """Everything a tree knows, as plain values that can be compared."""
    return {name: _plain(getattr(tree, name)) for name in Tree.__slots__}


def _plain(value: Any) -> Any:
    if isinstance(value, Task):
        return {name: _plain(field) for name, field in structs.asdict(value).items()}
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _differences(where: str, left: Any, right: Any) -> Iterable[str]:
    if left == right:
        return
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for name in left:
            yield from _differences(f"{where}.{name}", left[name], right[name])
    elif where == ".tasks" and len(left) == len(right):
        for n, (a, b) in enumerate(zip(left, right, strict=True)):
            yield from _differences(f"{where}[{n}]", a, b)
    else:
        yield f"{where.removeprefix('.')}: {left!r} != {right!r}"
