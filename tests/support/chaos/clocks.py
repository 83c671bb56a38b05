"""A clock that somebody sets, all the time: by up to a day, forwards and backwards."""

import asyncio
import random
import time

from aipartnerupflow.adapters.clock import SystemClock

JUMPS = (0.0, 1.0, -1.0, 3_600.0, -3_600.0, 86_400.0, -86_400.0)
"""How far from the right time, in seconds."""
EVERY = 0.05


async def set_clock(rng: random.Random) -> None:
    """For all engines of this process, until cancelled."""
    wrong = 0.0

    def now(_: SystemClock) -> float:
        return time.time() + wrong

    # As if somebody set the clock of the machine.
    SystemClock.now = now  # type: ignore[assignment,method-assign]
    while True:
        wrong = rng.choice(JUMPS)
        await asyncio.sleep(rng.uniform(0, 2 * EVERY))
