"""One attempt from beginning to end, in an event loop."""

import asyncio
from functools import partial
from logging import getLogger
from typing import Any, Final

from ...domain.specs import ErrorInfo
from ...engine.ports import Call, Outcome, Raised, Returned
from .context import Context
from .entry import Entry
from .hooks import InThread, off_loop, run_hook
from .registry import Registry
from .results import error_info, outcome_of
from .view import TaskView

CANCEL_SECONDS: Final = 5.0
"""How long an executor's own `cancel` may take."""

_log = getLogger(__name__)


async def invoke(registry: Registry, call: Call, in_thread: InThread) -> Outcome:
    """Call the executor of ``call`` with all that surrounds it.

    Whatever it does becomes an outcome; only the cancellation of this attempt passes through.
    ``in_thread`` calls blocking code in a thread and hands on what it returns.
    """
    context = Context(call, asyncio.get_running_loop())
    attempt: _Attempt | None = None
    try:
        entry = registry.entry(call.executor)
        around = entry.around
        attempt = _Attempt(entry, call, context, in_thread)
        if entry.coroutine and not around.pre and not around.post:
            attempt.executor = executor = entry.make(call, context)
            result = await executor.execute(call.inputs)
        else:
            result = await attempt.run()
        outcome = outcome_of(result)
        if registry.post and type(outcome) is Returned:
            await registry.after(call, call.inputs, result, in_thread)
        return outcome
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            return Raised(error_info(error))  # the executor's own doing, nobody asked for it
        context.cancelled = True
        if attempt is not None:
            await attempt.tell()
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an executor is foreign code
        if attempt is None and isinstance(error, KeyError):
            return Raised(_not_found(registry, call.executor))
        return Raised(error_info(error))


def _not_found(registry: Registry, id: str) -> ErrorInfo:
    known = ", ".join(registry.ids())
    return ErrorInfo(
        "executor_not_found",
        f"the executor {id!r} is not registered here. Registered are: {known}.",
    )


class _Attempt:
    """What an attempt with hooks or threads, or one that is cancelled, must remember."""

    __slots__ = ("call", "context", "entry", "executor", "in_thread")

    def __init__(self, entry: Entry, call: Call, context: Context, in_thread: InThread) -> None:
        self.entry = entry
        self.call = call
        self.context = context
        self.in_thread = in_thread
        self.executor: Any = None

    async def run(self) -> Any:
        """`execute` between the executor's own hooks."""
        around = self.entry.around
        result = None
        if around.pre:
            await self._make()
            result = await self._short_cut()
        if result is None:
            result = await self._execute()
        for hook in around.post:
            args = (self.executor, TaskView(self.call), self.call.inputs, result)
            await run_hook(hook, args, self.in_thread)
        return result

    async def _make(self) -> None:
        """Where `execute` blocks the constructor may as well."""
        make = partial(self.entry.make, self.call, self.context)
        self.executor = make() if self.entry.coroutine else await off_loop(make, self.in_thread)

    async def _short_cut(self) -> Any:
        for hook in self.entry.around.pre:
            args = (self.executor, TaskView(self.call), self.call.inputs)
            result = await run_hook(hook, args, self.in_thread)
            if result is not None:
                return result
        return None

    async def _execute(self) -> Any:
        if not self.entry.coroutine:
            return await off_loop(self._blocking, self.in_thread)
        if self.executor is None:
            await self._make()
        return await self.executor.execute(self.call.inputs)

    def _blocking(self) -> Any:
        if self.executor is None:
            self.executor = self.entry.make(self.call, self.context)
        return self.executor.execute(self.call.inputs)

    async def tell(self) -> None:
        """Let the executor end what it began elsewhere."""
        if self.executor is None or not self.entry.cancels:
            return
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._cancel()
        except (Exception, SystemExit):  # noqa: BLE001 - an executor is foreign code
            _log.warning("cancel of executor %s failed", self.entry.id, exc_info=True)

    async def _cancel(self) -> None:
        cancel = self.executor.cancel
        if asyncio.iscoroutinefunction(cancel):
            await cancel()
        else:
            await off_loop(cancel, self.in_thread)
