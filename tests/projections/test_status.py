"""The row changes of single appends, where the order of events inside one matters."""

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from aipartnerupflow.adapters.journal.memory.recorder import open_memory
from aipartnerupflow.domain.events import (
    AnyEvent,
    AttemptFailed,
    TaskCancelled,
    TaskChanged,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
    TaskProgressed,
    TaskRemoved,
    TaskReopened,
    TasksAdded,
    TaskStarted,
    TaskWaiting,
    TreeAdopted,
    TreeCreated,
    TreePaused,
    TreeReopened,
    TreeSettled,
    TreeSubmitted,
    TreeUnpaused,
)
from aipartnerupflow.domain.specs import Concurrency, ErrorInfo, TaskSpec
from aipartnerupflow.projections.slots import Slot
from aipartnerupflow.projections.status import Changes, TaskEnd, TaskState, changes
from aipartnerupflow.projections.views import ReadModel, TaskView, TreeView
from tests.support.histories import Steps

AT = "2026-01-01T00:00:00.000000Z"
ERROR = ErrorInfo("Boom", "it broke")
STARTED, COMPLETED = TaskStarted(at=AT, task="a"), TaskCompleted(at=AT, task="a")
KEYED = TaskStarted(at=AT, task="a", slot=Concurrency("key", 3))
AGAIN = TaskReopened(at=AT, task="a", generation=2)
RETRY = AttemptFailed(at=AT, task="a", error=ERROR, retry_at=AT)


def made(*events: AnyEvent, **index: int) -> Changes:
    return changes(events, 1, index)


def spec(id: str, inputs: bytes = b"{}") -> TaskSpec:
    return TaskSpec(id=id, name=id, inputs=Raw(inputs))


def added(made: Changes) -> Sequence[tuple[int, bytes]]:
    return [(n, bytes(spec.inputs)) for n, spec, _ in made.added]


def test_a_tree_created_and_started_in_one_append_is_in_progress() -> None:
    created = TreeCreated(at=AT, uid="u", name="t", specs=(spec("a"),))
    submitted = TreeSubmitted(at=AT, of=(None,))
    rows = made(created, submitted, TaskStarted(at=AT, task="a"), a=0)
    assert rows.tree.status == "in_progress"


def test_a_group_that_starts_leaves_the_tree_pending() -> None:
    assert made(TaskStarted(at=AT, task="a", called=False), a=0).tree.status is None


def test_progress_before_an_interruption_is_forgotten_with_it() -> None:
    rows = made(
        TaskProgressed(at=AT, task="a", progress=0.5),
        TaskInterrupted(at=AT, task="a", interruption="shutdown"),
        a=0,
    )
    assert rows.progressed == {}
    assert rows.returned == {0: None}


def test_a_task_that_comes_and_goes_in_one_append_leaves_no_trace() -> None:
    rows = made(TasksAdded(at=AT, specs=(spec("a"),)), TaskRemoved(at=AT, task="a"))
    assert rows.added == []
    assert rows.removed == []


def test_a_task_that_goes_and_comes_back_is_removed_and_added_under_its_new_number() -> None:
    rows = made(TaskRemoved(at=AT, task="a"), TasksAdded(at=AT, specs=(spec("a"),)), a=3)
    assert rows.removed == ["a"]
    assert added(rows) == [(3, b"{}")]


def test_a_task_added_twice_over_a_removal_is_added_once() -> None:
    add, remove = TasksAdded(at=AT, specs=(spec("a"),)), TaskRemoved(at=AT, task="a")
    assert added(made(add, remove, add, a=4)) == [(4, b"{}")]


def test_a_task_added_and_changed_in_one_append_is_added_as_changed() -> None:
    rows = made(
        TasksAdded(at=AT, specs=(spec("a"),)), TaskChanged(at=AT, spec=spec("a", b"[1]")), a=1
    )
    assert added(rows) == [(1, b"[1]")]
    assert rows.respecified == []


def test_a_change_before_a_removal_is_forgotten_with_it() -> None:
    rows = made(TaskChanged(at=AT, spec=spec("a")), TaskRemoved(at=AT, task="a"))
    assert rows.respecified == []
    assert rows.removed == ["a"]


def test_what_was_added_before_an_adoption_moves_away_with_it() -> None:
    rows = made(TasksAdded(at=AT, specs=(spec("a"),)), TreeAdopted(at=AT, into="t"), a=1)
    assert not rows.added
    assert rows.moved_away


def test_a_failed_attempt_before_another_in_one_append_leaves_the_new_one() -> None:
    rows = made(RETRY, TaskStarted(at=AT, task="a", attempt=2), a=0)
    assert rows.returned == {}
    assert rows.put[0].attempt == 2


