"""The recorder that fails on purpose does to each store what it says, and no more."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from aipartnerupflow.adapters.journal.faults import VersionTaken
from aipartnerupflow.adapters.journal.journal import Batch, EventJournal
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.domain.errors import StoreCorrupt, StoreError, StoreFull, StoreUnavailable
from aipartnerupflow.engine.ports import Append
from aipartnerupflow.testing.trees import specs, submitted
from tests.support.faulty import COMMITS, WRITES, At, FaultyRecorder, Kind, Never, Sometimes
from tests.support.journals import MemoryStore, PostgresStore, SQLiteStore, Store

ERRORS: dict[Kind, type[Exception]] = {
    Kind.REFUSE: StoreUnavailable,
    Kind.LOCKED: StoreUnavailable,
    Kind.FULL: StoreFull,
    Kind.CORRUPT: StoreCorrupt,
    Kind.RAW: StoreCorrupt,
    Kind.PARTIAL: StoreError,
    Kind.COMMIT_THEN_RAISE: StoreUnavailable,
    Kind.TAKEN_ON_RETRY: VersionTaken,
    Kind.LOST_BEFORE: StoreUnavailable,
    Kind.LOST_AFTER: StoreUnavailable,
}


schemas = count()


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    store: Store = MemoryStore()
    if request.param == "sqlite":
        store = SQLiteStore(tmp_path / "store.db")
    elif request.param == "postgres":
        store = PostgresStore(request.getfixturevalue("postgres_dsn"), f"faulty_{next(schemas)}")
    yield store.open().recorder
    store.close()


def batch(tree: str) -> Batch:
    """A new tree of two tasks."""
    events = submitted(tree, f"{tree}/{tree}-child")
    dated = [
        type(event)(**{**_fields(event), "at": "2026-01-01T00:00:00.000000Z"}) for event in events
    ]
    index = {spec.id: n for n, spec in enumerate(specs(tree, f"{tree}/{tree}-child"))}
    made: Batch = EventJournal(MemoryRecorder(), StructMapper())._batch(
        Append(tree, 0, dated, index)
    )
    return made


def _fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


@pytest.mark.parametrize("kind", list(Kind))
def test_a_write_is_stored_or_not_as_its_fault_says(recorder: Any, kind: Kind) -> None:
    slept: list[float] = []
    faulty = FaultyRecorder(recorder, At(2, kind), sleep=slept.append)
    faulty.record([batch("before")])
    batches = [batch("a"), batch("b")]
    if kind in ERRORS:
        with pytest.raises(ERRORS[kind]):
            faulty.record(batches)
    else:
        faulty.record(batches)
    assert bool(slept) == (kind in {Kind.DELAY, Kind.LOCKED})
    stored = {tree for tree in ("before", "a", "b") if recorder.hash_at(tree, 1) is not None}
    assert stored == ({"before", "a", "b"} if kind in COMMITS else {"before"})
    assert faulty.happened == {("record", kind): 1}


@pytest.mark.parametrize("kind", [Kind.LOST_BEFORE, Kind.LOST_AFTER])
def test_after_a_lost_commit_nobody_can_ask_for_a_while(recorder: Any, kind: Kind) -> None:
    faulty = FaultyRecorder(recorder, At(1, kind), blind=2)
    with pytest.raises(StoreUnavailable):
        faulty.record([batch("a")])
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            faulty.hash_at("a", 1)
    assert (faulty.hash_at("a", 1) is not None) == (kind is Kind.LOST_AFTER)


@pytest.mark.parametrize("kind", sorted(set(Kind) - WRITES))
def test_reads_fail_as_told(recorder: Any, kind: Kind) -> None:
    faulty = FaultyRecorder(recorder, At(1, kind, "open_work"), sleep=lambda _: None)
    if kind in ERRORS:
        with pytest.raises(ERRORS[kind]):
            faulty.open_work()
    else:
        assert faulty.open_work() == []
    assert faulty.open_work() == []


def test_a_well_store_is_left_alone(recorder: Any) -> None:
    faulty = FaultyRecorder(recorder, Never())
    position = faulty.record([batch("a")])
    assert faulty.position() == position
    assert [row.version for row in faulty.stream("a", 0, 10)] == [1, 2]
    assert len(faulty.log(0, 10)) == 2
    assert len(list(faulty.chain("a"))) == 2
    assert faulty.ids_taken(["a-child", "x"]) == ["a-child"]
    assert [tree.id for tree in faulty.open_work()] == ["a"]
    assert faulty.blob("0" * 64) is None
    assert faulty.happened == {}


def test_the_same_seed_fails_in_the_same_places_and_healing_ends_it() -> None:
    def faults(seed: int) -> list[Kind | None]:
        schedule = Sometimes(Random(seed), {"record": 0.3, "stream": 0.2}, list(Kind))
        found = [schedule.next(("record", "stream", "log")[n % 3]) for n in range(300)]
        schedule.heal()
        assert all(schedule.next("record") is None for _ in range(50))
        return found

    assert faults(1) == faults(1)
    assert faults(1) != faults(2)
    assert {*faults(1)[1::3]} <= {None} | (set(Kind) - WRITES)
    assert not any(faults(1)[2::3])
