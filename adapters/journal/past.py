"""Trees as they stood at an earlier version: the same row changes, made again from the log."""

from collections.abc import Sequence

from msgspec import Struct

from ...domain.errors import InvalidInput, NotFound
from ...domain.events import Recorded
from ...engine.ports import Journal
from ...projections.rebuild import Replay, torn
from ...projections.views import AttemptView, TaskView, TreeView
from .journal import Batch
from .memory.reads import attempts_of, view_of
from .memory.rows import Tables, TaskEntry
from .sql_reads import ending


class NotYet(NotFound):
    """A tree that is there, but was not at the time that was asked for."""

    def __init__(self, id: str, created_at: str) -> None:
        super().__init__("tree", id)
        self.args = (f"tree {id} did not exist then: it was created at {created_at}",)


class Past(Struct, frozen=True):
    """A tree at one of its versions."""

    tree: TreeView
    tasks: Sequence[TaskView]
    attempts: Sequence[AttemptView]


def past(journal: Journal, id: str, *, version: int | None = None, at: str | None = None) -> Past:
    """The tree as it stood at ``version``, or at the time ``at`` (as in events). Blocking.

    Linear in the events up to there. Raises `NotFound` where it did not exist then, and
    `InvalidInput` for a version that it has not reached.
    """
    events = _until(journal, id, version, at)
    if not events:
        raise _absent(journal, id)
    if version is not None and events[-1].version < version:
        raise InvalidInput(
            f"tree {id} is at version {events[-1].version}: it has not come to {version} yet"
        )
    tables = Tables()
    for made in Replay(_unknown).changes(events):
        tables.apply([Batch(made.tree, 0, [], made.changes, None)])
    entries = tables.of[id]
    tasks = [_task(journal, events, entries[n]) for n in sorted(entries)]
    return Past(tables.trees[id], tasks, attempts_of(events))


def _task(journal: Journal, events: Sequence[Recorded], entry: TaskEntry) -> TaskView:
    if entry.state is None or not entry.state.ended:
        return view_of(entry)
    return view_of(entry, *ending(events[entry.state.ended - 1].event, journal.read_blob))


def _unknown(tree: str) -> dict[str, int]:
    """Every stream is read from its beginning, so nothing has to be found."""
    raise torn(tree, 1)


def _absent(journal: Journal, id: str) -> NotFound:
    first = next(iter(journal.read(id, limit=1)), None)
    return NotFound("tree", id) if first is None else NotYet(id, first.event.at)


def _until(journal: Journal, id: str, version: int | None, at: str | None) -> list[Recorded]:
    found: list[Recorded] = []
    for recorded in journal.read(id, limit=version):
        if at is not None and recorded.event.at > at:
            break
        found.append(recorded)
    return found
