"""The status rows in memory made again from the log."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import asdict

from ....domain.events import Recorded
from ....projections.rebuild import Difference, TreeChanges
from ..journal import Batch
from ..mapper import StructMapper
from ..replayed import misplaced
from .recorder import MemoryRecorder
from .rows import Tables, TaskEntry

_Rows = Mapping[str, Mapping[str, Any]]


class MemoryStatus:
    """`projections.rebuild.StatusStore` in memory."""

    def __init__(self, recorder: MemoryRecorder, mapper: StructMapper) -> None:
        self._recorder = recorder
        self._mapper = mapper

    @contextmanager
    def copy(self, *, writable: bool = False) -> Iterator["MemoryCopy"]:
        """See `StatusStore.copy`."""
        yield MemoryCopy(self._recorder, self._mapper)


class MemoryCopy:
    """`projections.rebuild.StatusCopy` in memory. Its tables want task ids to be unique, so all
    events come in one page, in which only the last place of a task counts.
    """

    def __init__(self, recorder: MemoryRecorder, mapper: StructMapper) -> None:
        self._recorder = recorder
        self._mapper = mapper
        self._tables = Tables()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See `StatusCopy.snapshot`."""
        with self._recorder.lock:
            yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """See `StatusCopy.exclusive`. What came since the snapshot comes with all before it."""
        with self._recorder.lock:
            yield

    def page(self, after: int, limit: int) -> Sequence[Recorded]:
        """All events after position ``after``, whatever the limit."""
        decode = self._mapper.decode
        return [
            Recorded(row.tree, row.version, decode(row.topic, row.state), row.position)
            for row in self._recorder.log(after, self._recorder.position())
        ]

    def write(self, made: Sequence[TreeChanges]) -> None:
        """See `StatusCopy.write`."""
        self._tables.apply([Batch(one.tree, 0, [], one.changes, None) for one in made])

    def numbers(self, tree: str) -> dict[str, int]:
        """See `StatusCopy.numbers`."""
        return {entry.spec.id: n for n, entry in self._tables.of.get(tree, {}).items()}

    def differences(self, position: int, limit: int) -> Sequence[Difference]:
        """See `StatusCopy.differences`."""
        stored, rebuilt = self._recorder.tables, self._tables
        found: list[Difference] = []
        for table, one, other in (
            ("tree", _trees(stored), _trees(rebuilt)),
            ("task", _tasks(stored), _tasks(rebuilt)),
            ("task_state", _states(stored), _states(rebuilt)),
            ("slot", _slots(stored), _slots(rebuilt)),
        ):
            found.extend(_differing(table, one, other)[:limit])
        return found + misplaced(self._recorder.max_tracking_id("status") or 0, position)

    def replace(self, position: int) -> None:
        """See `StatusCopy.replace`."""
        stored, rebuilt = self._recorder.tables, self._tables
        stored.trees, stored.tasks, stored.of = rebuilt.trees, rebuilt.tasks, rebuilt.of
        stored.slots, stored.requests = rebuilt.slots, rebuilt.requests


def _trees(tables: Tables) -> _Rows:
    return {id: asdict(tree) for id, tree in tables.trees.items()}


def _tasks(tables: Tables) -> _Rows:
    return {id: _task(entry) for id, entry in tables.tasks.items()}


def _task(entry: TaskEntry) -> Mapping[str, Any]:
    spec = asdict(entry.spec)
    for name in ("inputs", "params", "schemas"):
        spec[name] = bytes(spec[name])
    return {"tree": entry.tree.id, "n": entry.n, "created_at": entry.created_at, **spec}


def _states(tables: Tables) -> _Rows:
    return {
        id: asdict(entry.state) for id, entry in tables.tasks.items() if entry.state is not None
    }


def _slots(tables: Tables) -> _Rows:
    found = {}
    for (tree, n), key in tables.slots.items():
        entry = tables.of.get(tree, {}).get(n)
        found[f"{tree}/{n}" if entry is None else entry.spec.id] = {"key": key}
    return found


def _differing(table: str, stored: _Rows, rebuilt: _Rows) -> list[Difference]:
    return [
        Difference(table, id, stored.get(id), rebuilt.get(id))
        for id in sorted(stored.keys() | rebuilt.keys())
        if stored.get(id) != rebuilt.get(id)
    ]
