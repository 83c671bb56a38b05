"""`apflow resume`: goes on with what was interrupted."""

import asyncio
from collections.abc import Callable, Sequence

from msgspec import Struct

from ...domain.errors import (
    ApflowError,
    InvalidTransition,
    NotADraft,
    OwnedElsewhere,
    StaleVersion,
)
from ...engine.actor import Actor, Observer
from ...engine.engine import Engine
from ...engine.lifecycle import resume
from ...projections.views import TreeView
from ..documents import Page, WholeTree
from ..problems import Exit, Problem, kind_of, problem
from .console import Console, clean
from .desk import Desk, settle_in
from .drive import Drive, Ended
from .local import Local
from .outcome import code_of, require_the_end, summarise
from .text import count
from .watch import Watch

SUMMARISED = 5
"""So many trees are told of in full."""


class Left(Struct, frozen=True):
    """A tree that was not gone on with, and why."""

    id: str
    problem: Problem


class Resumption(Page, frozen=True):
    """The trees that were gone on with, and those that were not."""

    left: tuple[Left, ...] = ()


def main(
    console: Console,
    *,
    trees: Sequence[str] | None,
    store: str | None,
    imports: Sequence[str] | None,
    take_over: bool,
    timeout: float | None,
) -> int:
    """Go on with the trees named, or with all, until they have settled."""
    desk = Desk(settle_in(imports, store), make=False)
    ids = {desk.tree_id(prefix) for prefix in trees} if trees else None
    for id in ids or ():
        _require_submitted(desk.store.tree(id))
    refused: dict[str, ApflowError] = {}

    async def begin(engine: Engine, watch: Watch) -> Sequence[Actor]:
        done = await resume(engine, ids, take_over=take_over, observers=_observers(desk, watch))
        refused.update(done.refused)
        for id, error in refused.items():
            console.say(f"tree {id} was left: {clean(str(error))}")
        for actor in done.taken:
            if actor.tree.paused:
                unpause = desk.command("unpause", actor.tree.id)
                console.say(f"tree {actor.tree.id} is paused: nothing of it starts until {unpause}")
        return done.taken

    async def drive() -> Ended:
        return await Drive(console, desk, timeout=timeout).run(begin)

    ended = asyncio.run(drive())
    require_the_end(desk, ended)
    return _conclude(console, desk, ended, refused, named=ids is not None)


def _require_submitted(view: TreeView) -> None:
    if view.is_draft:
        raise InvalidTransition(f"tree {view.id} is a draft: nothing of it was interrupted")
    if view.phase == "adopted":
        raise NotADraft(view.id)


def _observers(desk: Desk, watch: Watch) -> Callable[[str], Sequence[Observer]]:
    def observers(id: str) -> Sequence[Observer]:
        tasks = desk.store.reads.tasks(id, results=False)
        return [watch.observer(desk.store.tree(id), tasks)]

    return observers


def _conclude(
    console: Console, desk: Desk, ended: Ended, refused: dict[str, ApflowError], *, named: bool
) -> int:
    """Tell what came of each; the first that holds of: missing, taken, failed, cancelled."""
    source = Local(desk)
    lost = refused | ended.lost
    console.code = _code(ended, lost, named=named)
    if console.json:
        items: list[WholeTree] = [source.whole(id) for id in ended.settled]
        left = tuple(Left(id, problem(error)) for id, error in lost.items())
        console.document(Resumption(items, left=left))
        return console.code
    for id, error in ended.lost.items():
        console.say(f"tree {id} was left: {clean(str(error))}")
    for id in list(ended.settled)[:SUMMARISED]:
        summarise(console, source, id)
    if len(ended.settled) > SUMMARISED:
        more = len(ended.settled) - SUMMARISED
        console.say(f"and {count(more, 'more tree')}; `apflow list` shows them")
    if not ended.settled and not lost:
        console.say("nothing to resume: no tree was interrupted")
    return console.code


def _code(ended: Ended, lost: dict[str, ApflowError], *, named: bool) -> Exit:
    taken = [error for error in lost.values() if isinstance(error, OwnedElsewhere | StaleVersion)]
    if any(kind_of(error).exit == Exit.ERROR for error in lost.values()):
        return Exit.ERROR
    if named and taken:
        return Exit.CONFLICT
    return code_of(list(ended.settled.values()))
