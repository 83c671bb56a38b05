"""Tells hooks of events: in order, each at least once, over restarts and by one server at a time.

The cursor of a hook moves when an event was taken, or given up; what it is told next begins there,
whoever tells it. So after a crash the last event may come again, with the same delivery id.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ...domain.errors import StoreError
from ...domain.events import Recorded, TreeAdopted, TreeCreated, TreeReopened, TreeSettled
from ...domain.time import to_text
from ...domain.webhooks import Hook
from ...engine.ports import Clock, Journal, Subscription
from ...projections.views import ReadModel, TreeView
from .outbox import Claimed, Outbox
from .posting import Again, Gone, Post, Refused

log = logging.getLogger("aipartnerupflow.webhooks")

PAGE: Final = 100
"""So many events are read at once; after them others have their turn."""
MAX_MISSED: Final = 10
"""A hook has failed once so many events in a row were given up without an answer."""

Body = Callable[[Hook, Recorded, TreeView], bytes | None]
"""What a hook is told of an event; None: nothing."""


class Pace(Struct, frozen=True):
    """Seconds. ``first`` is the delay after the first failure, doubled after each up to
    ``longest``; ``margin`` is how long a lease outlasts the request that it is for; ``rest`` lies
    between two looks at what is due, of which there is one at least every ``look``, and every
    ``crowded`` while something is due whose owner has no slot left.
    """

    first: float = 1.0
    longest: float = 300.0
    margin: float = 5.0
    rest: float = 0.05
    look: float = 60.0
    sweep: float = 3_600.0
    crowded: float = 1.0
    at_once: int = 64
    """So many hooks are told side by side."""
    share: int = 4
    """So many of them are one owner's, and as many whose last try failed."""

    def delay(self, attempts: int) -> float:
        """After so many failures before this one."""
        return min(self.first * 2.0 ** min(attempts, 30), self.longest)


