"""Processes in one loop: each can be killed, or stopped and continued, whatever it is doing.

Whatever runs in a process's context belongs to it: its tasks, callbacks and timers, and all that
these make. One that is killed never runs again, not even a `finally`.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import Any

from aipartnerupflow.testing.loop import VirtualLoop

_process: ContextVar["Process | None"] = ContextVar("process", default=None)


class Killed(BaseException):
    """The process does not go on from here. Nobody may catch it and go on."""


class Process:
    """A part of a `Machine`'s loop with a life of its own."""

    def __init__(self, loop: "Machine", name: str) -> None:
        self.name = name
        self.dead = False
        self.killed = False
        self.stopped = False
        self.was_stopped = False
        self.tasks: list[asyncio.Task[Any]] = []
        self.held: list[asyncio.Handle] = []
        self.on_death: Callable[[], None] = lambda: None
        self._loop = loop
        self._outside = copy_context()
        self._context = copy_context()
        self._context.run(_process.set, self)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run a coroutine as part of this process."""
        return self._loop.create_task(coroutine, context=self._context.copy())

    def check(self) -> None:
        """Raises `Killed` where it is dead: what it still does counts for nothing."""
        if self.dead:
            raise Killed(self.name)

    def kill(self) -> None:
        """It is gone at this very moment. From within it, `check` has to follow."""
        self.dead = self.killed = True
        self.held.clear()
        self._outside.run(self.on_death)

    def stop(self) -> None:
        """Like SIGSTOP: time passes, but not for it."""
        self.stopped = self.was_stopped = True

    def go_on(self) -> None:
        """Like SIGCONT."""
        self.stopped = False
        held, self.held = self.held, []
        self._loop.resume(held)

    def bury(self) -> None:
        """Close what never ended, so that nobody complains of it. For the end of the run."""
        self.dead = True
        _bury(self.tasks)


def _bury(tasks: "list[asyncio.Task[Any]]") -> None:
    for task in tasks:
        if not task.done():
            _close(task)
    tasks.clear()


def _close(task: "asyncio.Task[Any]") -> None:
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # nobody else can say so
    with suppress(BaseException):
        task.get_coro().close()


class Machine(VirtualLoop):
    """The loop in which processes live. What is no part of one is outside: the test itself."""

    def __init__(self, seed: int, *, lateness: float = 0.0) -> None:
        super().__init__(seed, lateness=lateness)
        self.processes: list[Process] = []
        self.outside: list[asyncio.Task[Any]] = []
        self.complaints: list[str] = []
        self.set_exception_handler(self._complain)

    def process(self, name: str) -> Process:
        """A new process in which nothing runs yet."""
        made = Process(self, name)
        self.processes.append(made)
        return made

    def create_task(self, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        """See `asyncio.AbstractEventLoop.create_task`."""
        task: asyncio.Task[Any] = super().create_task(coro, **options)
        context = options.get("context")
        process = _process.get() if context is None else context.get(_process)
        (self.outside if process is None else process.tasks).append(task)
        return task

    def run_handle(self, handle: asyncio.Handle) -> None:
        """See `VirtualLoop.run_handle`."""
        process = handle._context.get(_process)  # type: ignore[attr-defined]  # public from 3.12 on
        if process is None or not (process.dead or process.stopped):
            handle._run()
        elif not process.dead:
            process.held.append(handle)

    def resume(self, handles: list[asyncio.Handle]) -> None:
        """Take up callbacks that were held back, in their order."""
        self._ready.extend(handles)

    def bury(self) -> None:
        """End everything; the loop has to be closed after."""
        for process in self.processes:
            process.bury()
        _bury(self.outside)

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note what nobody caught, but for what a dead process left."""
        error, task = context.get("exception"), context.get("task") or context.get("future")
        if isinstance(error, Killed):
            return
        if task is not None and not any(task in p.tasks for p in self.processes if not p.dead):
            return
        self.complaints.append(f"{context.get('message')}: {error!r} {task or ''}")
