"""Executors that follow a script, and the backend that runs them inside a simulated process."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Raw, json

from aipartnerupflow.domain.decide.drafts import INLINE_BYTES
from aipartnerupflow.domain.errors import ApflowError
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.engine.ports import (
    SIGNAL,
    WAIT,
    Call,
    Kind,
    Outcome,
    Raised,
    Report,
    Returned,
    Stopped,
)

GRACE = 10.0
"""Seconds after which an attempt that will not end is given up."""

KINDS = {
    kind.id: kind
    for kind in (
        Kind("work", checked=False),
        Kind("safe", checked=False),
        Kind("unsafe", checked=False),
        Kind("limited", checked=False, limit=2),
        Kind("lasting", checked=False, reattaches=True),
        Kind(WAIT, checked=False, runs="engine"),
        Kind(SIGNAL, checked=False, runs="engine"),
    )
}
SAFE = {"safe": True, "unsafe": False}

BROKEN = ErrorInfo("Broken", "it is broken", ("RuntimeError",))
TRANSIENT = ErrorInfo("Refused", "try again", ("ConnectionError", "TransientError"))


class SimulatedExecutors:
    """`engine.ports.Executors`: the same in every process of the world."""

    def __init__(self, *, hooks: bool = False) -> None:
        self._hooks = hooks

    def module_of(self, id: str) -> str | None:
        """See `Executors.module_of`."""
        return "simulation" if id in KINDS else None

    def kind(self, id: str) -> Kind:
        """See `Executors.kind`."""
        return KINDS[id]

    def ids(self) -> Sequence[str]:
        """See `Executors.ids`."""
        return sorted(KINDS)

    def violations(self, id: str, schemas: Raw, inputs: Any) -> Sequence[str]:
        """See `Executors.violations`."""
        return ()

    def properties(self, id: str, schemas: Raw) -> tuple[str, ...] | None:
        """See `Executors.properties`."""
        return None

    def schema_faults(self, schemas: Raw) -> Sequence[str]:
        """See `Executors.schema_faults`."""
        return ()

    def safe(self, call: Call) -> bool | None:
        """See `Executors.safe`."""
        return SAFE.get(call.executor)

    def payload_faults(self, schema: Any, payload: Any) -> Sequence[str]:
        """See `Executors.payload_faults`."""
        return ()

    async def before(self, call: Call) -> Mapping[str, Any] | None:
        """See `Executors.before`."""
        await asyncio.sleep(0.01)
        return {**call.inputs, "hooked": True} if call.attempt % 2 else None

    @property
    def has_before(self) -> bool:
        """See `Executors.has_before`."""
        return self._hooks


Work = Callable[[Call], Awaitable[Outcome]]


class SimulatedBackend:
    """`engine.ports.Backend` in the process in which it was made. ``work`` plays the executor.

    ``stubborn`` says how many seconds a call takes to end when it is stopped.
    """

    def __init__(self, work: Work, stubborn: Callable[[Call], float], *, slots: int) -> None:
        self.running: dict[tuple[str, str, int, int], asyncio.Task[Outcome]] = {}
        self._work = work
        self._stubborn = stubborn
        self._slots = slots

    def pools(self) -> Mapping[str, int]:
        """See `Backend.pools`."""
        return {"loop": self._slots}

    def capacity(self, kind: Kind) -> str:
        """See `Backend.capacity`."""
        return "loop"

    def start(self, call: Call, report: Report) -> None:
        """See `Backend.start`."""
        task = asyncio.get_running_loop().create_task(self._run(call))
        id = _id(call)
        self.running[id] = task

        def ended(task: asyncio.Task[Outcome]) -> None:
            if self.running.get(id) is task:
                del self.running[id]
                report(call, task.result())

        task.add_done_callback(ended)

    async def _run(self, call: Call) -> Outcome:
        try:
            return await self._work(call)
        except ApflowError as error:  # what its engine told it
            return Raised(ErrorInfo(type(error).__name__, str(error), ("TransientError",)))

    async def stop(self, call: Call) -> Stopped:
        """See `Backend.stop`. What ends within the grace may still return something."""
        task = self.running.pop(_id(call), None)
        if task is None:
            return Stopped(True)
        patience = self._stubborn(call)
        done, _ = await asyncio.wait({task}, timeout=min(patience, GRACE))
        if done:
            return Stopped(True, task.result())
        task.cancel()
        await asyncio.wait({task})
        return Stopped(patience <= GRACE)

    async def close(self) -> None:
        """See `Backend.close`."""
        left = list(self.running.values())
        self.running.clear()
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)


def _id(call: Call) -> tuple[str, str, int, int]:
    return call.tree, call.task, call.generation, call.attempt


def result_of(call: Call, *, big: bool) -> Outcome:
    """What a task always returns, so that its dependents can tell whether they got it.

    What is big does not fit into an event.
    """
    result: dict[str, Any] = {"from": call.key, "generation": call.generation}
    if big:
        result["filler"] = "x" * (INLINE_BYTES + 1)
    return Returned(Raw(json.encode(result)))
