"""The `Journal` port over a recorder: what is common to all stores."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn, Protocol

from msgspec import Struct

from ...domain.errors import (
    CommandAnswered,
    IdTaken,
    KeyTaken,
    NotFound,
    SlotTaken,
    StaleVersion,
    StoreError,
)
from ...domain.events import AnyEvent, Recorded
from ...engine.ports import Answered, Append, OpenTree, Unit
from ...projections.status import Changes, changes
from .chain import first_broken
from .faults import VersionTaken
from .mapper import HashedEvent, StructMapper
from .unknown import Unknown

_REFUSALS = (VersionTaken, StaleVersion, IdTaken, KeyTaken, SlotTaken, CommandAnswered)

PAGE = 5_000
"""Rows fetched at a time: `select_events` of the library would load a whole stream."""


class Batch(Struct, gc=False):
    """All of one stream in a transaction, ready to be stored.

    The recorder fills in ``hashes``; it leaves or makes them empty where it failed before a commit.
    """

    tree: str
    expected: int
    stored: list[HashedEvent]
    changes: Changes
    blobs: Mapping[str, bytes] | None
    answers: Sequence[Answered] = ()
    hashes: list[bytes] = []


class Row(Struct, frozen=True, gc=False):
    """A stored event as read."""

    tree: str
    version: int
    topic: str
    state: bytes
    position: int


class Recorder(Protocol):
    """What `EventJournal` asks of a store. Blocking, thread-safe."""

    def record(self, batches: Sequence[Batch]) -> int:
        """Store all in one transaction; returns the last position.

        Raises `VersionTaken` or `StaleVersion`, `IdTaken`, `KeyTaken`, `SlotTaken`,
        `CommandAnswered`, `StoreError`; nothing is stored then, unless the error came from the
        commit itself.
        """

    def is_free(self) -> bool:
        """Whether a commit would not have to wait for others, found out without waiting."""

    def hash_at(self, tree: str, version: int) -> bytes | None:
        """The stored hash of one event. What is told after a failed `record` is final: nothing of
        that is under way any more. Raises `StoreError` as long as that cannot be told.
        """

    def stream(self, tree: str, after: int, limit: int) -> Sequence[Row]:
        """At most ``limit`` events of a stream after version ``after``."""

    def log(self, after: int, limit: int) -> Sequence[Row]:
        """At most ``limit`` events of the store after position ``after``."""

    def chain(self, tree: str) -> Iterator[tuple[int, str, bytes, bytes, bytes]]:
        """(version, topic, state, body hash, hash) of a whole stream."""

    def blob(self, hash: str) -> bytes | None: ...

    def ids_taken(self, ids: Sequence[str]) -> Sequence[str]:
        """Which of these task ids exist."""

    def open_work(self) -> Sequence[OpenTree]: ...

    def owner(self, tree: str) -> OpenTree | None: ...

    def position(self) -> int: ...

    def close(self) -> None: ...


def _joined(stream: Sequence[Append]) -> Append:
    """Appends to one stream as one, so that a tree's rows change once a transaction."""
    first, last = stream[0], stream[-1]
    if first is last:
        return first
    events: list[AnyEvent] = []
    blobs: dict[str, bytes] = {}
    answers: list[Answered] = []
    for append in stream:
        if append.expected != first.expected + len(events):
            raise StaleVersion(append.tree, append.expected)
        events.extend(append.events)
        blobs.update(append.blobs or {})
        answers.extend(append.answers)
    keyed = any(append.keyed for append in stream)
    return Append(first.tree, first.expected, events, last.index, blobs or None, keyed, answers)


