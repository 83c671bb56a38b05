"""What ``self.context`` offers an executor while it runs."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from logging import Logger, LoggerAdapter, getLogger
from math import isnan
from typing import Any, Final, overload

from msgspec import Raw, json

from ...domain.errors import InvalidInput, InvalidTransition
from ...domain.specs import EMPTY_OBJECT
from ...domain.time import to_seconds
from ...engine.ports import Call
from .secrets import Secrets, SecretText, plain
from .shared import Shared
from .vault import ScrubbedLog, Vault

MAX_CHECKPOINT: Final = 64 * 1024
"""Bytes of JSON in one checkpoint."""
MAX_MESSAGE: Final = 1_000
"""Characters of a progress message that are kept."""

BEAT_INTERVAL: Final = 0.01
"""Seconds between two signs of life that are handed on: a tight loop may give them."""

_LOOK: Final = 0.5
"""Seconds after which a waiting thread looks whether its loop is still there."""
_log = getLogger("aipartnerupflow.task")


class Context:
    """One attempt, as its executor sees it.

    Coroutines use ``await progress(…)`` and ``await save(…)``. An executor that is no coroutine
    runs in a thread and uses `progress_now` and `save_now`, which block it instead. ``cancelled``
    turns True when the attempt is to end: a coroutine is cancelled as well, a thread must look.
    """

    __slots__ = ("_beaten", "_call", "_loop", "_vault", "cancelled", "shared")

    def __init__(
        self,
        call: Call,
        loop: asyncio.AbstractEventLoop | None = None,
        vault: Vault | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._call = call
        self.shared = Shared() if shared is None else shared
        """What the attempts of one engine share; see `Shared`."""
        self._loop = loop
        self._vault = Vault(Secrets(), call) if vault is None else vault
        self._beaten = -BEAT_INTERVAL
        self.cancelled = False

    @classmethod
    def detached(cls) -> "Context":
        """For an executor that nobody runs but its own test: it reports to no one."""
        return cls(Call("", "", "", "", "", 1, 1, "", {}, EMPTY_OBJECT, EMPTY_OBJECT))

    @property
    def tree_id(self) -> str:
        """The id of the tree's root task."""
        return self._call.tree

    @property
    def task_id(self) -> str:
        """Unique in the store."""
        return self._call.task

    @property
    def attempt(self) -> int:
        """From 1 in each generation."""
        return self._call.attempt

    @property
    def generation(self) -> int:
        """From 1; rises when somebody re-runs the task on purpose."""
        return self._call.generation

    @property
    def idempotency_key(self) -> str:
        """The same in all attempts of a generation; hand it on to what you call."""
        return self._call.idempotency_key

    @property
    def deadline(self) -> float | None:
        """When the task has to be over, over all its attempts: seconds since the epoch."""
        text = self._call.deadline
        return None if text is None else to_seconds(text)

    @property
    def accept(self) -> tuple[int, ...]:
        """Status or exit codes that the task wants to count as success."""
        return self._call.accept

    @property
    def checkpoint(self) -> Any:
        """What a former attempt saved last, decoded afresh; None where nothing was saved."""
        raw = self._call.checkpoint
        return None if raw is None else json.decode(raw)

    @property
    def log(self) -> "LoggerAdapter[Logger]":
        """A logger whose records carry ``tree_id``, ``task_id`` and ``attempt``, and no secret."""
        call = self._call
        of_task = {"tree_id": call.tree, "task_id": call.task, "attempt": call.attempt}
        return ScrubbedLog(_log, of_task, self._vault.scrubber)

    def secret(self, name: str) -> SecretText:
        """The value of a secret that the operator lists for this executor. Blocking.

        From here on it is struck out of results, errors, progress, checkpoints and `log`. Raises
        `InvalidInput`.
        """
        return self._vault.get(name)

    def conceal(self, text: str) -> None:
        """Strike out this as well: something that a secret was made into."""
        self._vault.scrubber.add(SecretText.of(text, "derived", ()))

    @overload
    def scrub(self, said: str) -> str: ...

    @overload
    def scrub(self, said: bytes) -> bytes: ...

    def scrub(self, said: str | bytes) -> str | bytes:
        """Without secrets: for what is cut, or encoded, before it is returned."""
        scrubber = self._vault.scrubber
        return scrubber.text(said) if isinstance(said, str) else scrubber.raw(said)

    @property
    def holds_secrets(self) -> bool:
        """Whether this attempt was given any."""
        return bool(self._vault.scrubber)

    def beat(self) -> None:
        """A sign of life, for tasks with a heartbeat: from coroutines and from threads.

        Never waits. `progress` and `save` are signs of life too.
        """
        port, now = self._call.port, time.monotonic()
        if port is None or now - self._beaten < BEAT_INTERVAL:
            return
        self._beaten = now
        if self._loop is None or _runs_here(self._loop):
            port.beat()
        else:
            with suppress(RuntimeError):  # the loop is closed: nobody listens
                self._loop.call_soon_threadsafe(port.beat)

    async def progress(self, fraction: float, message: str = "") -> None:
        """How far the attempt is, 0 to 1. May be dropped; the last value of a second is kept."""
        port = self._call.port
        value = _fraction(fraction)
        if port is not None:
            text = self._vault.scrubber.text(str(message))[:MAX_MESSAGE]
            await port.progress(value, _sayable(text))

    async def save(self, checkpoint: Any) -> None:
        """Keep JSON for the next attempt; returns once it is durable.

        Raises `InvalidInput` over 64 KiB, `InvalidTransition` where the attempt is over.
        """
        raw = Raw(self._vault.scrubber.json(_checkpoint(checkpoint)))
        port = self._call.port
        if port is not None:
            await port.save(raw)

    def progress_now(self, fraction: float, message: str = "") -> None:
        """`progress` for executors that run in a thread. Dropped once the loop is gone."""
        try:
            self._wait(self.progress(fraction, message))
        except InvalidTransition:
            return

    def save_now(self, checkpoint: Any) -> None:
        """`save` for executors that run in a thread."""
        self._wait(self.save(checkpoint))

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        loop = self._loop
        if loop is None:
            asyncio.run(work)
            return
        if loop.is_closed() or _runs_here(loop):
            work.close()
            if loop.is_closed():
                raise _over(self._call)
            raise RuntimeError(
                "progress_now and save_now block and are for threads. In a coroutine write "
                "`await self.context.progress(…)` and `await self.context.save(…)`."
            )
        try:
            future = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:  # closed meanwhile
            work.close()
            raise _over(self._call) from None
        while True:
            try:
                future.result(_LOOK)
                return
            except TimeoutError:
                if future.done():
                    raise
                if loop.is_closed():
                    raise _over(self._call) from None


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _over(call: Call) -> InvalidTransition:
    return InvalidTransition(f"attempt {call.attempt} of {call.task} is over: its loop has ended")


def _fraction(value: Any) -> float:
    if not isinstance(value, int | float) or isnan(value):
        raise InvalidInput("progress is a number from 0 to 1")
    return min(max(float(value), 0.0), 1.0)


def _sayable(text: str) -> str:
    """Without what UTF-8 cannot say, as names of files may have it: no store would take it."""
    return text.encode("utf-8", "replace").decode()


def _checkpoint(value: Any) -> bytes:
    try:
        raw = json.encode(value, enc_hook=plain)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"the checkpoint is not JSON: {type(error).__name__}") from error
    if len(raw) > MAX_CHECKPOINT:
        raise InvalidInput(
            f"the checkpoint has {len(raw)} bytes, at most {MAX_CHECKPOINT} are kept. "
            "Put large data elsewhere and save where it lies."
        )
    return raw
