"""The executor of `slow.json`: it counts, slowly, and remembers how far it has come.

    apflow run examples/slow.json --import examples.slow

Kill it, however hard, then

    apflow resume --import examples.slow

What had completed stays; what was interrupted starts again, at the number that it had saved.
"""

import asyncio
from typing import Any

from aipartnerupflow import task


@task
async def count_slowly(context: Any, to: int, seconds: float = 0.5, **given: Any) -> dict[str, int]:
    """Counts up to a number, saving each; ``seconds`` pass between two."""
    first = (context.checkpoint or 0) + 1
    for number in range(first, to + 1):
        await asyncio.sleep(seconds)
        await context.save(number)
        await context.progress(number / to, f"at {number}")
    return {"counted_to": to, "attempt": context.attempt, "started_at": first}
