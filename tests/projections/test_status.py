"""The row changes of single appends, where the order of events inside one matters."""

from collections.abc import Sequence

from msgspec import Raw

from aipartnerupflow.domain.events import (
    AnyEvent,
    TaskChanged,
    TaskInterrupted,
    TaskProgressed,
    TaskRemoved,
    TasksAdded,
    TaskStarted,
    TreeAdopted,
    TreeCreated,
    TreeSubmitted,
)
from aipartnerupflow.domain.specs import TaskSpec
from aipartnerupflow.projections.status import Changes, changes

AT = "2026-01-01T00:00:00.000000Z"


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
    assert rows.interrupted == {0: None}


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
