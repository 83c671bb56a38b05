"""A recorder in front of any other, which fails when a schedule says so."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Any, Protocol

import psycopg
from msgspec import structs

from aipartnerupflow.adapters.journal.faults import VersionTaken, from_sqlite
from aipartnerupflow.adapters.journal.journal import Batch, Recorder, Row
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.domain.errors import StoreCorrupt, StoreError, StoreFull, StoreUnavailable
from aipartnerupflow.engine.ports import OpenTree


class Kind(StrEnum):
    """What goes wrong. Those in `WRITES` can only happen to `record`."""

    REFUSE = "refuse"
    """Unavailable, before anything is done."""
    DELAY = "delay"
    """Done, but late."""
    LOCKED = "locked"
    """Late, and then nothing done after all."""
    FULL = "full"
    CORRUPT = "corrupt"
    RAW = "raw"
    """An error of the database itself, which nobody has translated."""
    PARTIAL = "partial"
    """Broken in the middle of the transaction, which is rolled back."""
    COMMIT_THEN_RAISE = "commit_then_raise"
    TAKEN_ON_RETRY = "taken_on_retry"
    """Committed, the answer lost, and tried again by the library: its own row is in the way."""
    LOST_BEFORE = "lost_before"
    """Not committed, and for some time nobody can ask whether it was."""
    LOST_AFTER = "lost_after"
    """Committed, and for some time nobody can ask whether it was."""


WRITES = frozenset(
    {
        Kind.FULL, Kind.RAW, Kind.PARTIAL, Kind.COMMIT_THEN_RAISE, Kind.TAKEN_ON_RETRY,
        Kind.LOST_BEFORE, Kind.LOST_AFTER,
    }
)  # fmt: skip
COMMITS = frozenset({Kind.DELAY, Kind.COMMIT_THEN_RAISE, Kind.TAKEN_ON_RETRY, Kind.LOST_AFTER})
"""With these the write is in the store all the same."""


class Schedule(Protocol):
    """Says of each operation, by its name in `Recorder`, what goes wrong with it."""

    def next(self, operation: str) -> Kind | None: ...


class Never:
    """Nothing goes wrong."""

    def next(self, operation: str) -> Kind | None:
        return None


class At:
    """One fault, at the ``n``-th call of one operation, counted from 1."""

    def __init__(self, n: int, kind: Kind, operation: str = "record") -> None:
        self.n, self.kind, self.operation = n, kind, operation
        self.calls = 0

    def next(self, operation: str) -> Kind | None:
        if operation != self.operation:
            return None
        self.calls += 1
        return self.kind if self.calls == self.n else None

    @property
    def happened(self) -> bool:
        return self.calls >= self.n


class Sometimes:
    """Each operation fails with its own probability, until `heal`."""

    def __init__(self, chance: Random, rates: Mapping[str, float], kinds: Sequence[Kind]) -> None:
        self._chance = chance
        self._rates = rates
        self._writes = kinds
        self._reads = [kind for kind in kinds if kind not in WRITES]
        self._healed = False

    def heal(self) -> None:
        self._healed = True

    def next(self, operation: str) -> Kind | None:
        rate = self._rates.get(operation, 0.0)
        kinds = self._writes if operation == "record" else self._reads
        if self._healed or not rate or not kinds or self._chance.random() >= rate:
            return None
        return self._chance.choice(kinds)


class FaultyRecorder:
    """`adapters.journal.journal.Recorder` by delegation.

    ``sleep`` lets time pass for what is late. ``happened`` counts the faults by operation and kind.
    After `Kind.LOST_BEFORE` or `LOST_AFTER` the next ``blind`` operations are refused.
    """

    def __init__(
        self,
        inner: Recorder,
        schedule: Schedule,
        *,
        sleep: Callable[[float], None] = time.sleep,
        seconds: float = 0.5,
        blind: int = 3,
    ) -> None:
        self.inner = inner
        self.schedule = schedule
        self.happened: dict[tuple[str, Kind], int] = {}
        self._sleep = sleep
        self._seconds = seconds
        self._blind = blind
        self._lost = 0

    def __getattr__(self, name: str) -> Any:
        """What read models and carers ask of the recorder behind; nothing goes wrong there."""
        return getattr(self.inner, name)

    # -- what goes wrong

    def _next(self, operation: str) -> Kind | None:
        kind = Kind.REFUSE if self._lost else self.schedule.next(operation)
        self._lost = max(0, self._lost - 1)
        if kind is not None:
            key = (operation, kind)
            self.happened[key] = self.happened.get(key, 0) + 1
        return kind

    def before(self, operation: str) -> Kind | None:
        """The faults that come before anything is done; the others are returned."""
        kind = self._next(operation)
        match kind:
            case Kind.REFUSE:
                raise StoreUnavailable("refused by the test")
            case Kind.DELAY:
                self._sleep(self._seconds)
            case Kind.LOCKED:
                self._sleep(self._seconds)
                raise StoreUnavailable("locked by the test for longer than the time allowed")
            case Kind.FULL:
                raise StoreFull("no space left by the test")
            case Kind.CORRUPT:
                raise StoreCorrupt("damaged by the test")
            case Kind.RAW:
                raw = sqlite3.DatabaseError("file is not a database, says the test")
                raise from_sqlite(raw, "test.db")  # as every recorder has to tell it
            case _:
                return kind
        return None

    def record(self, batches: Sequence[Batch]) -> int:
        """See `Recorder.record`."""
        match self.before("record"):
            case Kind.PARTIAL:
                self._write_partly(batches)
                raise StoreError("broken by the test in the middle of a transaction")
            case Kind.COMMIT_THEN_RAISE:
                self.inner.record(batches)
                raise StoreUnavailable("the answer was lost by the test")
            case Kind.TAKEN_ON_RETRY:
                self.inner.record(batches)
                raise VersionTaken("stored_events: tried twice by the test")
            case Kind.LOST_BEFORE:
                self._lost = self._blind
                raise StoreUnavailable("the connection was lost by the test, before the commit")
            case Kind.LOST_AFTER:
                self.inner.record(batches)
                self._lost = self._blind
                raise StoreUnavailable("the connection was lost by the test, after the commit")
            case _:
                return self.inner.record(batches)

    def _write_partly(self, batches: Sequence[Batch]) -> None:
        """Let the database refuse a value late in the transaction; memory has none to break."""
        if isinstance(self.inner, MemoryRecorder):
            return
        poison: Any = {"": object()}
        last = structs.replace(batches[-1], blobs=poison)
        try:
            self.inner.record([*batches[:-1], last])
        except (StoreError, TypeError, psycopg.Error):
            return
        raise AssertionError("what no database can hold was stored")

    # -- reading

    def hash_at(self, tree: str, version: int) -> bytes | None:
        """See `Recorder.hash_at`."""
        self.before("hash_at")
        return self.inner.hash_at(tree, version)

    def stream(self, tree: str, after: int, limit: int) -> Sequence[Row]:
        """See `Recorder.stream`."""
        self.before("stream")
        return self.inner.stream(tree, after, limit)

    def log(self, after: int, limit: int) -> Sequence[Row]:
        """See `Recorder.log`."""
        self.before("log")
        return self.inner.log(after, limit)

    def chain(self, tree: str) -> Iterator[tuple[int, str, bytes, bytes, bytes]]:
        """See `Recorder.chain`."""
        self.before("chain")
        return self.inner.chain(tree)

    def blob(self, hash: str) -> bytes | None:
        """See `Recorder.blob`."""
        self.before("blob")
        return self.inner.blob(hash)

    def ids_taken(self, ids: Sequence[str]) -> Sequence[str]:
        """See `Recorder.ids_taken`."""
        self.before("ids_taken")
        return self.inner.ids_taken(ids)

    def owner(self, tree: str) -> OpenTree | None:
        """See `Recorder.owner`."""
        self.before("owner")
        return self.inner.owner(tree)

    def open_work(self) -> Sequence[OpenTree]:
        """See `Recorder.open_work`."""
        self.before("open_work")
        return self.inner.open_work()

    def position(self) -> int:
        """See `Recorder.position`."""
        self.before("position")
        return self.inner.position()

    def close(self) -> None:
        """See `Recorder.close`."""
        self.inner.close()
