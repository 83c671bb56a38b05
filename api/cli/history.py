"""`apflow history`: the events of a tree, in order."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Raw

from ...domain.errors import NotFound
from ...domain.specs import ErrorInfo
from ..told import Event
from .choosing import source_of
from .console import Console, clean
from .text import count, error_line, glimpse

ENVELOPE: Final = ("position", "version", "type", "at", "by", "cause", "tree_id", "task_id")
USUAL: Final = {"generation": 1, "called": True}
"""Not worth a word."""
WRITTEN: Final = ("inputs", "checkpoint", "payload", "result")
"""JSON of users."""
VALUE: Final = 80
"""So many characters of each value are shown."""


def main(
    console: Console,
    *,
    id: str,
    task: str | None,
    after: int,
    limit: int | None,
    follow: bool,
    store: str | None,
    server: str | None,
) -> int:
    """Write the events as they are read, or as they come."""
    with source_of(store, server) as source:
        tree = source.tree_id(id)
        labels = {one.id: one.key for one in source.outline(tree)}
        wanted = None if task is None else _task_id(labels, task)
        if follow:
            coming = source.follow(tree, after)
            asyncio.run(_follow(console, coming, labels, wanted, limit))
            return 0
        events: Iterator[Event] = source.events(tree, after, limit if wanted is None else None)
        if wanted is not None:
            events = (event for event in events if event.task_id == wanted)
        for event in islice(events, limit):
            _tell(console, event, labels)
    return 0


async def _follow(
    console: Console,
    events: AsyncGenerator[Event, None],
    labels: Mapping[str, str],
    task: str | None,
    limit: int | None,
) -> None:
    if limit == 0:
        return
    told = 0
    async with aclosing(events):
        async for event in events:
            if task in (None, event.task_id):
                _tell(console, event, labels)
                console.flush()
                told += 1
                if told == limit:  # the next event may be long in coming
                    return


def _tell(console: Console, event: Event, labels: Mapping[str, str]) -> None:
    if console.json:
        console.document(event.raw)
    else:
        console.print(_line(console, event, labels))


def _task_id(labels: Mapping[str, str], wanted: str) -> str:
    if wanted in labels:
        return wanted
    for id, label in labels.items():
        if label == wanted:
            return id
    raise NotFound("task", wanted)


def _line(console: Console, event: Event, labels: Mapping[str, str]) -> str:
    words = [f"{event.version:>6}", event.at, console.paint(f"{event.type:<16}", "bold")]
    if event.task_id is not None:
        words.append(clean(labels.get(event.task_id, event.task_id), VALUE))
    fields = msgspec.json.decode(event.raw, type=dict[str, Raw])
    for name, raw in fields.items():
        if name in ENVELOPE:
            continue
        value = msgspec.json.decode(raw)
        if name in WRITTEN or value not in (None, "", USUAL.get(name)):
            words.append(f"{clean(name, VALUE)}={_short(name, value, raw)}")
    return "  ".join(words)


def _short(name: str, value: Any, raw: Raw) -> str:
    if name == "error" and isinstance(value, dict):
        return error_line(msgspec.json.decode(raw, type=ErrorInfo))
    if name in WRITTEN or isinstance(value, dict):
        return glimpse(raw, VALUE)
    if isinstance(value, list):
        return count(len(value), "item")
    return clean(str(value), VALUE)
