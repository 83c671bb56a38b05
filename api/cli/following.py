"""`apflow watch`: a tree as it goes, wherever it runs."""

import asyncio
from contextlib import aclosing
from typing import Any, Final

import msgspec
from msgspec import Raw

from ...domain.events import EVENT_TYPES, AnyEvent
from ..problems import TimedOut
from ..told import Event
from .choosing import source_of
from .console import Console
from .drive import keep_showing, view_of
from .outcome import CODES, told
from .source import Source, When
from .watch import Watch

KINDS: Final = {kind.topic: kind for kind in EVENT_TYPES}
OUTER: Final = ("position", "version", "type", "tree_id")


def main(
    console: Console,
    *,
    id: str,
    after: int,
    timeout: float | None,
    store: str | None,
    server: str | None,
) -> int:
    """Follow a tree until it has settled; ends as a run of it would."""
    with source_of(store, server) as source:
        tree = source.tree_id(id)
        try:
            asyncio.run(_watch(console, source, tree, after, timeout))
        except TimeoutError:
            raise TimedOut(
                f"tree {tree} has not settled in the time allowed; it goes on. Follow it further: "
                f"{source.command('watch', tree)}"
            ) from None
        status = source.tree(tree).status
        return CODES[status] if console.json else told(console, source, tree, status)


async def _watch(
    console: Console, source: Source, tree: str, after: int, seconds: float | None
) -> None:
    async with asyncio.timeout(seconds):
        if console.json:
            await _lines(console, source, tree, after)
        else:
            await _picture(console, source, tree)


async def _lines(console: Console, source: Source, tree: str, after: int) -> None:
    async with aclosing(source.follow(tree, after)) as events:
        async for event in events:
            console.document(event.raw)
            console.flush()


async def _picture(console: Console, source: Source, id: str) -> None:
    tree = await asyncio.to_thread(source.tree, id)
    if tree.completed_at is not None:
        return
    then = await asyncio.to_thread(source.whole, id, When(version=tree.version))
    watch = Watch()
    view = view_of(console, watch)
    view.open()
    take = watch.join(then, then.tasks)
    showing = asyncio.ensure_future(keep_showing(view))
    try:
        async with aclosing(source.follow(id, tree.version)) as events:
            async for event in events:
                take(fact_of(event))
    finally:
        showing.cancel()
        await asyncio.wait([showing])
        view.close()


def fact_of(event: Event) -> list[AnyEvent]:
    """The fact that a document tells; none where this version does not know it."""
    kind: Any = KINDS.get(event.type)
    fields = msgspec.json.decode(event.raw, type=dict[str, Raw])
    facts = {
        "task" if name == "task_id" else name: value
        for name, value in fields.items()
        if name not in OUTER
    }
    try:
        return [] if kind is None else [msgspec.json.decode(msgspec.json.encode(facts), type=kind)]
    except msgspec.ValidationError:
        return []
