"""The status rows once more, from the first event on: to mend them, and to prove them.

Live, each append brings its own row changes. Here the log is cut into batches and the events of
each tree in a batch are taken as one append, which comes to the same rows.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from ..domain import events as e
from ..domain.errors import StoreCorrupt
from .runner import BATCH
from .status import Changes, changes

_DRAFT_EVENTS = (e.TreeCreated, e.TasksAdded, e.TaskRemoved)
_REOPENING = (e.TaskReopened, e.TreeReopened)


class TreeChanges(Struct, gc=False):
    """The row changes of one tree in one batch."""

    tree: str
    changes: Changes


class Difference(Struct, frozen=True):
    """A row that is not what the log says; None where it is missing on one side.

    The rows hold what users wrote: ``str`` names columns, never values.
    """

    table: str
    key: str
    stored: Mapping[str, Any] | None
    rebuilt: Mapping[str, Any] | None

    def __str__(self) -> str:
        if self.stored is None:
            return f"{self.table} {self.key}: missing, though the log has it"
        if self.rebuilt is None:
            return f"{self.table} {self.key}: there, though the log does not have it"
        columns = [name for name, value in self.stored.items() if self.rebuilt[name] != value]
        return f"{self.table} {self.key}: {', '.join(columns)} not as in the log"


class StatusCopy(Protocol):
    """Status tables beside the stored ones, empty at first. Not shared between threads.

    A copy does not ask for task ids to be unique: within a batch trees are written one by one, so
    a task that moves from one to another may stand in both for a while.
    """

    def snapshot(self) -> AbstractContextManager[None]:
        """All that is read in the block is as of one moment. Holds nobody up."""

    def exclusive(self) -> AbstractContextManager[None]:
        """One transaction; those who append wait for its end, readers see the rows of before."""

    def page(self, after: int, limit: int) -> Sequence[e.Recorded]:
        """At most ``limit`` events of the store after position ``after``."""

    def write(self, made: Sequence[TreeChanges]) -> None:
        """Change rows of the copy. New trees are numbered as they come."""

    def numbers(self, tree: str) -> dict[str, int]:
        """The numbers that the tasks of a tree have in the copy, by id."""

    def differences(self, position: int, limit: int) -> Sequence[Difference]:
        """At most ``limit`` differences a table between stored rows and copy, which stands at
        ``position``.
        """

    def replace(self, position: int) -> None:
        """Make the stored rows those of the copy, which stands at ``position``."""


class StatusStore(Protocol):
    """The status tables of a store. Blocking; any thread may call."""

    def copy(self, *, writable: bool = False) -> AbstractContextManager[StatusCopy]:
        """Tables for a copy, gone after the block; ``writable`` where `replace` will follow."""


class Rebuilt(Struct):
    """How many events were replayed, and the position of the last one."""

    events: int = 0
    position: int = 0


def rebuild(store: StatusStore, *, batch: int = BATCH) -> Rebuilt:
    """Make all status rows again from the log and put them in place, in one transaction.

    Engines may run meanwhile: they wait only while the rows are put in place. Raises `StoreError`,
    with nothing changed.
    """
    done = Rebuilt()
    with store.copy(writable=True) as copy:
        replay = Replay(copy.numbers)
        with copy.snapshot():
            _take(copy, replay, done, batch)
        with copy.exclusive():
            _take(copy, replay, done, batch)
            copy.replace(done.position)
    return done


def compare(
    store: StatusStore, *, limit: int = 20, batch: int = BATCH
) -> tuple[Rebuilt, Sequence[Difference]]:
    """What the stored status rows have otherwise than the log, at most ``limit`` rows a table.

    Changes nothing and holds nobody up. Raises `StoreError`.
    """
    done = Rebuilt()
    with store.copy() as copy, copy.snapshot():
        _take(copy, Replay(copy.numbers), done, batch)
        return done, copy.differences(done.position, limit)


def _take(copy: StatusCopy, replay: "Replay", done: Rebuilt, batch: int) -> None:
    """Take into the copy what stands in the log behind ``done``."""
    while page := copy.page(done.position, batch):
        copy.write(replay.changes(page))
        done.events += len(page)
        done.position = page[-1].position


class _Numbers(Struct):
    """The numbers of a tree's tasks by id. Numbers of removed tasks are not given again.

    ``keyed``: one of them has taken a slot.
    """

    index: dict[str, int] = {}
    next: int = 0
    keyed: bool = False

    def take(self, event: e.AnyEvent) -> None:
        """Number the tasks that come with ``event``, forget the one that goes."""
        match event:
            case e.TreeCreated(specs=specs) | e.TasksAdded(specs=specs):
                for spec in specs:
                    self.index[spec.id] = self.next
                    self.next += 1
            case e.TaskRemoved(task=task):
                del self.index[task]
            case _:
                pass


class Replay:
    """Turns batches of the log, given in order, into row changes.

    Remembers the task numbers of unfinished trees only. Those of a tree that goes on after its end
    it has from ``find``, which knows them as after the batch before.
    """

    def __init__(self, find: Callable[[str], dict[str, int]]) -> None:
        self._find = find
        self._trees: dict[str, _Numbers] = {}

    @property
    def remembered(self) -> int:
        """Of how many trees the task numbers are held."""
        return len(self._trees)

    def changes(self, batch: Sequence[e.Recorded]) -> list[TreeChanges]:
        """The row changes of a batch, trees in the order in which they first occur."""
        streams: dict[str, list[e.Recorded]] = {}
        for recorded in batch:
            stream = streams.get(recorded.tree)
            if stream is None:
                streams[recorded.tree] = [recorded]
            else:
                stream.append(recorded)
        return [TreeChanges(id, self._of(id, stream)) for id, stream in streams.items()]

    def _of(self, id: str, stream: Sequence[e.Recorded]) -> Changes:
        events = [recorded.event for recorded in stream]
        first = stream[0].version
        numbers = self._numbers(id, first, events)
        try:
            for event in events:
                if isinstance(event, _DRAFT_EVENTS):
                    numbers.take(event)
                elif isinstance(event, e.TaskStarted) and event.slot is not None:
                    numbers.keyed = True
            made = changes(events, first, numbers.index, numbers.keyed)
        except KeyError as error:
            raise torn(id, first) from error
        made.taken = {n: replace(slot, limit=None) for n, slot in made.taken.items()}
        if made.tree.phase in ("settled", "adopted"):
            self._trees.pop(id, None)
        return made

    def _numbers(self, id: str, first: int, events: Sequence[e.AnyEvent]) -> _Numbers:
        """Those of a settled tree only where it goes on: a late report does not need them."""
        if first == 1:
            numbers = self._trees[id] = _Numbers()
            return numbers
        numbers = self._trees.get(id) or _Numbers()
        if not numbers.index and any(isinstance(event, _REOPENING) for event in events):
            numbers = self._trees[id] = _Numbers(self._find(id))
        return numbers


def torn(tree: str, version: int) -> StoreCorrupt:
    """The error for a stream that lacks events which its later ones build on."""
    return StoreCorrupt(
        f"tree {tree}: at or after version {version} an event builds on one before it that is "
        "missing. Keep a copy; restore the store from a backup."
    )
