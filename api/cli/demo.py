"""`apflow demo`: something to look at, with what every installation has."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...domain.intake import read
from ...engine.lifecycle import NewTree
from ..wiring import new_id
from .console import Console
from .desk import Desk, settle_in
from .run import run_tree

RESOURCES: Final = ("cpu", "memory", "disk")


def main(console: Console, *, store: str | None, imports: Sequence[str] | None) -> int:
    """Run the tree, then name the commands that look at it."""
    desk = Desk(settle_in(imports, store))
    intake = read([msgspec.json.encode(task) for task in tasks()], new_id)
    code = run_tree(console, desk, NewTree(intake.specs, "demo", None))
    console.say(f"every fact is in {desk.place}; look at it again at any time:")
    console.say(f"  {desk.command('list')}")
    console.say("to see a restart: run a longer tree, end it by Ctrl-C or kill -9, then")
    console.say(f"  {desk.command('resume')}")
    return code


def tasks() -> list[dict[str, Any]]:
    """Three tasks that read figures of this machine side by side, one that gathers them."""
    look: list[dict[str, Any]] = [
        {
            "key": name,
            "name": "system_info_executor",
            "parent_id": "machine",
            "inputs": {"resource": name},
        }
        for name in RESOURCES
    ]
    gather = {
        "key": "machine",
        "name": "aggregate_results_executor",
        "dependencies": list(RESOURCES),
    }
    return [gather, *look]
