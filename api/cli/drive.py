"""Running trees in this process until they have settled, or somebody stops it."""

import asyncio
import sys
from asyncio import FIRST_COMPLETED
from collections.abc import Awaitable, Callable, Sequence
from contextlib import redirect_stdout, suppress
from typing import Protocol

from msgspec import Struct

from ...domain.errors import ApflowError
from ...engine.actor import Actor
from ...engine.engine import Engine
from .console import Console, is_terminal
from .desk import Desk
from .live import LiveView
from .plain import PlainView
from .signals import SHOW_CURSOR, stop_on_signal
from .watch import Watch

Begin = Callable[[Engine, Watch], Awaitable[Sequence[Actor]]]
"""Takes trees in hand, with observers from the watch."""


class View(Protocol):
    """Shows what happens."""

    def open(self) -> None:
        """Begin."""

    async def tick(self) -> None:
        """Show what is new; returns when it is time to look again."""

    def close(self) -> None:
        """Show the end."""


class Ended(Struct):
    """What came of a run: ids of trees by how this process left them.

    ``stopped`` is ``signal`` or ``timeout``, empty where all went on to the end.
    """

    settled: dict[str, str]
    left: list[str]
    lost: dict[str, ApflowError]
    stopped: str = ""


class Drive:
    """One run of an engine under somebody's eyes."""

    def __init__(self, console: Console, desk: Desk, *, timeout: float | None = None) -> None:
        self._console = console
        self._desk = desk
        self._timeout = timeout
        self._watch = Watch()
        self._view = view_of(console, self._watch)
        self._stop = asyncio.Event()

    async def run(self, begin: Begin) -> Ended:
        """Returns when all trees have settled or were left. Raises what ``begin`` raises."""
        with redirect_stdout(sys.stderr):  # what executors print is no data of ours
            return await self._run(begin)

    async def _run(self, begin: Begin) -> Ended:
        async with self._desk.store.engine() as engine:
            self._view.open()
            showing = asyncio.ensure_future(keep_showing(self._view))
            try:
                with stop_on_signal(self._ask_to_stop, self._last_words):
                    return await self._until_over(engine, begin)
            finally:
                showing.cancel()
                await asyncio.wait([showing])
                with suppress(OSError):
                    self._view.close()

    async def _until_over(self, engine: Engine, begin: Begin) -> Ended:
        work = asyncio.ensure_future(self._work(engine, begin))
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([work, stop], timeout=self._timeout, return_when=FIRST_COMPLETED)
        stopped = ""
        if not work.done():
            stopped = "signal" if stop.done() else "timeout"
            work.cancel()
            await engine.release(list(engine.actors.values()))
            await asyncio.wait([work])
        stop.cancel()
        actors = [] if work.cancelled() else work.result()
        return self._ended(actors, stopped)

    async def _work(self, engine: Engine, begin: Begin) -> Sequence[Actor]:
        actors = await begin(engine, self._watch)
        if actors:
            await asyncio.wait([actor.waiter() for actor in actors])
        return actors

    def _ended(self, actors: Sequence[Actor], stopped: str) -> Ended:
        ended = Ended({}, [], {}, stopped)
        for actor in actors:
            error = actor.waiter().exception()
            if isinstance(error, ApflowError):
                ended.lost[actor.tree.id] = error
        for tree in self._watch.trees:
            if tree.settled:
                ended.settled[tree.id] = tree.settled
            elif tree.id not in ended.lost:
                ended.left.append(tree.id)
        return ended

    def _ask_to_stop(self) -> None:
        self._stop.set()
        self._console.say("stopping: running tasks are interrupted. Ctrl-C again ends at once.")

    def _last_words(self) -> str:
        """What is written when the process ends without the engine's leave."""
        cursor = SHOW_CURSOR if isinstance(self._view, LiveView) else ""
        if self._console.json:
            return ""
        open_trees = [tree.id for tree in self._watch.trees if not tree.settled]
        return f"{cursor}\ninterrupted. {how_to_go_on(self._desk, open_trees)}\n"


def how_to_go_on(desk: Desk, trees: Sequence[str]) -> str:
    """The command that goes on with these trees."""
    names = trees if len(trees) == 1 else ()
    return f"Go on with: {desk.command('resume', *names)}"


async def keep_showing(view: View) -> None:
    """Until it is cancelled."""
    with suppress(OSError):  # nobody looks any more; what is shown goes on
        while True:
            await view.tick()


def view_of(console: Console, watch: Watch) -> View:
    """A picture for those who look, lines for others."""
    if is_terminal(sys.stderr) and not console.json:
        return LiveView(console, watch)
    return PlainView(console, watch)
