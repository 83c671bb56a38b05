"""`apflow history`: the events of a tree, in order."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

import msgspec
from msgspec import Raw, Struct

from ...domain.errors import NotFound
from ...domain.events import Recorded
from ...domain.specs import ErrorInfo
from ..documents import event_document
from .console import Console, clean
from .desk import look_at
from .text import count, error_line, glimpse

ENVELOPE: Final = ("at", "by", "cause", "task")
USUAL: Final = {"generation": 1, "called": True}
"""Not worth a word."""
VALUE: Final = 80
"""So many characters of each value are shown."""


def main(
    console: Console,
    *,
    id: str,
    task: str | None,
    after: int,
    limit: int | None,
    store: str | None,
) -> int:
    """Write the events as they are read."""
    desk = look_at(store)
    tree = desk.tree_id(id)
    labels = {view.id: view.key for view in desk.store.reads.tasks(tree, results=False)}
    wanted = None if task is None else _task_id(labels, task)
    events: Iterator[Recorded] = desk.store.journal.read(
        tree, after=after, limit=limit if wanted is None else None
    )
    if wanted is not None:
        events = (recorded for recorded in events if getattr(recorded.event, "task", "") == wanted)
    events = islice(events, limit)
    if console.json:
        console.lines(event_document(recorded) for recorded in events)
        return 0
    for recorded in events:
        console.print(_line(console, recorded, labels))
    return 0


def _task_id(labels: Mapping[str, str], wanted: str) -> str:
    if wanted in labels:
        return wanted
    for id, label in labels.items():
        if label == wanted:
            return id
    raise NotFound("task", wanted)


def _line(console: Console, recorded: Recorded, labels: Mapping[str, str]) -> str:
    event = recorded.event
    words = [f"{recorded.version:>6}", event.at, console.paint(f"{event.topic:<16}", "bold")]
    task = getattr(event, "task", None)
    if task is not None:
        words.append(clean(labels.get(task, task), VALUE))
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name not in ENVELOPE and value not in (None, "", msgspec.UNSET, USUAL.get(name)):
            words.append(f"{name}={_short(value)}")
    return "  ".join(words)


def _short(value: object) -> str:
    if isinstance(value, ErrorInfo):
        return error_line(value)
    if isinstance(value, Raw):
        return glimpse(value, VALUE)
    if isinstance(value, tuple):
        return count(len(value), "item")
    if isinstance(value, Struct):
        return clean(msgspec.json.encode(value).decode(), VALUE)
    return clean(str(value), VALUE)