def test_a_failed_attempt_that_began_in_the_append_is_remembered_by_its_number() -> None:
    rows = made(TaskStarted(at=AT, task="a", attempt=2), RETRY, a=0)
    assert rows.put == {0: TaskState("pending", 2, 1, 0.0, "", None, None, 0)}


def test_a_task_cancelled_between_two_attempts_ends_behind_its_failed_one() -> None:
    rows = made(RETRY, TaskCancelled(at=AT, task="a", attempt=1), a=0)
    assert rows.returned == {0: None}
    assert rows.cancelled == {0: TaskEnd("cancelled", 1, AT, 2)}


def test_a_task_that_starts_and_is_cancelled_in_one_append_is_one_row() -> None:
    rows = made(STARTED, TaskCancelled(at=AT, task="a", attempt=1), a=0)
    assert rows.put == {0: TaskState("cancelled", 1, 1, 0.0, "", AT, AT, 2)}
    assert rows.cancelled == {}


def test_what_was_before_a_reopening_is_forgotten_with_it() -> None:
    pending = {0: TaskState("pending", 0, 2, 0.0, "", None, None, 0)}
    for before in (COMPLETED, TaskFailed(at=AT, task="a", error=ERROR)):
        rows = made(before, AGAIN, a=0)
        assert (rows.put, rows.ended) == (pending, {})
    rows = made(STARTED, COMPLETED, AGAIN, a=0)
    assert (rows.put, rows.ended) == (pending, {})
    rows = made(
        TaskProgressed(at=AT, task="a", progress=0.5), TaskCancelled(at=AT, task="a"), AGAIN, a=0
    )
    assert (rows.put, rows.cancelled, rows.progressed) == (pending, {}, {})
    rows = made(RETRY, TaskCancelled(at=AT, task="a"), AGAIN, a=0)
    assert (rows.put, rows.cancelled, rows.returned) == (pending, {}, {})


def test_a_tree_reopened_in_the_append_that_settled_it_has_no_end() -> None:
    rows = made(TreeSettled(at=AT, status="failed"), AGAIN, TreeReopened(at=AT), a=0)
    tree = rows.tree
    assert (tree.phase, tree.status, tree.completed_at) == ("submitted", "in_progress", "")
    rows = made(AGAIN, TreeReopened(at=AT), TreeSettled(at=AT, status="cancelled"), a=0)
    tree = rows.tree
    assert (tree.phase, tree.status, tree.completed_at) == ("settled", "cancelled", AT)


def test_a_tree_that_waits_is_in_progress() -> None:
    waits = TaskWaiting(at=AT, task="a", signal="go")
    rows = made(TaskStarted(at=AT, task="a", called=False), waits, a=0)
    assert rows.tree.status == "in_progress"
    assert rows.put[0].status == "in_progress"


def test_a_pause_lasts_until_it_is_taken_back_or_the_tree_settles() -> None:
    paused = TreePaused(at=AT)
    assert made(paused).tree.paused is True
    assert made(paused, TreeUnpaused(at=AT)).tree.paused is False
    assert made(paused, TreeSettled(at=AT, status="completed")).tree.paused is False
    assert made(STARTED, a=0).tree.paused is None


def slots(*events: AnyEvent, keyed: bool = True) -> tuple[dict[int, None], dict[int, Slot]]:
    rows = changes(events, 1, {"a": 0, "b": 1}, keyed)
    return rows.freed, rows.taken


def test_a_slot_is_taken_by_a_start_and_freed_by_every_end() -> None:
    assert slots(KEYED) == ({}, {0: Slot("key", 3)})
    assert slots(STARTED) == ({}, {})
    for end in (
        COMPLETED,
        RETRY,
        TaskFailed(at=AT, task="a", error=ERROR),
        TaskCancelled(at=AT, task="a"),
        TaskInterrupted(at=AT, task="a", interruption="shutdown"),
    ):
        assert slots(end) == ({0: None}, {})
        assert slots(KEYED, end) == ({}, {})
        assert slots(end, KEYED) == ({0: None}, {0: Slot("key", 3)})
        assert slots(end, KEYED, end) == ({0: None}, {})


def test_an_append_without_keys_has_no_slots() -> None:
    assert slots(KEYED, keyed=False) == ({}, {})
    assert slots(COMPLETED, keyed=False) == ({}, {})


@settings(max_examples=60, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_however_a_stream_is_cut_into_appends_the_rows_come_out_the_same(random: Random) -> None:
    steps = Steps(random)
    steps.commits(12)
    whole, single, cut = (open_memory() for _ in range(3))
    whole[0].append([steps.units])
    for append in steps.units:
        single[0].append([[append]])
    for part in steps.cut(random, most=9):
        cut[0].append(part)
    assert views(whole[1]) == views(single[1]) == views(cut[1])


def views(reads: ReadModel) -> list[tuple[TreeView, Sequence[TaskView]]]:
    return [(tree, reads.tasks(tree.id)) for tree in reads.trees(limit=1000)]
