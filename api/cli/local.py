"""A store here as the source of commands."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

from ...domain.errors import InvalidInput, NotFound
from .. import steering
from ..documents import (
    Page,
    PlanDocument,
    Submitted,
    TaskDocument,
    TaskInFull,
    TreeDocument,
    WholeTree,
    Why,
    task_document,
    task_in_full,
    tree_document,
    whole_tree,
)
from ..submitting import parse, request_of, submit
from ..told import Event, event
from ..wiring import timeline
from ..wiring.serving import past
from .desk import Desk
from .source import NOW, Steered, When

LOCAL = "local"
"""Whom a server calls the owner of the token of its first start, who is an admin."""
OPEN = 1_000
"""Reasons are given for so many tasks at most, as by a server."""


class Local:
    """See `Source`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store

    @property
    def place(self) -> str:
        """A file, or a database."""
        return self._desk.place

    def command(self, *words: str) -> str:
        """Names the store where it was named."""
        return self._desk.command(*words)

    def tree_id(self, prefix: str) -> str:
        """See `Desk.tree_id`."""
        return self._desk.tree_id(prefix)

    def trees(self, *, status: str | None, drafts: bool, limit: int, after: str | None) -> Page:
        """From the rows."""
        found = self._store.reads.trees(
            status=status, phase="draft" if drafts else None, before=_cursor(after), limit=limit + 1
        )
        more, found = len(found) > limit, found[:limit]
        return Page([tree_document(view) for view in found], str(found[-1].num) if more else None)

    def task_alone(self, id: str) -> TaskInFull | None:
        """With its attempts."""
        reads = self._store.reads
        view = None if reads.tree(id) is not None else reads.task(id)
        return None if view is None else task_in_full(view, timeline(self._store, view.tree_id))

    def task_then(self, task: TaskInFull, when: When) -> TaskInFull:
        """From the log."""
        found = past(self._store, task.tree_id, version=when.version, at=when.at)
        for view in found.tasks:
            if view.id == task.id:
                return task_in_full(view, found.attempts)
        raise NotFound("task", task.id)

    def tree(self, id: str) -> TreeDocument:
        """Its row."""
        return tree_document(self._store.tree(id))

    def whole(self, id: str, when: When = NOW) -> WholeTree:
        """From the rows, or for the past from the log."""
        if when == NOW:
            return whole_tree(self._store.tree(id), list(self._store.reads.tasks(id)))
        found = past(self._store, id, version=when.version, at=when.at)
        return whole_tree(found.tree, list(found.tasks))

    def outline(self, id: str) -> Sequence[TaskDocument]:
        """Without results."""
        return [task_document(view) for view in self._store.reads.tasks(id, results=False)]

    def full(self, id: str) -> TaskDocument | None:
        """Its row, with what its last event says."""
        view = self._store.reads.task(id)
        return None if view is None else task_document(view)

    def events(self, tree: str, after: int, limit: int | None) -> Iterator[Event]:
        """From the log, as it is read."""
        return map(event, self._store.journal.read(tree, after=after, limit=limit))

    async def follow(self, tree: str, after: int) -> AsyncGenerator[Event, None]:
        """From the log, as it grows, whoever writes to it."""
        store = self._store
        while True:
            position = await asyncio.to_thread(store.journal.position)
            for told in await asyncio.to_thread(self._since, tree, after):
                after = told.version
                yield told
            view = await asyncio.to_thread(store.tree, tree)
            if view.phase == "settled" and view.version <= after:
                return
            await store.feed.changed(position)

    def _since(self, tree: str, after: int) -> list[Event]:
        return list(self.events(tree, after, None))

    def steer(self, tree: str, name: str, said: Mapping[str, Any]) -> Steered:
        """By the engine that drives the tree, else here."""
        command = steering.command_of(self._store, tree, name, said)
        done = asyncio.run(steering.steer(self._store, command))
        view = self._store.tree(tree)
        return Steered(tree_document(view), done.version, view.phase != "settled" and view.released)

    def plan(self, tree: str, way: str, tasks: Sequence[str]) -> PlanDocument:
        """From the log."""
        found = asyncio.run(steering.plan(self._store, tree, way, tasks))
        return PlanDocument(tree, list(found.runs), list(found.kept))

    def why(self, tree: str, task: str | None) -> Sequence[Why]:
        """From the log, and from who lives."""
        if task is None:
            found = steering.why_all(self._store, tree, OPEN)
        else:
            view = self._store.reads.task(task)
            if view is None:
                raise NotFound("task", task)
            found = [(view, steering.why(self._store, task))]
        return [
            {"task_id": v.id, "key": v.key, "status": v.status, **reason}  # type: ignore[typeddict-item]
            for v, reason in found
        ]

    def close(self) -> None:
        """The process keeps the store."""

    def submit(self, body: bytes, key: str | None) -> Submitted:
        """An engine takes it up later. It is whose it would be by the server here, and its key is
        the same.
        """
        request = request_of(LOCAL, key, body) if key else None
        made = submit(
            self._store, parse(body), owner=LOCAL, request=request, drive=False, admin=True
        )
        return asyncio.run(made)


def _cursor(after: str | None) -> int | None:
    if after is None:
        return None
    if not after.isdecimal() or len(after) > 18:
        raise InvalidInput("--after takes the cursor that a former list gave")
    return int(after)
