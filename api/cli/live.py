"""What a run looks like on a terminal: the tree while it is small, figures when it is not."""

import asyncio
import time
from collections.abc import Iterator
from itertools import islice

from rich.console import Console as Terminal
from rich.live import Live
from rich.text import Text

from .console import Console, clean
from .text import error_line, seconds
from .watch import Running, Watch, Watched

PAUSE = 0.1
"""Seconds between two pictures, at least."""
SHARE = 9
"""A picture that took t seconds is followed by a pause of SHARE x t."""
ROWS = 60
BAR = 24

MARKS = {
    "completed": ("✔", "green"),
    "failed": ("✘", "red"),
    "cancelled": ("⊘", "yellow"),
    "running": ("●", "cyan"),
    "pending": ("○", "dim"),
}
ASCII = str.maketrans("✔✘⊘●○█░…", "+x-*.#.~")


class LiveView:
    """Draws at most ten pictures a second, none larger than the screen."""

    def __init__(self, console: Console, watch: Watch, terminal: Terminal | None = None) -> None:
        self._console = console
        self._watch = watch
        self._terminal = terminal or Terminal(stderr=True, highlight=False, markup=False)
        self._live = Live(
            console=self._terminal,
            auto_refresh=False,
            vertical_overflow="crop",
        )
        self._orders: dict[str, list[tuple[str, int]]] = {}

    def open(self) -> None:
        """Begin to draw; talk goes above the picture."""
        self._live.start()
        self._console.above = lambda text: self._terminal.print(Text(text), soft_wrap=True)

    async def tick(self) -> None:
        """Draw; returns after a pause."""
        began = time.monotonic()
        self._live.update(self.picture(), refresh=True)
        await asyncio.sleep(max(PAUSE, SHARE * (time.monotonic() - began)))

    def close(self) -> None:
        """Draw the last picture and leave it there."""
        self._console.above = None
        self._live.update(self.picture(), refresh=True)
        self._live.stop()

    def picture(self) -> Text:
        """The screen as it should be now."""
        room = min(ROWS, max(5, self._terminal.height - 3))
        trees = self._watch.trees
        rows: list[Text] = []
        if len(trees) <= 3:
            for tree in trees:
                rows += self._tree(tree, room // len(trees))
        else:
            rows += self._many(trees, room)
        text = Text("\n", no_wrap=True, overflow="ellipsis").join(rows)
        if not self._terminal.encoding.startswith("utf"):
            text.plain = text.plain.translate(ASCII)
        return text

    def _many(self, trees: list[Watched], room: int) -> Iterator[Text]:
        settled = sum(bool(tree.settled) for tree in trees)
        yield Text(f"{settled}/{len(trees)} trees  {self._elapsed(self._watch.since)}", "bold")
        yield from map(self._head, islice((t for t in trees if not t.settled), room - 1))

    def _tree(self, tree: Watched, room: int) -> Iterator[Text]:
        yield self._head(tree)
        if tree.total < room:
            for task, depth in self._order(tree):
                yield self._row(tree, task, depth)
        else:
            yield from self._collapsed(tree, room - 1)

    def _head(self, tree: Watched) -> Text:
        done, total = len(tree.ended), tree.total
        filled = BAR * done // total if total else BAR
        busy = sum(running.called for running in tree.running.values())
        text = Text.assemble(
            (clean(tree.name, 40), "bold"),
            f"  {tree.id[:8]}  ",
            ("█" * filled, "green"),
            ("░" * (BAR - filled), "dim"),
            f"  {done}/{total}",
        )
        if busy:
            text.append(f"  {busy} running", "cyan")
        if tree.failed:
            text.append(f"  {tree.failed} failed", "red")
        return text.append(f"  {tree.settled or self._elapsed(tree.since)}")

    def _collapsed(self, tree: Watched, room: int) -> Iterator[Text]:
        """Of a big tree what matters now: failures, what runs, what ended last."""
        rows = [task for task, _ in tree.failures[: room // 3]]
        if not tree.settled:
            rows += islice((task for task, run in tree.running.items() if run.called), room // 2)
            rows += (task for task in reversed(tree.latest) if tree.ended[task] != "failed")
        for task in rows[:room]:
            yield self._row(tree, task, 0)

    def _row(self, tree: Watched, task: str, depth: int) -> Text:
        running = tree.running.get(task)
        word = "running" if running is not None else tree.ended.get(task, "pending")
        mark, style = MARKS[word]
        text = Text.assemble(f"  {'  ' * depth}", (mark, style), f" {clean(tree.labels[task], 60)}")
        if running is not None:
            text.append(_doing(running), "cyan")
        elif task in tree.took:
            text.append(f"  {seconds(tree.took[task])}", "dim")
        if word == "failed":
            text.append(f"  {self._why(tree, task)}", "red")
        return text

    @staticmethod
    def _why(tree: Watched, task: str) -> str:
        return next((error_line(error) for failed, error in tree.failures if failed == task), "")

    def _order(self, tree: Watched) -> list[tuple[str, int]]:
        """The tasks with their depths, each below its parent."""
        known = self._orders.get(tree.id)
        if known is None or len(known) != tree.total:
            below: dict[str | None, list[str]] = {}
            for task, parent in tree.parents.items():
                below.setdefault(parent, []).append(task)
            known = self._orders[tree.id] = list(_walk(below))
        return known

    def _elapsed(self, since: float) -> str:
        return seconds(time.monotonic() - since)


def _doing(running: Running) -> str:
    text = f"  {seconds(time.monotonic() - running.since)}" if running.called else ""
    if running.attempt > 1:
        text += f"  attempt {running.attempt}"
    if running.progress:
        text += f"  {running.progress:.0%}"
    return f"{text}  {clean(running.message, 60)}" if running.message else text


def _walk(below: dict[str | None, list[str]]) -> Iterator[tuple[str, int]]:
    todo = [(task, 0) for task in reversed(below.get(None, []))]
    while todo:
        task, depth = todo.pop()
        yield task, depth
        todo.extend((child, depth + 1) for child in reversed(below.get(task, [])))
