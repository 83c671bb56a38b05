"""What one attempt has to remember while its executor is called, hooks and all."""

import asyncio
from collections.abc import Awaitable
from functools import partial
from inspect import isawaitable, iscoroutine
from logging import getLogger
from typing import Any, Final

from ...engine.ports import Call
from .context import Context
from .entry import Entry
from .hooks import InThread, caught, in_own_thread, off_loop, run_hook
from .view import TaskView

CANCEL_SECONDS: Final = 5.0
"""How long an executor's own `cancel` may take."""
STOPPED: Final = "stopped"
"""The message of a cancel after which the end of the attempt is waited for. Blocking code then may
still return; whoever cancels so gives up the thread in the end.
"""

_log = getLogger(__name__)


class Attempt:
    """An attempt with hooks or threads, one that is looked for again, or one that is cancelled."""

    __slots__ = ("_begun", "_told", "call", "context", "entry", "executor", "in_thread")

    def __init__(self, entry: Entry, call: Call, context: Context, in_thread: InThread) -> None:
        self.entry = entry
        self.call = call
        self.context = context
        self.in_thread = in_thread
        self.executor: Any = None
        self._begun = False
        self._told = False

    async def run(self) -> Any:
        """`execute` between the executor's own hooks."""
        result = None
        if self.entry.around.pre:
            await self._make()
            result = await self._short_cut()
        if result is None:
            result = await self._execute()
        await self._post(result)
        return result

    async def find(self) -> Any:
        """What `reattach` found of the work of this attempt; None where nothing is left of it.

        An executor that fails at looking does not know whether the work is there. A call that is
        safe to repeat is tried again under the same key; any other takes the work over and fails
        with that error, as the work may go on or be done.
        """
        if not self.entry.reattaches:
            return None
        try:
            await self._make()
            found = await self.executor.reattach(self.call.inputs)
            if found is None or isawaitable(found) or callable(found):
                return found
            raise TypeError(f"it returns None or an awaitable, not a {type(found).__name__}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an executor is foreign code
            _log.warning("reattach of executor %s failed", self.entry.id, exc_info=self._tellable)
            return None if self._may_repeat() else partial(_fail, error)

    def _may_repeat(self) -> bool:
        try:
            return self.entry.safe(self.call) is True
        except (Exception, SystemExit):  # noqa: BLE001 - asks foreign code
            return False

    async def follow(self, found: Any) -> Any:
        """Wait for the end of the work that was found, then call the hooks."""
        try:
            if self.call.port is not None:
                await self.call.port.taken_over()
        except BaseException:
            _drop(found)
            raise
        if not isawaitable(found):
            found = found()
        result = await found
        await self._post(result)
        return result

    async def tell(self) -> None:
        """Let the executor end what it began elsewhere. Once is enough."""
        if self._told or self.executor is None or not self.entry.cancels:
            return
        self._told = True
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._cancel()
        except (Exception, SystemExit):  # noqa: BLE001 - an executor is foreign code
            _log.warning("cancel of executor %s failed", self.entry.id, exc_info=self._tellable)

    @property
    def _tellable(self) -> bool:
        """Whether a traceback may be logged: one could repeat a secret."""
        return not self.context.holds_secrets

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

    async def _post(self, result: Any) -> None:
        for hook in self.entry.around.post:
            args = (self.executor, TaskView(self.call), self.call.inputs, result)
            await run_hook(hook, args, self.in_thread)

    async def _execute(self) -> Any:
        if not self.entry.coroutine:
            return await self._in_thread()
        if self.executor is None:
            await self._make()
        return await self.executor.execute(self.call.inputs)

    async def _in_thread(self) -> Any:
        """`execute` in a thread, which can only be asked to end: what it then returns counts."""
        working = asyncio.ensure_future(self.in_thread(partial(caught, self._blocking)))
        try:
            value, error = await asyncio.shield(working)
        except asyncio.CancelledError as cancel:
            if cancel.args != (STOPPED,) or not self._begun:
                working.cancel()
                raise
            value, error = await self._last_word(working)
            if iscoroutine(value):
                value.close()  # it never began
                raise
        if error is not None:
            raise error
        return await value if isawaitable(value) else value

    def _blocking(self) -> Any:
        self._begun = True
        if self.executor is None:
            self.executor = self.entry.make(self.call, self.context)
        return self.executor.execute(self.call.inputs)

    async def _last_word(
        self, working: Awaitable[tuple[Any, BaseException | None]]
    ) -> tuple[Any, BaseException | None]:
        self.context.cancelled = True
        await self.tell()
        return await working

    async def _cancel(self) -> None:
        cancel = self.executor.cancel
        if asyncio.iscoroutinefunction(cancel):
            await cancel()
        else:
            await off_loop(cancel, in_own_thread)


async def _fail(error: BaseException) -> Any:
    raise error


def _drop(found: Any) -> None:
    """What was found is not waited for after all."""
    if iscoroutine(found):
        found.close()
    elif isinstance(found, asyncio.Future):
        found.cancel()
