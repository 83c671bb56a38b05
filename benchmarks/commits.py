"""From ready to durable: how long each task took, by a clock that stops at every commit.

The clock costs one call a commit. Which commit held which event is read from the log afterwards.
"""

import time
from collections.abc import Iterator, Sequence

from msgspec import Struct

from aipartnerupflow.adapters.journal.journal import EventJournal, Row
from aipartnerupflow.api.stores import Store
from aipartnerupflow.domain import events as e
from aipartnerupflow.engine.ports import Unit

PAGE = 5_000


class Seen(Struct):
    """What the log says of a run."""

    waits: list[float]
    """Seconds from ready to durably completed, of each task that was called."""
    event_bytes: float
    """Average size of a stored ``task.*`` event."""


class CommitClock:
    """The time after each commit of a store, from `start` on."""

    def __init__(self, store: Store) -> None:
        journal = store.journal
        if not isinstance(journal, EventJournal):
            raise TypeError("only a journal of stored events can be measured")
        self._journal = journal
        self._first = 0
        self._marks: list[tuple[int, float]] = []
        append, marks, now = journal.append, self._marks, time.perf_counter

        def timed(units: Sequence[Unit]) -> int:
            position = append(units)
            marks.append((position, now()))
            return position

        journal.append = timed  # type: ignore[method-assign]

    @property
    def commits(self) -> int:
        """How many there were."""
        return len(self._marks)

    def start(self) -> None:
        """What was committed so far does not count."""
        self._marks.clear()
        self._first = self._journal.position()

    def seen(self) -> Seen:
        """Read the log from where the clock started."""
        waits = _Waits()
        sizes = []
        for row, at in self._rows():
            if row.topic.startswith("task."):
                sizes.append(len(row.state))
            waits.take(row.tree, self._journal.mapper.decode(row.topic, row.state), at)
        return Seen(waits.waits, sum(sizes) / len(sizes))

    def _rows(self) -> Iterator[tuple[Row, float]]:
        """Every row with the time of its commit."""
        marks = iter(self._marks)
        last, at = self._first, 0.0
        after = self._first
        while rows := self._journal.recorder.log(after, PAGE):
            for row in rows:
                while row.position > last:
                    last, at = next(marks)
                yield row, at
            after = rows[-1].position


class _Waits:
    """A task is ready once its tree is submitted and its dependencies have completed."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._needs: dict[str, tuple[str, ...]] = {}
        self._submitted: dict[str, float] = {}
        self._completed: dict[str, float] = {}
        self._called: set[str] = set()

    def take(self, tree: str, event: e.AnyEvent, at: float) -> None:
        """One event of ``tree``, durable since ``at``."""
        match event:
            case e.TreeCreated() | e.TasksAdded():
                for spec in event.specs:
                    self._needs[spec.id] = tuple(d.on for d in spec.dependencies)
            case e.TreeSubmitted():
                self._submitted[tree] = at
            case e.TaskStarted(called=True):
                self._called.add(event.task)
            case e.TaskCompleted():
                self._completed[event.task] = at
                if event.task in self._called:
                    self.waits.append(at - self._ready(tree, event.task))
            case _:
                pass

    def _ready(self, tree: str, task: str) -> float:
        after = (self._completed[need] for need in self._needs[task])
        return max(after, default=self._submitted[tree])
