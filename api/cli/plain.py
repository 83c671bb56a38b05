"""What a run looks like where no terminal is: a line for each start and end."""

import asyncio
import sys
import threading
import time
from collections import deque

from .console import Console, clean
from .text import count, error_line, seconds
from .watch import Step, Watch, Watched

PAUSE = 0.1
"""Seconds between two writes."""


class PlainView:
    """Gathers lines and writes them in a thread: a slow reader must not hold up the engine."""

    def __init__(self, console: Console, watch: Watch) -> None:
        self._console = console
        self._watch = watch
        self._lines: deque[str] = deque()
        self._writing = threading.Lock()

    def open(self) -> None:
        """Listen; talk keeps its place among the lines."""
        if self._console.json:
            return
        self._console.above = self._line
        self._watch.tell = self._step
        self._watch.started = self._started

    async def tick(self) -> None:
        """Write what has gathered; returns after a pause."""
        await asyncio.sleep(PAUSE)
        if self._lines:
            await asyncio.to_thread(self._flush)

    def close(self) -> None:
        """Write the rest."""
        self._console.above = None
        self._flush()

    def _line(self, line: str) -> None:
        self._lines.append(line)

    def _started(self, tree: Watched) -> None:
        done = f", {len(tree.ended)} done" if tree.ended else ""
        tasks = count(tree.total, "task")
        self._lines.append(f"tree {tree.id} ({clean(tree.name, 60)}): {tasks}{done}")

    def _step(self, step: Step) -> None:
        tree = step.tree
        label = clean(tree.labels.get(step.task, step.task), 80)
        where = f"{tree.id[:8]}/{label}" if len(self._watch.trees) > 1 else label
        words = [step.word]
        if step.attempt > 1:
            words.append(f"attempt {step.attempt}")
        if step.seconds is not None:
            words.append(f"in {seconds(step.seconds)}")
        line = f"{time.monotonic() - self._watch.since:8.2f}s  {where}  {' '.join(words)}"
        self._lines.append(line if step.error is None else f"{line}: {error_line(step.error)}")

    def _flush(self) -> None:
        """Take lines one by one: the loop may add some meanwhile, and none may be lost."""
        with self._writing:
            lines = []
            while self._lines:
                lines.append(self._lines.popleft())
            if lines:
                sys.stderr.write("\n".join(lines) + "\n")
                sys.stderr.flush()
