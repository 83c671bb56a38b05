"""Daemon threads for blocking code.

Unlike those of `concurrent.futures` they are not joined when the interpreter ends, and one that
never comes back can be given up: its slot goes to a new thread.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from enum import Enum, auto
from functools import partial
from itertools import count
from threading import Condition, Thread
from typing import Any

from ...domain.errors import ApflowError


class NoThreadLeft(ApflowError):
    """So many threads were abandoned that no further one is started."""

    def __init__(self, abandoned: int) -> None:
        super().__init__(
            f"{abandoned} threads were abandoned after a timeout or a cancel and still run: no "
            "further synchronous executor is started. Restart this process, and let executors end "
            "when they are cancelled, or run them in worker processes."
        )


class _State(Enum):
    QUEUED = auto()
    RUNNING = auto()
    ABANDONED = auto()
    DONE = auto()


class Job:
    """One call in a thread, awaited in the loop that asked for it.

    ``result`` is what the call gives; cancelling it means that nobody wants the call any more.
    ``over`` is True once the call has returned, False once it was abandoned.
    """

    __slots__ = ("context", "function", "loop", "over", "result", "state")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.context = copy_context()
        self.loop = asyncio.get_running_loop()
        self.result: asyncio.Future[Any] = self.loop.create_future()
        self.over: asyncio.Future[bool] = self.loop.create_future()
        self.state = _State.QUEUED

    def settle(self, value: Any, error: BaseException | None) -> None:
        """In the loop, after the call: hand over what came of it, if anybody still wants it."""
        if not self.result.done():
            if error is None:
                self.result.set_result(value)
            elif isinstance(error, StopIteration):
                # A future refuses this one, as a coroutine does.
                self.result.set_exception(RuntimeError("the call raised StopIteration"))
            else:
                self.result.set_exception(error)
        self.end(returned=True)

    def end(self, *, returned: bool) -> None:
        """Tell who waits for the end; only the first word counts."""
        if not self.over.done():
            self.over.set_result(returned)


class Threads:
    """At most ``size`` threads that are not abandoned, started when needed.

    A call that nobody wants any more has ``grace`` seconds to return; then its thread is abandoned.
    """

    def __init__(self, size: int, grace: float) -> None:
        self.abandoned = 0
        """How many threads were given up and still run."""
        self._size = size
        self._grace = grace
        self._queue: deque[Job] = deque()
        self._change = Condition()
        self._idle = 0
        self._live = 0
        self._closed = False
        self._numbers = count(1)

    def submit(self, function: Callable[[], Any]) -> Job:
        """Call ``function`` in a thread, in a copy of this context. Raises `NoThreadLeft`."""
        job = Job(function)
        with self._change:
            if self.abandoned >= self._size:
                raise NoThreadLeft(self.abandoned)
            if self._idle > len(self._queue):
                self._change.notify()
            else:
                self._add_thread()
            self._queue.append(job)
        job.result.add_done_callback(partial(self._unwanted, job))
        return job

    def abandon(self, job: Job) -> None:
        """Give up a call that goes on: its slot goes to a new thread, its result to nobody."""
        with self._change:
            if job.state is not _State.RUNNING:
                return
            job.state = _State.ABANDONED
            self.abandoned += 1
            self._live -= 1
            if self._queue:
                self._add_thread()
        job.end(returned=False)
        job.result.cancel()

    def close(self) -> None:
        """Idle threads end now, the others when their call returns."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _add_thread(self) -> None:
        if self._live < self._size:
            name = f"apflow-thread-{next(self._numbers)}"
            Thread(target=self._work, name=name, daemon=True).start()
            self._live += 1

    def _work(self) -> None:
        while (job := self._next()) is not None:
            value, error = _call(job)
            abandoned = self._finish(job)
            try:
                job.loop.call_soon_threadsafe(job.settle, value, error)
            except RuntimeError:
                pass  # the loop is closed: nobody waits
            if abandoned:
                return
            del job, value, error  # not kept alive by an idle thread

    def _next(self) -> Job | None:
        with self._change:
            self._idle += 1
            while not self._queue and not self._closed:
                self._change.wait()
            self._idle -= 1
            if not self._queue:
                self._live -= 1
                return None
            job = self._queue.popleft()
            job.state = _State.RUNNING
            return job

    def _finish(self, job: Job) -> bool:
        """Whether the thread was abandoned meanwhile."""
        with self._change:
            abandoned = job.state is _State.ABANDONED
            job.state = _State.DONE
            if abandoned:
                self.abandoned -= 1
            return abandoned

    def _unwanted(self, job: Job, result: asyncio.Future[Any]) -> None:
        if not result.cancelled():
            return
        with self._change:
            queued = job.state is _State.QUEUED
            if queued:
                self._queue.remove(job)
                job.state = _State.DONE
        if queued:
            job.end(returned=True)
        else:
            job.loop.call_later(self._grace, self.abandon, job)


def _call(job: Job) -> tuple[Any, BaseException | None]:
    try:
        return job.context.run(job.function), None
    except BaseException as error:  # noqa: BLE001 - foreign code: raised again where it is awaited
        return None, error
