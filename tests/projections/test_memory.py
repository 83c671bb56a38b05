"""The store in memory holds by the same rules as those on disk."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.adapters.journal.memory.projections import MemoryStatus
from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder, open_memory
from aipartnerupflow.projections.open_work import OpenWork, open_work
from aipartnerupflow.projections.rebuild import Rebuilt, compare, rebuild
from tests.support.histories import History


def status_of(recorder: object) -> MemoryStatus:
    assert isinstance(recorder, MemoryRecorder)
    return MemoryStatus(recorder, StructMapper())


@settings(max_examples=30, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_whatever_happened_the_rows_and_open_work_are_those_of_the_log(random: Random) -> None:
    journal, _ = open_memory()
    history = History(random)
    for commit in history.commits(15):
        if commit:
            journal.append(commit)
    assert compare(status_of(journal.recorder))[1] == []
    found = [
        OpenWork(tree.id, tree.name, tree.engine, tree.epoch, tree.released)
        for tree in journal.open_work()
    ]
    assert found == open_work(journal.read_all())


@pytest.mark.parametrize("seed", range(5))
def test_a_rebuild_mends_what_is_wrong_missing_or_too_much(seed: int) -> None:
    journal, reads = open_memory()
    history = History(Random(seed))
    for commit in history.commits(60):
        if commit:
            journal.append(commit)
    recorder = journal.recorder
    assert isinstance(recorder, MemoryRecorder)
    first, second, third = list(recorder.tables.tasks)[:3]
    recorder.tables.trees[recorder.tables.tasks[first].tree.id].status = "cancelled"
    recorder.tables.tasks["stray"] = recorder.tables.tasks.pop(second)
    recorder.tables.tasks[third].created_at = "never"
    found = [(one.table, one.key) for one in compare(status_of(recorder))[1]]
    assert ("task", "stray") in found
    assert ("task", second) in found
    assert ("task", third) in found
    assert len({table for table, _ in found}) > 1
    done = rebuild(status_of(recorder))
    assert done == Rebuilt(len(list(journal.read_all())), journal.position())
    assert compare(status_of(recorder))[1] == []
    assert reads.task(second) is not None
    journal.append(history.finish())
    assert compare(status_of(recorder))[1] == []
