"""Attempts in the event loop itself, blocking ones in daemon threads beside it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

from ...engine.ports import Call, Kind, Outcome, Report, Stopped
from .attempts import Attempts, Key, key_of
from .threads import Job, Threads

InThread = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs blocking code in a thread; what it gives is awaited in the loop."""

Invoke = Callable[[Call, InThread], Coroutine[Any, Any, Outcome]]
"""Calls the executor of an attempt; raises nothing but CancelledError."""


class Inline:
    """Runs attempts in the loop that starts them.

    ``coroutines`` and ``threads`` are the sizes of the pools. ``grace`` is how many seconds an
    attempt that is stopped has for its end before it is abandoned.
    """

    def __init__(
        self, invoke: Invoke, *, coroutines: int = 1_000, threads: int = 32, grace: float = 10.0
    ) -> None:
        self._invoke = invoke
        self._pools = {"loop": coroutines, "thread": threads}
        self._attempts = Attempts(self._run, grace)
        self._threads = Threads(threads, grace)
        self._jobs: dict[Key, set[Job]] = {}

    @property
    def abandoned(self) -> int:
        """How many threads were given up and still run; at ``threads`` none is started any more."""
        return self._threads.abandoned

    def start(self, call: Call, report: Report) -> None:
        """Begin the attempt. Raises RuntimeError after `close`."""
        self._attempts.begin(call, report)

    async def stop(self, call: Call) -> Stopped:
        """Cancel the attempt; what has not ended after the grace is abandoned, threads too."""
        stopped = await self._attempts.stop(call)
        jobs = tuple(self._jobs.get(key_of(call), ()))
        if not stopped.ended:
            for job in jobs:
                self._threads.abandon(job)
        return stopped if await _all_over(jobs) else Stopped(False)

    def capacity(self, kind: Kind) -> str:
        """``thread`` for executors that block, else ``loop``."""
        return "thread" if kind.runs == "thread" else "loop"

    def pools(self) -> Mapping[str, int]:
        """The sizes given to the constructor."""
        return self._pools

    async def close(self) -> None:
        """Stop all attempts and let the threads end. Idempotent."""
        await self._attempts.close()
        jobs = [job for jobs in self._jobs.values() for job in jobs]
        for job in jobs:
            if not job.result.cancelled():  # of a `stop` that was cut off
                self._threads.abandon(job)
        await _all_over(jobs)
        self._threads.close()

    def _run(self, call: Call) -> Coroutine[Any, Any, Outcome]:
        return self._invoke(call, partial(self._in_thread, call))

    def _in_thread(self, call: Call, function: Callable[[], Any]) -> Awaitable[Any]:
        key = key_of(call)
        job = self._threads.submit(function)
        self._jobs.setdefault(key, set()).add(job)
        job.over.add_done_callback(partial(self._forget, key, job))
        return job.result

    def _forget(self, key: Key, job: Job, _over: asyncio.Future[bool]) -> None:
        jobs = self._jobs[key]
        jobs.discard(job)
        if not jobs:
            del self._jobs[key]


async def _all_over(jobs: Iterable[Job]) -> bool:
    """Wait until no thread is busy with them; False where one was abandoned."""
    ends = [job.over for job in jobs]
    if ends:
        await asyncio.wait(ends)
    return all(end.result() for end in ends)
