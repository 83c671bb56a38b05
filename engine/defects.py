"""A defect that shows in one tree costs this engine that tree, and no other tree its turn."""

from typing import TYPE_CHECKING

from ..domain.errors import Defect

if TYPE_CHECKING:
    from .actor import Actor
    from .engine import Engine
    from .turn import Turn


def contain(engine: "Engine", turn: "Turn", actor: "Actor", error: Exception) -> None:
    """Let go of the tree: nothing of what this turn decided for it is stored, and who waits for it
    is told. The loop's exception handler gets what went wrong.

    What is stored is untouched: the tree can be taken up again.
    """
    tell(engine, f"a defect showed in tree {actor.tree.id}", error)
    told = Defect(actor.tree.id)
    start = turn.drop(actor, told)
    if start is not None:
        engine.starter.refused(start)
    engine.lose(actor, told)


def tell(engine: "Engine", message: str, error: Exception) -> None:
    """To whoever operates the process."""
    engine.loop.call_exception_handler({"message": message, "exception": error})
