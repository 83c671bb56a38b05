"""The store of a simulated world, and its own books of what was really committed, and when.

What stands here is known whatever the engines believe, so answers and runs are judged by it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from aipartnerupflow.adapters.journal.journal import Batch
from aipartnerupflow.adapters.journal.mapper import HashedEvent, StructMapper
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import AnyEvent, Recorded

AttemptId = tuple[str, str, int, int]
"""Tree, task, generation, attempt."""
UNSALTED = len(b'{"salt":"",') + 32
"""Where the body of an event begins that is the same at every try to store it."""


def _key(event: HashedEvent) -> tuple[str, int, bytes]:
    return str(event.originator_id), event.originator_version, event.state[UNSALTED:]


class Entry(Struct, frozen=True):
    """An event that is in the store, with the loop's time and the number of its commit.

    ``given`` is when it was first given to the store, which may have refused it for a while.
    """

    recorded: Recorded
    when: float
    given: float
    commit: int

    @property
    def event(self) -> AnyEvent:
        return self.recorded.event


class TreeBooks(Struct):
    """What the log says of one tree so far."""

    name: str = ""
    entries: list[Entry] = []
    generations: dict[str, int] = {}
    running: dict[str, AttemptId] = {}
    """Attempts that were called and have not ended, by task."""
    completed: dict[tuple[str, int], float] = {}
    """When a task of a generation completed."""
    awaited: dict[str, str] = {}
    """The signals that tasks wait for."""
    engine: str = ""
    settled: str = ""
    paused: bool = False


class Ledger(MemoryRecorder):
    """A store in memory that keeps books of each commit.

    ``claimed`` is told of each claim of a tree that had an owner: tree, former and new owner.
    """

    def __init__(
        self,
        time: Callable[[], float],
        mapper: StructMapper,
        claimed: Callable[[str, str, str], None],
    ) -> None:
        super().__init__()
        self._claimed = claimed
        self.books: dict[str, TreeBooks] = {}
        self.started: dict[AttemptId, float] = {}
        self.caused: dict[str, list[Entry]] = defaultdict(list)
        """The events of each command that made any."""
        self.commits = 0
        self._given: dict[tuple[str, int, bytes], float] = {}
        self._time = time
        self._mapper = mapper

    def offer(self, batches: Sequence[Batch]) -> None:
        """Somebody tries to store these, with whatever success."""
        for batch in batches:
            for event in batch.stored:
                self._given.setdefault(_key(event), self._time())

    def record(self, batches: Sequence[Batch]) -> int:
        """See `Recorder.record`."""
        position = super().record(batches)
        self.commits += 1
        at = position - sum(len(batch.stored) for batch in batches)
        for batch in batches:
            for event in batch.stored:
                at += 1
                known = self._mapper.decode(event.topic, event.state)
                given = self._given.pop(_key(event), self._time())
                self._take(Recorded(batch.tree, event.originator_version, known, at), given)
        return position

    def of(self, tree: str) -> TreeBooks:
        """The books of a tree; empty ones where nothing of it is stored."""
        return self.books.get(tree) or TreeBooks()

    def entries(self) -> Iterator[Entry]:
        """All trees' entries, tree by tree."""
        return (entry for books in self.books.values() for entry in books.entries)

    def log_text(self) -> Iterator[tuple[str, int, AnyEvent]]:
        """What stands in the log, without what differs from run to run."""
        by_position = sorted(self.entries(), key=lambda entry: entry.recorded.position)
        return ((one.recorded.tree, one.recorded.version, one.event) for one in by_position)

    def _take(self, recorded: Recorded, given: float) -> None:
        books = self.books.setdefault(recorded.tree, TreeBooks())
        event = recorded.event
        entry = Entry(recorded, self._time(), given, self.commits)
        books.entries.append(entry)
        if event.cause is not None:
            self.caused[event.cause].append(entry)
        match event:
            case e.TaskStarted(called=True):
                attempt = (recorded.tree, event.task, event.generation, event.attempt)
                books.generations[event.task] = event.generation
                books.running[event.task] = attempt
                self.started[attempt] = self._time()
            case e.TaskCompleted():
                generation = books.generations.get(event.task, 1)
                books.completed[event.task, generation] = self._time()
                books.running.pop(event.task, None)
                books.awaited.pop(event.task, None)
            case e.AttemptFailed() | e.TaskFailed() | e.TaskCancelled() | e.TaskInterrupted():
                books.running.pop(event.task, None)
                books.awaited.pop(event.task, None)
            case e.TaskWaiting(signal=str(signal)):
                books.awaited[event.task] = signal
            case e.TaskReopened():
                books.generations[event.task] = event.generation
            case e.TreeClaimed():
                if books.engine:
                    self._claimed(recorded.tree, books.engine, event.engine)
                books.engine = event.engine
            case _:
                self._take_of_tree(books, event)

    def _take_of_tree(self, books: TreeBooks, event: AnyEvent) -> None:
        match event:
            case e.TreeCreated():
                books.name = event.name
            case e.TreeReleased():
                books.engine = ""
            case e.TreeSettled():
                books.settled, books.engine = event.status, ""
            case e.TreeReopened():
                books.settled = ""
            case e.TreePaused():
                books.paused = True
            case e.TreeUnpaused():
                books.paused = False
            case _:
                pass
