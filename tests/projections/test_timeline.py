"""The timeline, from given events to rows."""

from aipartnerupflow.domain.events import (
    AnyEvent,
    AttemptFailed,
    AttemptTakenOver,
    Recorded,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
    TaskProgressed,
    TaskReopened,
    TaskStarted,
    TaskWaiting,
)
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.projections.timeline import (
    AttemptEnd,
    AttemptRow,
    TimelineChanges,
    changes,
)

ERROR = ErrorInfo("Boom", "it broke")


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}.000000Z"


def given(*events: AnyEvent, tree: str = "t") -> TimelineChanges:
    return changes([Recorded(tree, n, event, n) for n, event in enumerate(events, 1)])


def started(second: int, attempt: int = 1, generation: int = 1) -> TaskStarted:
    return TaskStarted(at=at(second), task="a", attempt=attempt, generation=generation)


def test_an_attempt_that_runs_is_an_open_row() -> None:
    assert given(started(1)).begun == [AttemptRow("t", "a", 1, 1, at(1), 1)]


def test_an_attempt_that_ends_in_the_batch_of_its_start_is_one_whole_row() -> None:
    made = given(started(1), TaskCompleted(at=at(2), task="a"))
    assert made.begun == [AttemptRow("t", "a", 1, 1, at(1), 1, at(2), "completed")]
    assert made.ended == []


def test_an_attempt_of_an_earlier_batch_is_ended() -> None:
    made = given(TaskFailed(at=at(2), task="a", attempt=2, error=ERROR))
    assert made.ended == [AttemptEnd("t", "a", at(2), "failed")]
    assert made.begun == []


def test_interrupted_attempts_are_followed_by_the_next_ones() -> None:
    made = given(
        TaskInterrupted(at=at(1), task="a", interruption="engine_lost"),
        started(2, attempt=2),
        TaskInterrupted(at=at(3), task="a", attempt=2, interruption="shutdown"),
        started(4, attempt=3),
        TaskCompleted(at=at(5), task="a", attempt=3),
    )
    assert made.ended == [AttemptEnd("t", "a", at(1), "interrupted")]
    assert [(row.attempt, row.ended_at, row.outcome) for row in made.begun] == [
        (2, at(3), "interrupted"),
        (3, at(5), "completed"),
    ]


def test_attempts_of_two_generations_are_told_apart() -> None:
    failed = TaskFailed(at=at(2), task="a", error=ERROR)
    again = TaskReopened(at=at(2), task="a", generation=2)
    made = given(started(1), failed, again, started(3, generation=2))
    assert [(row.generation, row.attempt, row.outcome) for row in made.begun] == [
        (1, 1, "failed"),
        (2, 1, None),
    ]


def test_equal_task_ids_of_two_trees_are_told_apart() -> None:
    log = [
        Recorded("t", 1, started(1), 1),
        Recorded("u", 1, started(1), 2),
        Recorded("u", 2, TaskCompleted(at=at(2), task="a"), 3),
    ]
    assert [(row.tree, row.outcome) for row in changes(log).begun] == [
        ("t", None),
        ("u", "completed"),
    ]


RETRY = AttemptFailed(at=at(3), task="a", error=ERROR, retry_at=at(4))
CANCELLED = TaskCancelled(at=at(5), task="a", attempt=1)


def test_a_failed_attempt_is_a_row_of_its_own() -> None:
    made = given(started(1), RETRY, started(4, attempt=2), TaskCompleted(at=at(5), task="a"))
    assert [(row.attempt, row.ended_at, row.outcome) for row in made.begun] == [
        (1, at(3), "failed"),
        (2, at(5), "completed"),
    ]


def test_a_cancel_ends_what_runs_or_waits() -> None:
    waits = TaskWaiting(at=at(1), task="a", signal="go")
    for events in ([started(1)], [started(1), waits]):
        made = given(*events, CANCELLED)
        assert made.begun == [AttemptRow("t", "a", 1, 1, at(1), 1, at(5), "cancelled")]
        assert made.ended == []
    assert given(CANCELLED).ended == [AttemptEnd("t", "a", at(5), "cancelled")]


def test_a_cancel_between_two_attempts_ends_none() -> None:
    assert given(RETRY, CANCELLED).ended == [AttemptEnd("t", "a", at(3), "failed")]
    made = given(started(1), RETRY, CANCELLED)
    assert [row.outcome for row in made.begun] == ["failed"]
    assert made.ended == []


def test_an_attempt_that_is_taken_over_goes_on() -> None:
    over = AttemptTakenOver(at=at(2), task="a", engine="engine-b", epoch=2)
    made = given(started(1), over, TaskCompleted(at=at(3), task="a"))
    assert made.begun == [AttemptRow("t", "a", 1, 1, at(1), 1, at(3), "completed")]


def test_what_is_no_start_and_no_end_changes_nothing() -> None:
    made = given(TaskProgressed(at=at(1), task="a", progress=0.5))
    assert made == TimelineChanges()
