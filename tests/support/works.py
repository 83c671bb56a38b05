"""What executors do in tests: of every temper."""

import asyncio
from collections.abc import Callable

from aipartnerupflow.engine.ports import Call


async def nothing(call: Call) -> None:
    return None


async def broken(call: Call) -> None:
    raise ValueError("no")


async def endless(call: Call) -> None:
    await asyncio.sleep(1e7)


async def slow_to_stop(call: Call) -> None:
    """Takes two seconds to end when it is told to."""
    try:
        await asyncio.sleep(1e7)
    finally:
        await asyncio.sleep(2)


async def deaf(call: Call) -> str:
    """Hears nothing, and returns after a minute."""
    end = asyncio.get_running_loop().time() + 60
    while (left := end - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue
    return "late"


async def finishes(call: Call) -> str:
    """Has its result when it is told to end."""
    try:
        await asyncio.sleep(1e7)
    except asyncio.CancelledError:
        return "just done"
    return "never"


class Gate:
    """Work that waits, however often it is called, until the gate is opened."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def __call__(self, call: Call) -> str:
        await self._event.wait()
        return "done"

    def open(self) -> None:
        self._event.set()


class Flaky:
    """Work that fails ``times`` times, then returns the number of its call.

    ``at`` is when it was really called, whatever the log says.
    """

    def __init__(self, times: int, error: Callable[[], Exception] = ValueError) -> None:
        self.times, self.error = times, error
        self.calls: list[Call] = []
        self.at: list[float] = []

    async def __call__(self, call: Call) -> int:
        self.calls.append(call)
        self.at.append(round(asyncio.get_running_loop().time(), 3))
        if len(self.calls) <= self.times:
            raise self.error()
        return len(self.calls)
