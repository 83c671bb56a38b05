"""What the tests of backends share: calls, and what comes back from them."""

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import Raw, json

from aipartnerupflow.domain.specs import EMPTY_OBJECT, ErrorInfo
from aipartnerupflow.engine.ports import AttemptPort, Call, Outcome, Raised, Returned

PATIENCE = 10.0
_numbers = count(1)


def call_of(
    executor: str,
    inputs: Any = None,
    *,
    port: AttemptPort | None = None,
    checkpoint: Raw | None = None,
) -> Call:
    """The first attempt of a task of its own."""
    task = f"task-{next(_numbers)}"
    return Call(
        executor=executor,
        tree="tree",
        task=task,
        key=task,
        name=executor,
        attempt=1,
        generation=1,
        idempotency_key=f"key-of-{task}",
        inputs={} if inputs is None else inputs,
        params=EMPTY_OBJECT,
        schemas=EMPTY_OBJECT,
        checkpoint=checkpoint,
        port=port,
    )


class Reports:
    """Takes reports; remembers all of them, and the loop in which each was made."""

    def __init__(self) -> None:
        self.of: dict[str, list[Outcome]] = {}
        self.loops: list[asyncio.AbstractEventLoop] = []

    def __call__(self, call: Call, outcome: Outcome) -> None:
        self.of.setdefault(call.task, []).append(outcome)
        self.loops.append(asyncio.get_running_loop())

    async def outcome(self, call: Call) -> Outcome:
        """The one report of the attempt, once it is there."""
        await until(lambda: call.task in self.of)
        (outcome,) = self.of[call.task]
        return outcome

    async def result(self, call: Call) -> Any:
        """What the attempt returned."""
        outcome = await self.outcome(call)
        assert isinstance(outcome, Returned), outcome
        return json.decode(outcome.result)

    async def error(self, call: Call) -> ErrorInfo:
        """How the attempt failed."""
        outcome = await self.outcome(call)
        assert isinstance(outcome, Raised), outcome
        return outcome.error


class Port:
    """Keeps what an attempt says; refuses checkpoints with ``refusal``."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.progressed: list[tuple[float, str]] = []
        self.saved: list[Any] = []
        self.beats = 0
        self.taken = 0
        self._refusal = refusal

    def beat(self) -> None:
        self.beats += 1

    async def taken_over(self) -> None:
        await asyncio.sleep(0.01)  # a commit
        if self._refusal is not None:
            raise self._refusal
        self.taken += 1

    async def progress(self, fraction: float, message: str) -> None:
        self.progressed.append((fraction, message))

    async def save(self, checkpoint: Raw) -> None:
        await asyncio.sleep(0.01)  # a commit
        if self._refusal is not None:
            raise self._refusal
        self.saved.append(json.decode(checkpoint))

    async def message(self) -> str:
        """The first progress message."""
        await until(lambda: bool(self.progressed))
        return self.progressed[0][1]


async def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Returns once ``condition()`` holds."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 - threads and processes set no asyncio.Event
            await asyncio.sleep(0.002)


def runs(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
