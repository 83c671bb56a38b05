"""Stand-ins for the ports, for tests of executors and of the engine itself. No I/O, no threads."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Raw, json

from ..domain.specs import ErrorInfo
from ..engine.ports import (
    SIGNAL,
    WAIT,
    Call,
    Gone,
    Kind,
    Outcome,
    Raised,
    Report,
    Returned,
    Stopped,
)
from .fake_journal import FakeInbox, FakeJournal

__all__ = ["FakeBackend", "FakeExecutors", "FakeInbox", "FakeJournal", "FakeLiveness"]

Work = Callable[[Call], Awaitable[Any]]

_PLAYED = {id: Kind(id, properties=(), runs="engine") for id in (WAIT, SIGNAL)}


class FakeExecutors:
    """`engine.ports.Executors` from plain coroutine functions of one argument, the `Call`.

    `WAIT` and `SIGNAL` are there from the start. ``reattach`` holds, by executor, what looks for
    the work of a former attempt: it returns None, or an awaitable (or an async function) for the
    result. ``repeatable`` says whose calls are safe to repeat. ``wrong`` are the violations of all
    inputs, ``refusal`` those of a payload.
    """

    def __init__(self, kinds: Mapping[str, Kind] | None = None, **work: Work) -> None:
        self.work: dict[str, Work] = dict(work)
        self.reattach: dict[str, Work] = {}
        self.kinds: dict[str, Kind] = _PLAYED | dict(kinds or {})
        self.repeatable: dict[str, bool] = {}
        self.changed: Mapping[str, Any] | None = None
        self.wrong: Sequence[str] = ()
        self.refusal: Callable[[Any, Any], Sequence[str]] = lambda schema, payload: ()

    def module_of(self, id: str) -> str | None:
        """See `Executors.module_of`."""
        if id in _PLAYED:
            return ""
        return "tests" if id in self.work else None

    def kind(self, id: str) -> Kind:
        """See `Executors.kind`."""
        return self.kinds.get(id) or Kind(id, reattaches=id in self.reattach)

    def ids(self) -> Sequence[str]:
        """See `Executors.ids`."""
        return sorted(self.work.keys() | _PLAYED.keys())

    def violations(self, id: str, schemas: Raw, inputs: Any) -> Sequence[str]:
        """See `Executors.violations`."""
        return self.wrong

    def properties(self, id: str, schemas: Raw) -> tuple[str, ...] | None:
        """See `Executors.properties`."""
        return self.kind(id).properties

    def schema_faults(self, schemas: Raw) -> Sequence[str]:
        """See `Executors.schema_faults`."""
        return ()

    def safe(self, call: Call) -> bool | None:
        """See `Executors.safe`."""
        return self.repeatable.get(call.executor)

    def payload_faults(self, schema: Any, payload: Any) -> Sequence[str]:
        """See `Executors.payload_faults`."""
        return self.refusal(schema, payload)

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

    ``calls`` holds every call ever started, ``running`` those under way by task, ``stops`` the
    calls that were stopped. What has not ended ``grace`` seconds after that is abandoned.
    """

    def __init__(
        self, executors: FakeExecutors, *, slots: int = 1_000, grace: float = 10.0
    ) -> None:
        self.calls: list[Call] = []
        self.stops: list[Call] = []
        self.running: dict[str, asyncio.Task[Outcome]] = {}
        self.most = 0
        self.grace = grace
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
                report(call, _outcome(task))

        task.add_done_callback(ended)

    async def _run(self, call: Call) -> Outcome:
        try:
            if not call.reattach:
                result = await self._executors.work[call.executor](call)
            elif (found := await self._found(call)) is None:
                return Gone()
            else:
                if call.port is not None:
                    await call.port.taken_over()
                result = await (found if inspect.isawaitable(found) else found())
        except Exception as error:  # noqa: BLE001 - the boundary to foreign code
            return _raised(error)
        return Returned(Raw(json.encode(result)))

    async def _found(self, call: Call) -> Any:
        look = self._executors.reattach.get(call.executor)
        return None if look is None else await look(call)

    async def stop(self, call: Call) -> Stopped:
        """See `Backend.stop`."""
        self.stops.append(call)
        task = self.running.pop(call.task, None)
        if task is None:
            return Stopped(True)
        task.cancel()
        await asyncio.wait({task}, timeout=self.grace)
        if not task.done():
            return Stopped(False)
        outcome = _outcome(task)
        return Stopped(True, outcome if isinstance(outcome, Returned) else None)

    async def close(self) -> None:
        """See `Backend.close`."""
        for call in [call for call in self.calls if call.task in self.running]:
            await self.stop(call)


def _outcome(task: asyncio.Task[Outcome]) -> Outcome:
    if task.cancelled():
        return Raised(ErrorInfo("CancelledError", "the executor cancelled itself"))
    return task.result()


def _raised(error: Exception) -> Raised:
    """As the real backends tell it: bases by name, what may pass by itself marked as such."""
    names = [base.__name__ for base in type(error).__mro__[1:-2]]
    transient = getattr(error, "transient", isinstance(error, ConnectionError | TimeoutError))
    if transient and "TransientError" not in (type(error).__name__, *names):
        names.append("TransientError")
    info = ErrorInfo(type(error).__name__, str(error), tuple(names))
    return Raised(info, getattr(error, "retry_after", None))


class FakeLiveness:
    """`engine.ports.Liveness` over a set of names that tests fill and empty.

    ``beats`` holds what was said at each beat; ``lapsed`` makes the next one say that the lease had
    run out.
    """

    beat_every: float | None = None

    def __init__(self, name: str, alive: set[str] | None = None) -> None:
        self.name = name
        self.living = set() if alive is None else alive
        self.living.add(name)
        self.beats: list[Sequence[str]] = []
        self.lapsed = False

    def alive(self, engine: str) -> bool | None:
        """See `Liveness.alive`."""
        return engine in self.living

    def beat(self, executors: Sequence[str]) -> bool:
        """See `Liveness.beat`."""
        self.beats.append(executors)
        lapsed, self.lapsed = self.lapsed, False
        return not lapsed

    def leave(self) -> None:
        """See `Liveness.leave`."""
        self.living.discard(self.name)