class EventJournal:
    """Events as stored rows, chained by hash, with their status rows in the same transaction."""

    def __init__(self, recorder: Recorder, mapper: StructMapper) -> None:
        self.recorder = recorder
        self.mapper = mapper
        self.commits = 0
        self._unknown = Unknown(recorder)

    def append(self, units: Sequence[Unit]) -> int:
        """See `engine.ports.Journal.append`."""
        given = [append for unit in units for append in unit]
        left = self._unknown.left(given)
        while left:
            batches = self._batches(left)
            try:
                return self._stored(given, self._record(left, batches))
            except _REFUSALS as error:
                position = self._unknown.resolve(left, batches, StoreError(str(error)))
                if position is not None:  # it was one's own write that was in the way
                    return self._stored(given, position)
                rest = self._unknown.left(left)  # was it one's own earlier try?
                if rest is left:
                    self._refuse(error, batches)
                left = rest
        return self._stored(given, self._unknown.position())

    def is_free(self) -> bool:
        """See `Recorder.is_free`."""
        return self.recorder.is_free()

    def _stored(self, given: Sequence[Append], position: int) -> int:
        self._unknown.forget(given)
        self.commits += 1
        return position

    def _record(self, appends: Sequence[Append], batches: Sequence[Batch]) -> int:
        try:
            return self.recorder.record(batches)
        except StoreError as error:
            position = self._unknown.resolve(appends, batches, error)
            if position is None:
                raise
            return position

    def _batches(self, appends: Sequence[Append]) -> list[Batch]:
        streams: dict[str, list[Append]] = {}
        for append in appends:
            streams.setdefault(append.tree, []).append(append)
        return [self._batch(_joined(stream)) for stream in streams.values()]

    def _batch(self, append: Append) -> Batch:
        first = append.expected + 1
        return Batch(
            append.tree,
            append.expected,
            self.mapper.encode(append.tree, first, append.events),
            changes(append.events, first, append.index, append.keyed),
            append.blobs,
            append.answers,
        )

    def _refuse(self, error: Exception, batches: Sequence[Batch]) -> NoReturn:
        """Say more than the recorder could."""
        if isinstance(error, VersionTaken):
            raise self._stale(batches) from error
        if isinstance(error, IdTaken) and not error.ids:
            raise IdTaken(self._taken(batches)) from error
        raise error

    def _stale(self, batches: Sequence[Batch]) -> StaleVersion:
        """Which of the batches was in conflict."""
        for batch in batches:
            if self.recorder.hash_at(batch.tree, batch.expected + 1) is not None:
                return StaleVersion(batch.tree, batch.expected)
        return StaleVersion(batches[0].tree, batches[0].expected)

    def _taken(self, batches: Sequence[Batch]) -> Sequence[str]:
        """Which ids of new tasks and trees exist."""
        recorder = self.recorder
        tasks = [spec.id for batch in batches for _, spec, _ in batch.changes.added]
        trees = [batch.tree for batch in batches if batch.expected == 0]
        return recorder.ids_taken(tasks) or [id for id in trees if recorder.hash_at(id, 1)]

    def read(self, tree: str, *, after: int = 0, limit: int | None = None) -> Iterator[Recorded]:
        """See `engine.ports.Journal.read`."""
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            rows = self.recorder.stream(tree, after, size)
            yield from map(self._recorded, rows)
            if len(rows) < size:
                return
            after = rows[-1].version
            left = None if left is None else left - len(rows)

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Iterator[Recorded]:
        """See `engine.ports.Journal.read_all`."""
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            rows = self.recorder.log(after, size)
            yield from map(self._recorded, rows)
            if len(rows) < size:
                return
            after = rows[-1].position
            left = None if left is None else left - len(rows)

    def _recorded(self, row: Row) -> Recorded:
        return Recorded(
            row.tree, row.version, self.mapper.decode(row.topic, row.state), row.position
        )

    def read_blob(self, hash: str) -> bytes:
        """See `engine.ports.Journal.read_blob`."""
        data = self.recorder.blob(hash)
        if data is None:
            raise NotFound("blob", hash)
        return data

    def open_work(self) -> Sequence[OpenTree]:
        """See `engine.ports.Journal.open_work`."""
        return self.recorder.open_work()

    def owner(self, tree: str) -> OpenTree | None:
        """See `engine.ports.Journal.owner`."""
        return self.recorder.owner(tree)

    def position(self) -> int:
        """See `engine.ports.Journal.position`."""
        return self.recorder.position()

    def verify(self, tree: str) -> tuple[int, str] | None:
        """The first version of a stream whose hash does not hold, and why; None where all do."""
        body_hash = self.mapper.body_hash
        return first_broken(
            tree,
            (
                (version, topic, body_hash(state), stored, hash)
                for version, topic, state, stored, hash in self.recorder.chain(tree)
            ),
        )

    def close(self) -> None:
        """See `engine.ports.Journal.close`."""
        self.recorder.close()
