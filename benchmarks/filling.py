"""Stores full of settled trees, for what reads them. Filling is not measured.

The first tree is run through the public API. The others are its events under other ids, appended
to the journal as an engine appends them.
"""

import asyncio
from collections.abc import Mapping

from aipartnerupflow import Flow
from aipartnerupflow.adapters.journal.journal import EventJournal, Row
from aipartnerupflow.api.stores import Store
from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.engine.lifecycle import load
from aipartnerupflow.engine.ports import Append
from benchmarks.trees import fanout, run

PAGE = 5_000
"""Events read and appended at a time."""


def tree_id(number: int) -> str:
    """The id of one of the trees."""
    return f"filled-{number:03}"


def task_id(tree: int, number: int) -> str:
    """The id of one of its tasks."""
    return f"{tree_id(tree)}.{number}"


def fill(store: Store, trees: int, per_tree: int) -> None:
    """Add trees of ``per_tree`` independent tasks that have completed."""
    asyncio.run(_first(store, per_tree))
    journal = store.journal
    assert isinstance(journal, EventJournal)
    index = load(journal, tree_id(0)).index
    for number in range(1, trees):
        _copy(journal, tree_id(number), index)


async def _first(store: Store, per_tree: int) -> None:
    async with Flow(store.url) as flow:
        await run(flow, [fanout(tree_id(0), per_tree)], None)


def _copy(journal: EventJournal, id: str, index: Mapping[str, int]) -> None:
    renamed = {name.replace(tree_id(0), id): n for name, n in index.items()}
    after = 0
    while rows := journal.recorder.stream(tree_id(0), after, PAGE):
        events = [_renamed(journal, row, id) for row in rows]
        journal.append([(Append(id, after, events, renamed),)])
        after = rows[-1].version


def _renamed(journal: EventJournal, row: Row, id: str) -> AnyEvent:
    body = row.state.replace(tree_id(0).encode(), id.encode())
    return journal.mapper.decode(row.topic, body)
