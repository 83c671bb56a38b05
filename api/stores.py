"""The process's handle on one open store: what all faces share.

It belongs to no event loop. Engines do: there is at most one per loop, made when the first caller
needs it and stopped with the last. After a fork the handle refuses: open the store again.
"""

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from ..domain import decide
from ..domain.errors import IdTaken, InvalidGraph, NotFound, StoreUnavailable
from ..domain.intake import Intake, NewId, fresh
from ..domain.specs import NO_OPTIONS, Request, TreeOptions
from ..domain.time import to_text
from ..domain.tree import Tree
from ..engine.commit import Committer
from ..engine.drafts import Drafts
from ..engine.engine import Engine
from ..engine.errand import Errand
from ..engine.finishing import to_the_end
from ..engine.mail import Sender
from ..engine.ports import Clock, Executors, Inbox, Journal, Liveness, Subscription
from ..engine.submission import Unclaimed, schema_faults
from ..projections.views import ReadModel, TreeView

T = TypeVar("T")
MakeEngine = Callable[["Store"], Engine]


class Store:
    """One open store. Thread-safe but for `engine`, which belongs to the running loop."""

    def __init__(
        self,
        *,
        url: str,
        journal: Journal,
        reads: ReadModel,
        feed: Subscription,
        committer: Committer,
        executors: Executors,
        inbox: Inbox | None,
        make_liveness: Callable[[], Liveness],
        clock: Clock,
        new_id: NewId,
        make_engine: MakeEngine,
        on_close: Callable[["Store"], None],
    ) -> None:
        self.url = url
        self.executors = executors
        self.new_id = new_id
        self.feed = feed
        self._journal = journal
        self._reads = reads
        self._committer = committer
        self._clock = clock
        self._inbox = inbox
        self._make_liveness = make_liveness
        self._drafts = Drafts(journal, committer, clock, new_id)
        self._unclaimed = Unclaimed(self._drafts, executors, new_id)
        self._make_engine = make_engine
        self._on_close = on_close
        self._engines: dict[asyncio.AbstractEventLoop, tuple[Engine, int]] = {}
        self._taking: weakref.WeakValueDictionary[
            tuple[asyncio.AbstractEventLoop, str], asyncio.Lock
        ] = weakref.WeakValueDictionary()
        self._pid = os.getpid()
        self._embedded = not url.startswith(("postgres:", "postgresql"))
        self.closed = False

    @property
    def journal(self) -> Journal:
        """The log. Raises `StoreUnavailable` after `close` or a fork."""
        self._check()
        return self._journal

    @property
    def reads(self) -> ReadModel:
        """The read models. Raises like `journal`."""
        self._check()
        return self._reads

    @property
    def drafts(self) -> Drafts:
        """Commands on drafts. Raises like `journal`."""
        self._check()
        return self._drafts

    @property
    def unclaimed(self) -> Unclaimed:
        """Submits trees without an engine. Raises like `journal`."""
        self._check()
        return self._unclaimed

    @property
    def committer(self) -> Committer:
        """The writer. Raises like `journal`."""
        self._check()
        return self._committer

    @property
    def busy(self) -> bool:
        """Whether any engine of this process uses the store."""
        return bool(self._engines)

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """The running loop's engine; the last to leave stops it."""
        self._check()
        self._reap()
        loop = asyncio.get_running_loop()
        engine, users = self._engines.get(loop) or (self._make_engine(self), 0)
        self._engines[loop] = (engine, users + 1)
        try:
            yield engine
        finally:
            engine, users = self._engines[loop]
            self._engines[loop] = (engine, users - 1)
            if users == 1:
                del self._engines[loop]
                await to_the_end(engine.close())

    def running_engine(self) -> Engine | None:
        """The running loop's engine, if there is one."""
        found = self._engines.get(asyncio.get_running_loop())
        return None if found is None else found[0]

    @property
    def inbox(self) -> Inbox | None:
        """Commands for other processes; None for a store that no other process can open."""
        self._check()
        return self._inbox

    async def look(self, function: Callable[..., T], *arguments: Any) -> T:
        """A short look into the store: at once where it is on this machine, else in a thread."""
        if self._embedded:
            return function(*arguments)
        return await asyncio.to_thread(function, *arguments)

    def now(self) -> str:
        """The time as it stands in events."""
        return to_text(self._clock.now())

    @asynccontextmanager
    async def sender(self) -> AsyncIterator[Sender]:
        """Has commands carried out by whoever drives their trees, or does it itself."""
        self._check()
        liveness = await asyncio.to_thread(self._make_liveness)
        errand = Errand(
            self._journal, self._committer, self._clock, self.executors, liveness, self._inbox
        )
        try:
            yield Sender(self._journal, self._inbox, liveness, errand)
        finally:
            await asyncio.to_thread(liveness.leave)

    def taking(self, tree: str) -> asyncio.Lock:
        """To be held while a tree is brought into the hands of the running loop's engine."""
        key = (asyncio.get_running_loop(), tree)
        return self._taking.setdefault(key, asyncio.Lock())

    def _reap(self) -> None:
        """An engine whose loop has ended is dead: give up its name, so that its trees are free."""
        for loop, (engine, _) in list(self._engines.items()):
            if loop.is_closed():
                del self._engines[loop]
                engine.liveness.leave()

    def tree(self, id: str) -> TreeView:
        """The tree's row. Raises `NotFound`."""
        found = self.reads.tree(id)
        if found is None:
            raise NotFound("tree", id)
        return found

    def create_draft(
        self,
        intake: Intake,
        name: str | None = None,
        options: TreeOptions = NO_OPTIONS,
        request: Request | None = None,
        origin: str | None = None,
    ) -> Tree:
        """A draft of tasks as read; fresh ids for all where one is taken.

        Raises `InvalidGraph`, and `KeyTaken` where the request was made before.
        """
        specs = intake.specs
        faults = decide.graph_faults(specs, self.executors.module_of)
        if faults := [*faults, *schema_faults(self.executors, specs)]:
            raise InvalidGraph(faults)
        name = name or next(spec.name for spec in specs if spec.parent is None)
        while True:
            try:
                return self.drafts.create(
                    specs, name=name, owner=intake.owner, options=options, request=request,
                    origin=origin,
                )  # fmt: skip
            except IdTaken:
                specs = fresh(specs, self.new_id)

    async def settled(self, id: str) -> TreeView:
        """Wait until the tree has settled, whoever runs it; returns at once if it has."""
        while True:
            position = self.journal.position()
            view = self.tree(id)
            if view.phase == "settled":
                return view
            await self.feed.changed(position)

    def close(self) -> None:
        """Write what is queued and let go of the store. Idempotent."""
        if self.closed or os.getpid() != self._pid:
            return
        self.closed = True
        self._on_close(self)
        self._committer.close()
        self._journal.close()

    def _check(self) -> None:
        if os.getpid() != self._pid:
            raise StoreUnavailable(
                "this store was opened before the process forked; open it again in the child"
            )
        if self.closed:
            raise StoreUnavailable("this store was closed; open it again")
