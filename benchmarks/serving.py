"""The server that rest.py measures, in a process of its own: STATE_DIR URL.

It writes down when each of its commits was done, and prints that when it is told to end.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aipartnerupflow import BaseTask, executor_register
from aipartnerupflow.api.http.serving import serve
from aipartnerupflow.api.settings import load_settings
from aipartnerupflow.api.wiring import open_store
from aipartnerupflow.engine.ports import Unit
from benchmarks import trees

__all__ = ["Paced", "trees"]

PER_SECOND = 100


@executor_register()
class Paced(BaseTask):
    """Task ``n`` ends n hundredths of a second after the first one began."""

    id = "paced"
    name = "paced"
    began: float | None = None

    async def execute(self, inputs: dict[str, Any]) -> int:
        """Wait for its turn."""
        now = time.monotonic()
        if Paced.began is None or inputs["n"] == 0:
            Paced.began = now
        await asyncio.sleep(max(0.0, Paced.began + inputs["n"] / PER_SECOND - now))
        n: int = inputs["n"]
        return n


def main(state: str, url: str) -> None:
    """Serve until SIGTERM."""
    commits: list[tuple[float, int]] = []
    os.environ |= {"APFLOW_STATE_DIR": state, "APFLOW_MAX_STREAMS": "20000", "APFLOW_PORT": "0"}
    settings = load_settings()
    store = open_store(url)
    journal: Any = store.journal
    append = journal.append

    def timed(units: Sequence[Unit]) -> int:
        position: int = append(units)
        commits.append((time.monotonic(), position))
        return position

    journal.append = timed
    said = lambda address: print(address, flush=True)  # noqa: E731
    asyncio.run(serve(settings, store, said, folder=Path(state)))
    print(json.dumps(commits), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
