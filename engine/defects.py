"""A defect that shows in one tree costs this engine that tree, and no other tree its turn."""

from typing import TYPE_CHECKING, Final

from ..domain.errors import Defect

if TYPE_CHECKING:
    import asyncio

    from .actor import Actor
    from .engine import Engine
    from .turn import Turn

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds after which a tree is taken up again, twice as many each time."""


def contain(engine: "Engine", turn: "Turn", actor: "Actor", error: Exception) -> None:
    """Let go of the tree, and tell who waits for it; the loop's exception handler gets the error.

    What was decided before the defect showed is pending as a whole, and stored with this turn; of a
    tree that was never stored nothing is. The tree is taken up again from what is stored: its state
    here may be half changed.
    """
    told = Defect(actor.tree.id)
    tell(engine, f"a defect showed in tree {actor.tree.id}", error)
    if not actor.stored:
        turn.touched.pop(actor, None)
    start = turn.drop(actor, told)
    if start is not None:
        engine.starter.refused(start)
    engine.lose(actor, told)


def tell(engine: "Engine", message: str, error: BaseException) -> None:
    """To whoever operates the process."""
    engine.loop.call_exception_handler({"message": message, "exception": error})


class Defects:
    """When trees in which a defect showed may be taken up again by this engine."""

    def __init__(self, loop: "asyncio.AbstractEventLoop") -> None:
        self._loop = loop
        self._seen: dict[str, tuple[float, float]] = {}

    def note(self, tree: str) -> None:
        """One more."""
        last = self._seen.get(tree, (FIRST_PAUSE / 2, 0.0))[0]
        pause = min(last * 2, LONGEST_PAUSE)
        self._seen[tree] = pause, self._loop.time() + pause

    def forget(self, tree: str) -> None:
        """It has settled."""
        self._seen.pop(tree, None)

    def holds_off(self, tree: str) -> bool:
        """Whether it is too soon for another try."""
        return self._seen.get(tree, (0.0, 0.0))[1] > self._loop.time()
