"""Attempts for show: the executor does not work, it gives what it has for demonstrations."""

import asyncio
from math import isfinite
from typing import Any, Final

from ...engine.ports import Call
from .context import Context
from .entry import Entry
from .hooks import InThread, off_loop
from .view import TaskView

DEFAULT: Final = {"result": "Demo execution result"}
SLEEP: Final = "_demo_sleep"
"""Taken out of a result: so many seconds, times the scale in the settings, it seems to run."""
MAX_SLEEP: Final = 3600.0


async def demonstrate(
    entry: Entry, call: Call, context: Context, in_thread: InThread, scale: float
) -> dict[str, Any]:
    """`get_demo_result` of the executor, or `DEFAULT`, marked with ``demo_mode``."""
    if getattr(entry.cls, "get_demo_result", None) is None:
        found = None
    elif entry.coroutine:
        found = _ask(entry, call, context)
    else:  # who blocks in `execute` may block here
        found = await off_loop(lambda: _ask(entry, call, context), in_thread)
    if found is None:
        found = DEFAULT
    shown = dict(found) if isinstance(found, dict) else {"result": found}
    await asyncio.sleep(_seconds(shown.pop(SLEEP, 0), scale))
    return shown | {"demo_mode": True}


def _ask(entry: Entry, call: Call, context: Context) -> Any:
    return entry.make(call, context).get_demo_result(TaskView(call), call.inputs)


def _seconds(wanted: Any, scale: float) -> float:
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or not isfinite(wanted):
        return 0.0
    return min(max(wanted * scale, 0.0), MAX_SLEEP)
