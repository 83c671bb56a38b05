"""What serves: an open store, an engine or none, who may call, and who follows."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from ...domain.errors import NotFound
from ...engine.engine import Engine
from ...projections.views import TaskView, TreeView
from ..stores import Store
from .access import Access, Caller
from .answers import TooManyStreams
from .hub import Hub
from .metrics import Metrics

T = TypeVar("T")


class Server:
    """Shared by all routes of one process; belongs to its loop."""

    def __init__(
        self,
        store: Store,
        access: Access,
        *,
        engine: Engine | None,
        max_streams: int = 1_000,
        use_demo: bool = True,
    ) -> None:
        self.store = store
        self.access = access
        self.engine = engine
        self.hub = Hub(store)
        self.metrics = Metrics(self)
        self.max_streams = max_streams
        self.in_flight: dict[str, asyncio.Future[None]] = {}
        """Requests with an idempotency key that are being carried out, by that key's hash."""
        self.stopping = asyncio.Event()
        self.looking = asyncio.Lock()
        self.looked: tuple[float, list[str]] | None = None
        """When it was looked last whether work is taken on, and what speaks against it."""
        self._streams: Counter[str] = Counter()
        self._open: set[asyncio.Task[Any]] = set()
        self._bodies: set[asyncio.Timeout] = set()

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """A short look into the store: at once where it is on this machine."""
        return await self.store.look(function, *arguments)

    async def visible_tree(self, id: str, caller: Caller) -> TreeView:
        """The tree's row. Raises `NotFound`, also for what is somebody else's."""
        view = await self.call(self.store.reads.tree, id)
        if view is None or view.phase == "adopted" or not caller.may_see(view.user_id):
            raise NotFound("tree", id)
        return view

    async def visible_task(self, id: str, caller: Caller) -> TaskView:
        """The task with its result. Raises `NotFound`, also for what is somebody else's."""
        view = await self.call(self.store.reads.task, id)
        if view is None or not caller.may_see(view.user_id):
            raise NotFound("task", id)
        return view

    @contextmanager
    def held(self, caller: Caller) -> Iterator[None]:
        """Counts what stays open for long: a stream, or who waits. Raises `TooManyStreams`."""
        if self._streams[caller.token] >= self.max_streams:
            raise TooManyStreams(
                f"this token has {self.max_streams} streams and waiting requests open, which is "
                "the limit. Close some."
            )
        self._streams[caller.token] += 1
        try:
            yield
        finally:
            self._streams[caller.token] -= 1
            if not self._streams[caller.token]:
                del self._streams[caller.token]

    def waiting(self, caller: Caller, seconds: float) -> AbstractContextManager[None]:
        """Counts who would wait so long. Raises `TooManyStreams`."""
        return self.held(caller) if seconds else nullcontext()

    @contextmanager
    def stream(self, caller: Caller) -> Iterator[Callable[[], None]]:
        """Counts a stream, which ends with the server: it is cancelled, unless it has said before,
        by calling what this gives, that it ends by itself. Raises `TooManyStreams`.
        """
        task = asyncio.current_task()
        assert task is not None

        def ends() -> None:
            self._open.discard(task)

        with self.held(caller):
            self._open.add(task)
            try:
                yield ends
            finally:
                ends()

    @contextmanager
    def body(self, limit: asyncio.Timeout) -> Iterator[None]:
        """A body that is waited for up to ``limit``; no longer once the server is to stop."""
        if self.stopping.is_set():
            limit.reschedule(asyncio.get_running_loop().time())
        self._bodies.add(limit)
        try:
            yield
        finally:
            self._bodies.discard(limit)

    def stop(self) -> None:
        """Those who follow or wait are told that it ends, and who sends is waited for no more."""
        self.stopping.set()
        for limit in self._bodies:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
        for task in list(self._open):
            task.cancel()

    @property
    def streams(self) -> int:
        """How many streams are open, those who wait included."""
        return self._streams.total()
