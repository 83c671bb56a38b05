"""`apflow run`: a tree from a file, run here."""

import asyncio
from collections.abc import Sequence

from ...engine.actor import Actor
from ...engine.engine import Engine
from ...engine.lifecycle import NewTree, create
from ..wiring import module_of, new_id
from .console import Console
from .desk import Desk, settle_in
from .drive import Drive, Ended
from .outcome import conclude
from .reading import read_tree
from .watch import Watch


def main(
    console: Console,
    *,
    file: str,
    store: str | None,
    imports: Sequence[str] | None,
    timeout: float | None,
) -> int:
    """Run the tree in ``file`` until it has settled."""
    settings = settle_in(imports, store)
    tree = read_tree(file, new_id, module_of)
    return run_tree(console, Desk(settings), tree, timeout=timeout)


def run_tree(console: Console, desk: Desk, tree: NewTree, *, timeout: float | None = None) -> int:
    """Create a tree and run it until it has settled; tells how it went."""

    async def begin(engine: Engine, watch: Watch) -> Sequence[Actor]:
        actor = await create(engine, tree, new_id, observers=[watch.observer()])
        console.say(f"to go on after an interruption: {desk.command('resume', actor.tree.id)}")
        return [actor]

    async def drive() -> Ended:
        return await Drive(console, desk, timeout=timeout).run(begin)

    ended = asyncio.run(drive())
    return conclude(console, desk, ended)
