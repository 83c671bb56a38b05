"""The journal in memory, on `eventsourcing`'s plain Python recorder: for simulations and trials.

It holds what the databases hold, hash chain and status rows included, and refuses what they refuse.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import eventsourcing.popo as library
from eventsourcing.persistence import StoredEvent, Tracking

from ....domain.errors import IdTaken, StaleVersion, StoreUnavailable
from ....engine.ports import OpenTree
from ....projections.views import ReadModel, TreeView
from ..chain import START, links
from ..journal import Batch, EventJournal, Row
from ..mapper import HashedEvent, StructMapper
from .reads import MemoryReads
from .rows import Tables


class MemoryRecorder(library.POPOProcessRecorder):
    """Stores events, their hashes and the status rows under one lock."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = self._database_lock
        self.tables = Tables()
        self._hashes: list[bytes] = []
        self._blobs: dict[str, bytes] = {}
        self._closed = False

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Not this way: without the tree's row changes the status would not follow the log."""
        raise TypeError(
            "stored events enter through EventJournal.append, which adds the hash chain and the "
            "status rows; a plain StoredEvent has neither"
        )

    def record(self, batches: Sequence[Batch]) -> int:
        """See `journal.Recorder.record`."""
        with self.lock:
            self.check_open()
            taken = self.tables.taken(batches)
            if taken:
                raise IdTaken(taken)
            for batch in batches:
                batch.hashes = links(batch.stored, self._last_hash(batch))
            self.tables.check(batches)
            return self._commit(batches)

    def is_free(self) -> bool:
        """Always: nobody else can open it."""
        return True

    def _last_hash(self, batch: Batch) -> bytes:
        index = self._stored_events_index.get(batch.tree, {})
        if len(index) != batch.expected:
            raise StaleVersion(batch.tree, batch.expected)
        if batch.expected:
            return self._hashes[index[batch.expected]]
        if batch.changes.new_tree is None:
            raise ValueError(f"the stream {batch.tree} has to begin with tree.created")
        return START

    def _commit(self, batches: Sequence[Batch]) -> int:
        """Everything was checked: nothing can go wrong any more."""
        for batch in batches:
            self._update_table(batch.stored)
            self._hashes.extend(batch.hashes)
            self._blobs.update(batch.blobs or {})
        self.tables.apply(batches)
        position = len(self._stored_events)
        self._insert_tracking(Tracking("status", position))
        self._notify_listeners()
        return position

    # -- reading

    def hash_at(self, tree: str, version: int) -> bytes | None:
        """See `journal.Recorder.hash_at`."""
        with self.lock:
            self.check_open()
            at = self._stored_events_index.get(tree, {}).get(version)
            return None if at is None else self._hashes[at]

    def stream(self, tree: str, after: int, limit: int) -> Sequence[Row]:
        """See `journal.Recorder.stream`."""
        with self.lock:
            self.check_open()
            index = self._stored_events_index.get(tree, {})
            last = min(len(index), after + limit)
            return [self._row(index[version]) for version in range(after + 1, last + 1)]

    def log(self, after: int, limit: int) -> Sequence[Row]:
        """See `journal.Recorder.log`."""
        with self.lock:
            self.check_open()
            last = min(len(self._stored_events), after + limit)
            return [self._row(at) for at in range(after, last)]

    def _row(self, at: int) -> Row:
        event = self._stored_events[at]
        tree = str(event.originator_id)
        return Row(tree, event.originator_version, event.topic, event.state, at + 1)

    def chain(self, tree: str) -> Iterator[tuple[int, str, bytes, bytes, bytes]]:
        """See `journal.Recorder.chain`."""
        with self.lock:
            self.check_open()
            places = list(self._stored_events_index.get(tree, {}).values())
        for at in places:
            event = self._stored_events[at]
            assert isinstance(event, HashedEvent)
            yield (
                event.originator_version, event.topic, event.state, event.body_hash,
                self._hashes[at],
            )  # fmt: skip

    def blob(self, hash: str) -> bytes | None:
        """See `journal.Recorder.blob`."""
        with self.lock:
            self.check_open()
            return self._blobs.get(hash)

    def ids_taken(self, ids: Sequence[str]) -> Sequence[str]:
        """See `journal.Recorder.ids_taken`."""
        with self.lock:
            return [id for id in ids if id in self.tables.tasks]

    def open_work(self) -> Sequence[OpenTree]:
        """See `journal.Recorder.open_work`."""
        with self.lock:
            self.check_open()
            return [_open(tree) for tree in self.tables.trees.values() if tree.phase == "submitted"]

    def owner(self, tree: str) -> OpenTree | None:
        """See `journal.Recorder.owner`."""
        with self.lock:
            self.check_open()
            found = self.tables.trees.get(tree)
            return _open(found) if found is not None and found.phase == "submitted" else None

    def position(self) -> int:
        """See `journal.Recorder.position`."""
        self.check_open()
        return len(self._stored_events)

    def close(self) -> None:
        """See `journal.Recorder.close`."""
        self._closed = True

    def check_open(self) -> None:
        """Raises `StoreUnavailable` after `close`."""
        if self._closed:
            raise StoreUnavailable("the store in memory was closed; open another")


def _open(tree: TreeView) -> OpenTree:
    return OpenTree(tree.id, tree.name, tree.engine, tree.epoch, tree.released)


def open_memory() -> tuple[EventJournal, ReadModel]:
    """A journal and its read models that nobody else sees and that leave nothing behind."""
    recorder, mapper = MemoryRecorder(), StructMapper()
    return EventJournal(recorder, mapper), MemoryReads(recorder, mapper)
