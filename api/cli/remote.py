"""A server as the source of commands."""

import shlex
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import UNSET

from ...domain.errors import InvalidInput, NotFound
from ...domain.specs import is_id
from ..client import AsyncClient, Client, calls
from ..client.target import Target
from ..documents import (
    Accepted,
    ExecutorDocument,
    Page,
    PlanDocument,
    Submitted,
    TaskDocument,
    TaskInFull,
    TreeDocument,
    WholeTree,
    Why,
)
from ..told import Event
from .source import CANDIDATES, NOW, Steered, When, one_of, payload_of

PATIENCE = 2.0
"""So many seconds may the server be away for most commands."""
FOLLOWED = 300.0
"""And so many for those that follow: it may be restarted."""


class Remote:
    """See `Source`. ``named``: its address was given by a flag."""

    def __init__(self, target: Target, *, named: bool) -> None:
        self._target = target
        self._named = named

        self._client = Client(target.url, target.token or "", patience=PATIENCE)

    def close(self) -> None:
        """Its connections."""
        self._client.close()

    @property
    def place(self) -> str:
        """Its address."""
        return self._target.url

    def command(self, *words: str) -> str:
        """Names the server where it was named."""
        return shlex.join(["apflow", *words, *(["--server", self.place] if self._named else [])])

    def tree_id(self, prefix: str) -> str:
        """The server looks for beginnings."""
        if not is_id(prefix):
            raise NotFound("tree", prefix)
        try:
            return self._client.tree(prefix).id
        except NotFound:
            page = self._client.send(calls.trees(id_prefix=prefix, page=CANDIDATES + 1))
            return one_of(prefix, [tree.id for tree in page.items])

    def trees(self, *, status: str | None, drafts: bool, limit: int, after: str | None) -> Page:
        """A page."""
        if after is not None and (not after.isdecimal() or len(after) > 18):
            raise InvalidInput("--after takes the cursor that a former list gave")
        page = self._client.send(calls.trees(status=status, draft=drafts, after=after, page=limit))
        return Page(page.items, page.next)

    def task_alone(self, id: str) -> TaskInFull | None:
        """With its attempts."""
        try:
            self._client.tree(id)
        except NotFound:
            try:
                return self._client.task(id)
            except NotFound:
                return None
        return None

    def task_then(self, task: TaskInFull, when: When) -> TaskInFull:
        """As the server finds it in its log."""
        return self._client.task(task.id, at_version=when.version, at=when.at)

    def tree(self, id: str) -> TreeDocument:
        """As it stands."""
        return self._client.tree(id)

    def whole(self, id: str, when: When = NOW) -> WholeTree:
        """With all pages of its tasks."""
        tree = self._client.tree(id, at_version=when.version, at=when.at)
        tasks = list(self._client.tasks(id, at_version=when.version, at=when.at))
        fields = {name: getattr(tree, name) for name in tree.__struct_fields__}
        return WholeTree(**fields, tasks=tasks)

    def outline(self, id: str) -> Sequence[TaskDocument]:
        """With results: they come anyway."""
        return list(self._client.tasks(id))

    def full(self, id: str) -> TaskDocument | None:
        """A task."""
        return self._client.task(id)

    def events(self, tree: str, after: int, limit: int | None) -> Iterator[Event]:
        """Page by page."""
        page = calls.PAGE if limit is None else min(limit, calls.PAGE)
        return islice(self._client.events(tree, after=after, page=page), limit)

    async def follow(self, tree: str, after: int) -> AsyncGenerator[Event, None]:
        """A stream, taken up again wherever it was cut."""
        target = self._target
        async with AsyncClient(target.url, target.token or "", patience=FOLLOWED) as client:
            async for event in client.watch(tree, after=after):
                yield event

    def steer(self, tree: str, name: str, said: Mapping[str, Any]) -> Steered:
        """By the server."""
        done = self._sent(tree, name, said)
        view = self._client.tree(tree)
        return Steered(view, view.version if done.version is None else done.version)

    def _sent(self, tree: str, name: str, said: Mapping[str, Any]) -> Accepted:
        client, reason = self._client, said.get("reason", "")
        match name:
            case "cancel" if said.get("task") is not None:
                return client.cancel_task(said["task"], reason=reason)
            case "cancel":
                return client.cancel(tree, reason=reason)
            case "pause":
                return client.pause(tree, reason=reason)
            case "unpause":
                return client.unpause(tree, reason=reason)
            case "rerun":
                return client.rerun(tree, mode=said["way"], tasks=said["tasks"], reason=reason)
            case _:
                payload = payload_of(said)
                given = UNSET if payload is None else payload
                return client.signal(tree, said["name"], given, signal_id=said["id"])

    def plan(self, tree: str, way: str, tasks: Sequence[str]) -> PlanDocument:
        """By the server."""
        return self._client.plan(tree, mode=way, tasks=tasks)

    def why(self, tree: str, task: str | None) -> Sequence[Why]:
        """By the server."""
        return self._client.why(tree) if task is None else [self._client.why_task(task)]

    def submit(self, body: bytes, key: str | None) -> Submitted:
        """Its engine runs it at once."""
        return self._client.submit(body, idempotency_key=key)

    def executors(self) -> Sequence[ExecutorDocument]:
        """What its engine can call."""
        return self._client.executors()

    def executor(self, id: str) -> ExecutorDocument:
        """One of them."""
        return self._client.executor(id)
