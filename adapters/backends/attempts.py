"""The attempts that run in one event loop: one asyncio Task each, reported once or stopped."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from ...domain.specs import ErrorInfo
from ...engine.ports import Call, Outcome, Raised, Report, Returned, Stopped
from ..executors.attempt import STOPPED
from ..executors.results import raised

Key = tuple[str, int, int]
"""Task id, generation, attempt."""

Run = Callable[[Call], Coroutine[Any, Any, Outcome]]

HOLD = 1.0
"""Seconds for which a cancel that nobody here asked for is held back, see `Attempts._ended`."""


def key_of(call: Call) -> Key:
    """What tells an attempt from every other one."""
    return call.task, call.generation, call.attempt


class Attempts:
    """Runs ``run(call)`` in a Task of its own for each attempt.

    Whatever ``run`` raises becomes `Raised`. ``grace`` is the time in seconds that an attempt has
    for its end once it is cancelled.
    """

    def __init__(self, run: Run, grace: float) -> None:
        self._run = run
        self._grace = grace
        self._running: dict[Key, asyncio.Task[Outcome]] = {}
        self._ending: dict[Key, asyncio.Task[Outcome]] = {}
        self._closed = False

    def begin(self, call: Call, report: Report) -> None:
        """Start the attempt; raises RuntimeError once closed."""
        if self._closed:
            raise RuntimeError("this backend is closed, it starts nothing more. Make a new one.")
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._outcome(call), name=call.task)
        key = call.task, call.generation, call.attempt  # `key_of`, without its call
        self._running[key] = task
        task.add_done_callback(partial(self._ended, key, call, report))

    async def stop(self, call: Call) -> Stopped:
        """Cancel the attempt and wait for its end, for as long as the grace.

        What it returned stands, be it because of the cancel or just before it.
        """
        key = key_of(call)
        task = self._running.pop(key, None)
        if task is not None and not task.done():
            self._ending[key] = task
            task.cancel(STOPPED)
        elif task is None:
            task = self._ending.get(key)
        if task is None:
            return Stopped(True)
        await asyncio.wait({task}, timeout=self._grace)
        return Stopped(True, _returned(task)) if task.done() else Stopped(False)

    async def close(self) -> None:
        """Stop all and start no more."""
        self._closed = True
        for key, task in self._running.items():
            if not task.done():
                self._ending[key] = task
                task.cancel()
        self._running.clear()
        if self._ending:
            await asyncio.wait(set(self._ending.values()), timeout=self._grace)

    async def _outcome(self, call: Call) -> Outcome:
        try:
            return await self._run(call)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code ends here
            return raised(error)

    def _ended(self, key: Key, call: Call, report: Report, task: asyncio.Task[Outcome]) -> None:
        """Report, unless stopped.

        A Task that somebody else cancelled is no report yet: when a loop ends it cancels all its
        Tasks, and attempts cut off by that are interrupted, not failed. Who drives the loop stops
        them soon or the loop is gone; where neither happens, the executor cancelled itself.
        """
        if self._running.get(key) is not task:
            if self._ending.get(key) is task:
                del self._ending[key]
        elif task.cancelled() and task.cancelling():
            task.get_loop().call_later(HOLD, self._deliver, key, call, report, task)
        else:
            del self._running[key]
            report(call, _result(task))

    def _deliver(self, key: Key, call: Call, report: Report, task: asyncio.Task[Outcome]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
            report(call, _result(task))


def _result(task: asyncio.Task[Outcome]) -> Outcome:
    try:
        return task.result()
    except asyncio.CancelledError:
        return Raised(ErrorInfo("CancelledError", "the executor cancelled itself"))
    except BaseException as error:  # noqa: BLE001 - foreign code: what `_outcome` let through
        return raised(error)


def _returned(task: asyncio.Task[Outcome]) -> Outcome | None:
    outcome = _result(task)
    return outcome if isinstance(outcome, Returned) else None
