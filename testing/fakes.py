"""Stand-ins for the ports, for tests of executors and of the engine itself. No I/O, no threads."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Raw, json

from ..domain.errors import IdTaken, NotFound, StaleVersion
from ..domain.events import Recorded, TreeClaimed, TreeReleased, TreeSettled, TreeSubmitted
from ..domain.specs import ErrorInfo
from ..engine.ports import Append, Call, Kind, OpenTree, Outcome, Raised, Report, Returned, Unit

Work = Callable[[Call], Awaitable[Any]]


class FakeJournal:
    """`engine.ports.Journal` in lists. ``fail_next`` is raised by the next append, once.

    ``commits`` holds, for each transaction, the events it stored.
    """

    def __init__(self) -> None:
        self.log: list[Recorded] = []
        self.commits: list[list[Recorded]] = []
        self.fail_next: Exception | None = None
        self._streams: dict[str, list[Recorded]] = {}
        self._blobs: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def append(self, units: Sequence[Unit]) -> int:
        """See `Journal.append`."""
        with self._lock:
            if self.fail_next is not None:
                error, self.fail_next = self.fail_next, None
                raise error
            appends = [append for unit in units for append in unit]
            self._check(appends)
            self.commits.append(
                [recorded for append in appends for recorded in self._store(append)]
            )
            return len(self.log)

    def _check(self, appends: Sequence[Append]) -> None:
        at = {tree: len(stream) for tree, stream in self._streams.items()}
        for append in appends:
            if at.get(append.tree, 0) != append.expected:
                if append.expected == 0:
                    raise IdTaken([append.tree])
                raise StaleVersion(append.tree, append.expected)
            at[append.tree] = append.expected + len(append.events)

    def _store(self, append: Append) -> Iterator[Recorded]:
        stream = self._streams.setdefault(append.tree, [])
        self._blobs.update(append.blobs or {})
        for event in append.events:
            recorded = Recorded(append.tree, len(stream) + 1, event, len(self.log) + 1)
            stream.append(recorded)
            self.log.append(recorded)
            yield recorded

    def read(self, tree: str, *, after: int = 0, limit: int | None = None) -> Iterator[Recorded]:
        """See `Journal.read`."""
        stream = self._streams.get(tree, [])
        return iter(stream[after:][:limit])

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Iterator[Recorded]:
        """See `Journal.read_all`."""
        return iter(self.log[after:][:limit])

    def read_blob(self, hash: str) -> bytes:
        """See `Journal.read_blob`."""
        if hash not in self._blobs:
            raise NotFound("blob", hash)
        return self._blobs[hash]

    def open_work(self) -> Sequence[OpenTree]:
        """See `Journal.open_work`."""
        found = []
        for tree, stream in self._streams.items():
            events = [recorded.event for recorded in stream]
            submitted = any(isinstance(event, TreeSubmitted) for event in events)
            if submitted and not any(isinstance(event, TreeSettled) for event in events):
                claims = [e for e in events if isinstance(e, TreeClaimed | TreeReleased)]
                last = claims[-1]
                epoch = last.epoch if isinstance(last, TreeClaimed) else 0
                released = isinstance(last, TreeReleased)
                found.append(OpenTree(tree, tree, last.engine, epoch, released))
        return found

    def position(self) -> int:
        """See `Journal.position`."""
        return len(self.log)

    def close(self) -> None:
        """Nothing is held."""


class FakeExecutors:
    """`engine.ports.Executors` from plain coroutine functions of one argument, the `Call`."""

    def __init__(self, kinds: Mapping[str, Kind] | None = None, **work: Work) -> None:
        self.work: dict[str, Work] = dict(work)
        self.kinds: dict[str, Kind] = dict(kinds or {})
        self.changed: Mapping[str, Any] | None = None
        self.wrong: Sequence[str] = ()

    def module_of(self, id: str) -> str | None:
        """See `Executors.module_of`."""
        return "tests" if id in self.work else None

    def kind(self, id: str) -> Kind:
        """See `Executors.kind`."""
        return self.kinds.get(id) or Kind(id)

    def ids(self) -> Sequence[str]:
        """See `Executors.ids`."""
        return sorted(self.work)

    def violations(self, id: str, schemas: Raw, inputs: Any) -> Sequence[str]:
        """See `Executors.violations`."""
        return self.wrong

    def properties(self, id: str, schemas: Raw) -> tuple[str, ...] | None:
        """See `Executors.properties`."""
        return None

    def schema_faults(self, schemas: Raw) -> Sequence[str]:
        """See `Executors.schema_faults`."""
        return ()

    async def before(self, call: Call) -> Mapping[str, Any] | None:
        """See `Executors.before`."""
        await asyncio.sleep(0)
        return self.changed

    @property
    def has_before(self) -> bool:
        """See `Executors.has_before`."""
        return self.changed is not None


class FakeBackend:
    """`engine.ports.Backend` that calls the work of `FakeExecutors` in the loop.

    ``calls`` holds every call ever started, ``running`` those under way.
    """

    def __init__(self, executors: FakeExecutors, *, slots: int = 1_000) -> None:
        self.calls: list[Call] = []
        self.running: dict[str, asyncio.Task[Outcome]] = {}
        self.most = 0
        self._executors = executors
        self._slots = slots

    def pools(self) -> Mapping[str, int]:
        """See `Backend.pools`."""
        return {"loop": self._slots}

    def capacity(self, kind: Kind) -> str:
        """See `Backend.capacity`."""
        return "loop"

    def start(self, call: Call, report: Report) -> None:
        """See `Backend.start`."""
        self.calls.append(call)
        task = asyncio.get_running_loop().create_task(self._run(call))
        self.running[call.task] = task
        self.most = max(self.most, len(self.running))

        def ended(task: asyncio.Task[Outcome]) -> None:
            if self.running.get(call.task) is task:
                del self.running[call.task]
                report(call, task.result())

        task.add_done_callback(ended)

    async def _run(self, call: Call) -> Outcome:
        try:
            result = await self._executors.work[call.executor](call)
        except Exception as error:  # noqa: BLE001 - the boundary to foreign code
            return Raised(ErrorInfo(type(error).__name__, str(error)))
        return Returned(Raw(json.encode(result)))

    async def stop(self, call: Call) -> bool:
        """See `Backend.stop`."""
        task = self.running.pop(call.task, None)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        return True

    async def close(self) -> None:
        """See `Backend.close`."""
        for call in [call for call in self.calls if call.task in self.running]:
            await self.stop(call)


class FakeLiveness:
    """`engine.ports.Liveness` over a set of names that tests fill and empty."""

    def __init__(self, name: str, alive: set[str] | None = None) -> None:
        self.name = name
        self.living = set() if alive is None else alive
        self.living.add(name)

    def alive(self, engine: str) -> bool | None:
        """See `Liveness.alive`."""
        return engine in self.living

    def leave(self) -> None:
        """See `Liveness.leave`."""
        self.living.discard(self.name)
