"""Executors of other distributions, found by the entry points that these declare.

    [project.entry-points."aipartnerupflow.executors"]
    my_executor = "my_package.executors:MyExecutor"

The name on the left is the executor's id.
"""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

GROUP: Final = "aipartnerupflow.executors"


def find() -> Iterable[EntryPoint]:
    """All that is installed, not loaded."""
    return entry_points(group=GROUP)


def distribution(plugin: EntryPoint) -> str:
    """The name under which it was installed."""
    return plugin.dist.name if plugin.dist is not None else "unknown"