class Deliveries:
    """One server's share of the work. Belongs to one loop."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        journal: Journal,
        reads: ReadModel,
        feed: Subscription,
        clock: Clock,
        post: Post,
        body: Body,
        name: str,
        pace: Pace = Pace(),  # noqa: B008 - frozen
    ) -> None:
        self._outbox = outbox
        self._journal = journal
        self._reads = reads
        self._feed = feed
        self._clock = clock
        self._post = post
        self._body = body
        self._names = (f"{name}/{n}" for n in count())
        self._pace = pace
        self._running: dict[asyncio.Task[None], Claimed] = {}
        self._freed = asyncio.Event()
        self._swept = float("-inf")

    async def serve(self) -> None:
        """Deliver until cancelled; then let go of all hooks, so that others may have them."""
        try:
            while True:
                self._freed.clear()
                try:
                    position = await asyncio.to_thread(self._journal.position)
                    due = await self._round()
                except StoreError as error:
                    log.warning("webhooks wait: %s", error)
                    position, due = -1, self._clock.now() + 1.0
                await self._news(position, due)
        finally:
            await self._let_go()

    async def _round(self) -> float:
        """Begin with what is due; returns when the next is."""
        await asyncio.to_thread(self._tidy)
        now = self._clock.now()
        free = self._pace.at_once - len(self._running)
        name = next(self._names)
        claimed = await asyncio.to_thread(
            self._outbox.claim, name, now, now + self._pace.margin, free, self._pace.share
        )
        for one in claimed:
            task = asyncio.create_task(self._deliver(one))
            self._running[task] = one
            task.add_done_callback(self._ended)
        if len(self._running) >= self._pace.at_once:
            return now + self._pace.look
        due = await asyncio.to_thread(self._outbox.next_due)
        if due is None:
            return now + self._pace.look
        return due if due > now else now + self._pace.crowded

    def _tidy(self) -> None:
        """Find the trees of hooks that were registered before them; now and then sweep."""
        for request in self._outbox.unbound():
            view = self._reads.tree_of_request(request.key)
            if view is None:
                continue
            created = next(iter(self._journal.read(view.id, limit=1))).event
            if isinstance(created, TreeCreated) and created.request == request:
                self._outbox.bind(request, view.id)
        now = self._clock.now()
        if now - self._swept >= self._pace.sweep:
            self._outbox.sweep(to_text(now))
            self._swept = now

    async def _news(self, position: int, due: float) -> None:
        """Returns when the log has grown, a hook is free again, or it is ``due``."""
        await asyncio.sleep(self._pace.rest)
        left = max(0.0, min(due - self._clock.now(), self._pace.look))
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self._freed.wait())]
        if position >= 0:
            waits.append(asyncio.create_task(self._changed(position)))
        try:
            await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)

    async def _changed(self, position: int) -> None:
        try:
            await self._feed.changed(position)
        except StoreError as error:
            log.warning("webhooks wait: %s", error)
            await asyncio.sleep(1.0)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.pop(task, None)
        self._freed.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a webhook is left until its lease ends: %s", error, exc_info=error)

    async def _let_go(self) -> None:
        running = dict(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        now = self._clock.now()
        for task, claimed in running.items():
            if task.cancelled():
                await asyncio.to_thread(self._release, claimed, now)

    def _release(self, claimed: Claimed, now: float) -> None:
        try:
            self._outbox.release(claimed, now)
        except StoreError as error:
            log.warning("a webhook is left until its lease ends: %s", error)

    async def _deliver(self, claimed: Claimed) -> None:
        events = await asyncio.to_thread(self._page, claimed)
        view = await asyncio.to_thread(self._reads.tree, claimed.tree)
        if view is None:
            return
        if not await asyncio.to_thread(self._outbox.hold, claimed, self._until(claimed)):
            return
        over, seen = False, claimed.seen
        for recorded in events:
            body = await asyncio.to_thread(self._body, claimed.hook, recorded, view)
            if body is not None:
                told = await self._tell(claimed, recorded, body)
                if told is None:
                    return
                claimed = told
            seen = recorded.version
            over = _over(recorded, over)
        await asyncio.to_thread(self._leave, replace(claimed, seen=seen), over, None)

    def _page(self, claimed: Claimed) -> Sequence[Recorded]:
        return self._reads.history(claimed.tree, after=claimed.seen, limit=PAGE)

    def _until(self, claimed: Claimed) -> float:
        """When a lease ends that is long enough for a request."""
        return self._clock.now() + claimed.hook.timeout + self._pace.margin

    def _leave(
        self, claimed: Claimed, over: bool, problem: str | None, due: float | None = None
    ) -> None:
        """Up to here it is told: it has ended with its tree, or others have their turn."""
        now = self._clock.now()
        if not self._outbox.advance(claimed, problem, now + self._pace.margin):
            return
        view = self._reads.tree(claimed.tree)
        ended = view is None or (
            view.phase in ("settled", "adopted") and view.version == claimed.seen
        )
        if not (over and ended and self._outbox.end(claimed, "done", now)):
            self._outbox.release(claimed, due or now)

    async def _tell(self, claimed: Claimed, recorded: Recorded, body: bytes) -> Claimed | None:
        """The hook as it stands when the event is told or given up; None: it is let go of."""
        problem: str | None = None
        outcome = await self._post(claimed, recorded.version, body)
        if isinstance(outcome, Again):
            await asyncio.to_thread(self._again, claimed, recorded, outcome)
            return None
        if isinstance(outcome, Gone):
            log.warning("webhook %s has failed: %s", claimed.id, outcome.problem)
            now = self._clock.now()
            await asyncio.to_thread(self._outbox.end, claimed, "failed", now, outcome.problem)
            return None
        if isinstance(outcome, Refused):
            problem = outcome.problem
            log.warning("webhook %s refuses version %s: %s", claimed.id, recorded.version, problem)
        step = replace(claimed, seen=recorded.version, attempts=0, missed=0)
        until = self._until(step)
        held = await asyncio.to_thread(self._outbox.advance, step, problem, until)
        return step if held else None

    def _again(self, claimed: Claimed, recorded: Recorded, outcome: Again) -> None:
        """Later; after the last retry with the event behind it."""
        problem = outcome.problem
        due = self._clock.now() + max(self._pace.delay(claimed.attempts), outcome.after)
        if claimed.attempts < claimed.hook.retries:
            self._outbox.put_off(claimed, claimed.attempts + 1, due, problem)
            return
        version = recorded.version
        log.warning("webhook %s has not taken version %s: %s", claimed.id, version, problem)
        if claimed.missed + 1 >= MAX_MISSED:
            self._outbox.end(claimed, "failed", self._clock.now(), problem)
            return
        missed = replace(claimed, seen=version, attempts=0, missed=claimed.missed + 1)
        self._leave(missed, _over(recorded, False), problem, due)


def _over(recorded: Recorded, over: bool) -> bool:
    """Whether the tree is over after this event."""
    if isinstance(recorded.event, TreeReopened):
        return False
    return over or isinstance(recorded.event, TreeSettled | TreeAdopted)
