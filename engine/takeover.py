"""An engine among others: it says that it lives, and takes up the trees of those that do not."""

import asyncio
import logging
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..domain.errors import ApflowError, NewerEvent, StaleVersion, StoreCorrupt, StoreError
from .defects import tell
from .lifecycle import is_undriven, take
from .ports import OpenTree

if TYPE_CHECKING:
    from .actor import Actor
    from .engine import Engine

log = logging.getLogger("aipartnerupflow.engine")

SCAN = 1.0
"""Seconds between two looks for trees that nobody drives."""
AT_ONCE = 16
"""So many trees are claimed and replayed side by side."""
GIVE_UP = 60.0
"""Seconds after which a tree is tried again that could not be taken up."""


async def beat(engine: "Engine") -> None:
    """Prolong the engine's lease until cancelled; where it had run out, look what is left.

    In a thread of its own: the lease must not run out because those of the loop are busy.
    """
    every = engine.liveness.beat_every
    assert every is not None
    thread = ThreadPoolExecutor(1, "apflow-lease")
    try:
        while True:
            await asyncio.sleep(every)
            try:
                ids = engine.executors.ids()
                if not await engine.loop.run_in_executor(thread, engine.liveness.beat, ids):
                    log.warning("engine %s was silent for longer than its lease", engine.name)
                    await drop_what_others_took(engine)
            except StoreError as error:
                log.info("the lease of engine %s was not prolonged: %s", engine.name, error)
            except Exception as error:  # noqa: BLE001 - the next beat may be better
                tell(engine, "a defect showed in a beat", error)
    finally:
        thread.shutdown(wait=False)


async def drop_what_others_took(engine: "Engine") -> None:
    """A stale owner drops its work, and writes nothing."""
    for actor in list(engine.actors.values()):
        if await asyncio.to_thread(_is_taken, engine, actor):
            engine.lose(actor, StaleVersion(actor.tree.id, actor.stored))


def _is_taken(engine: "Engine", actor: "Actor") -> bool:
    owner = engine.journal.owner(actor.tree.id)
    if owner is None:  # it has settled: by others, unless it was here
        return bool(actor.stored) and not actor.tree.settled
    return owner.engine != engine.name and owner.epoch > actor.tree.epoch


class Watch:
    """Takes up, again and again, submitted trees whose engine is dead, or that have none."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._refused: dict[str, float] = {}

    async def serve(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SCAN)
            if self._engine.health.degraded:
                continue
            try:
                await self.scan()
            except StoreError as error:
                log.info("open work cannot be read: %s", error)
            except Exception as error:  # noqa: BLE001 - the next look may be better
                tell(self._engine, "a defect showed in a look for open work", error)

    async def scan(self) -> None:
        """One look, in an order of chance so that several engines do not meet."""
        engine = self._engine
        now = engine.loop.time()
        free = [
            tree
            for tree in await asyncio.to_thread(self._free)
            if tree.id not in engine.actors
            and self._refused.get(tree.id, 0.0) <= now
            and not engine.defects.holds_off(tree.id)
        ]
        self._refused = {id: until for id, until in self._refused.items() if until > now}
        random.shuffle(free)
        for i in range(0, len(free), AT_ONCE):
            await asyncio.gather(*map(self._take, free[i : i + AT_ONCE]))

    def _free(self) -> list[OpenTree]:
        """Blocking."""
        engine, alive = self._engine, dict[str, bool]()
        found = []
        for tree in engine.journal.open_work():
            if not tree.released and tree.engine not in alive:
                alive[tree.engine] = engine.liveness.alive(tree.engine) is not False
            if tree.released or not alive[tree.engine] or is_undriven(engine, tree.id, tree.engine):
                found.append(tree)
        return found

    async def _take(self, tree: OpenTree) -> None:
        try:
            await take(self._engine, tree)
        except ApflowError as error:
            if isinstance(error, StoreError) and not isinstance(error, StoreCorrupt | NewerEvent):
                raise  # it may heal
            log.info("tree %s is left: %s", tree.id, error)
            self._refused[tree.id] = self._engine.loop.time() + GIVE_UP
        except Exception as error:  # noqa: BLE001 - the others are to be taken up
            tell(self._engine, f"a defect showed in tree {tree.id}", error)
            self._refused[tree.id] = self._engine.loop.time() + GIVE_UP
