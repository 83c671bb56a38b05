"""Running a stored tree to its end from wherever the caller is: what all faces have in common."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from ..domain.errors import InvalidTransition, NotADraft, OwnedElsewhere, Released, StaleVersion
from ..engine.actor import Actor, Observer
from ..engine.engine import Engine
from ..engine.finishing import to_the_end
from ..engine.lifecycle import resume, submit
from .stores import Store

LOOK_AGAIN = 1.0
"""Seconds between two looks whether another engine that drives the tree still lives."""

Before = Callable[[], Awaitable[None]]


async def run_to_end(
    store: Store, id: str, observers: Sequence[Observer] = (), *, before: Before | None = None
) -> bool:
    """Submit the draft if it is one, take it up if it was interrupted, wait until it has settled.

    ``before`` is awaited before a draft is submitted. True where this call drove the tree to its
    end; a second caller waits for the first, wherever that is. When the wait is cancelled, or its
    loop ends, the tree is released: interrupted and resumable. Raises what refuses the tree.
    """
    while store.tree(id).phase != "settled":
        async with store.engine() as engine:
            taken = None
            async with store.taking(id):
                running = engine.actors.get(id)
                if running is None:
                    taken = await _take(store, engine, id, observers, before)
            if running is not None:
                with suppress(Released):  # by the caller that drove it: take it up ourselves
                    await asyncio.shield(running.waiter())
                    return False
                continue
            if taken is not None:
                await wait(engine, taken)
                return True
        with suppress(TimeoutError):
            await asyncio.wait_for(store.settled(id), LOOK_AGAIN)
    return False


async def wait(engine: Engine, actor: Actor) -> str:
    """The tree's settled status; a cancelled wait releases the tree."""
    try:
        return await asyncio.shield(actor.waiter())
    except asyncio.CancelledError:
        await to_the_end(engine.release([actor]))
        raise


async def _take(
    store: Store, engine: Engine, id: str, observers: Sequence[Observer], before: Before | None
) -> Actor | None:
    """The tree in this engine's hands; None where another living engine drives it."""
    if store.tree(id).phase == "draft":
        if before is not None:
            await before()
        try:
            return await submit(engine, store.drafts.hand_over(id), observers=observers)
        except (NotADraft, OwnedElsewhere, StaleVersion):  # another engine was quicker
            return None
    try:
        resumed = await resume(engine, {id}, observers=lambda _: observers)
    except StaleVersion:
        return None
    for error in resumed.refused.values():
        if not isinstance(error, OwnedElsewhere | InvalidTransition):  # the latter: it has settled
            raise error
    return resumed.taken[0] if resumed.taken else None
