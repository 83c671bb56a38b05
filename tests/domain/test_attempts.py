"""What a task may do next, and what is refused; reports that come too late."""

import pytest
from msgspec import Raw

from aipartnerupflow.domain.decide import complete, fail, progress, save
from aipartnerupflow.domain.errors import InvalidInput, InvalidTransition
from aipartnerupflow.domain.events import (
    AnyEvent,
    TaskCompleted,
    TaskFailed,
    TaskProgressed,
    TaskStarted,
)
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.domain.tree import Completed, Failed, Task
from aipartnerupflow.testing.given import Given, given, start
from aipartnerupflow.testing.trees import (
    OPEN,
    claimed,
    completed,
    draft,
    failed,
    group_started,
    interrupted,
    progressed,
    raw,
    refused,
    running,
    saved,
    settled,
    started,
    submitted,
)

BROKEN = ErrorInfo("Broken", "it broke", bases=("OSError",), detail=raw({"code": 5}))
LOST: list[AnyEvent] = [interrupted("a"), claimed("engine-2", 2)]

PENDING = given(running("r", "a"))
RUNNING = given(running("r", "a"), started("a"), group_started("r"))
INTERRUPTED = RUNNING.and_then(LOST)
AGAIN = INTERRUPTED.and_then(started("a", 2))
COMPLETED = RUNNING.and_then(completed("a"), completed("r"), settled("completed"))
FAILED = RUNNING.and_then(failed("a"), failed("r"), settled("failed"))
UNCALLED = given(running("r", "a"), started("a", called=False), failed("a"))


def a(stream: Given) -> Task:
    task = stream.tree.task("a")
    assert task is not None
    return task


class TestMoves:
    def test_pending_to_in_progress(self) -> None:
        assert a(PENDING).status == "pending"
        assert a(PENDING.when(start, "a").then(started("a"))).status == "in_progress"

    def test_in_progress_to_completed(self) -> None:
        after = RUNNING.when(complete, "a", 1, result=raw({"x": 1})).then(completed("a", {"x": 1}))
        assert a(after).status == "completed"
        assert a(after).phase == Completed(raw({"x": 1}), None)

    def test_in_progress_to_failed(self) -> None:
        fact = TaskFailed(at=OPEN, by=OPEN, cause=OPEN, task="a", attempt=1, error=BROKEN)
        after = RUNNING.when(fail, "a", 1, BROKEN).then(fact)
        assert a(after).status == "failed"
        assert a(after).phase == Failed(BROKEN)

    def test_in_progress_to_pending_when_it_is_interrupted(self) -> None:
        assert a(INTERRUPTED).status == "pending"

    def test_and_on_to_the_next_attempt(self) -> None:
        assert a(INTERRUPTED.when(start, "a").then(started("a", 2))).status == "in_progress"

    @pytest.mark.parametrize("stream", [RUNNING, AGAIN, COMPLETED, FAILED, UNCALLED])
    def test_only_a_pending_task_starts(self, stream: Given) -> None:
        stream.when(start, "a").refuses(InvalidTransition, "task a is not ready to start")

    @pytest.mark.parametrize(
        "stream", [draft("r", "a"), running("r", "b", "a <- b"), running("r", "g <- b", "b", "g/a")]
    )
    def test_only_a_ready_task_starts(self, stream: list[AnyEvent]) -> None:
        given(stream).when(start, "a").refuses(InvalidTransition, "not ready")

    def test_a_group_is_not_started_by_hand(self) -> None:
        PENDING.when(start, "r").refuses(InvalidTransition, "not ready")

    def test_a_removed_task_does_not_start(self) -> None:
        tree = given(draft("r", "a")).tree
        assert list(tree.ready) == []

    @pytest.mark.parametrize(
        "stream", [PENDING, given(submitted("r", "a")), given(draft("r", "a"))]
    )
    def test_a_task_that_never_started_cannot_end(self, stream: Given) -> None:
        stream.when(complete, "a", 1).refuses(InvalidTransition, "task a has had no attempt 1")
        stream.when(fail, "a", 1, BROKEN).refuses(InvalidTransition, "no attempt 1")

    @pytest.mark.parametrize("attempt", [0, -1, 2])
    def test_nor_can_an_attempt_that_never_was(self, attempt: int) -> None:
        RUNNING.when(complete, "a", attempt).refuses(InvalidTransition, f"no attempt {attempt} ")
        COMPLETED.when(fail, "a", attempt, BROKEN).refuses(InvalidTransition)

    def test_a_group_ends_by_itself_not_by_report(self) -> None:
        RUNNING.when(complete, "r", 1).refuses(InvalidTransition, "task r has had no attempt 1")
        COMPLETED.when(fail, "r", 1, BROKEN).refuses(InvalidTransition)

    def test_an_unknown_task_is_told(self) -> None:
        for command, arguments in ((complete, ()), (fail, (BROKEN,))):
            RUNNING.when(command, "x", 1, *arguments).refuses(InvalidInput, "no task 'x'")
        RUNNING.when(progress, "x", 1, 0.5, "").refuses(InvalidInput)
        RUNNING.when(save, "x", 1, raw(1)).refuses(InvalidInput)


class TestFaultBeforeTheCall:
    def test_it_is_a_start_without_a_call_and_a_failure_in_one(self) -> None:
        error = ErrorInfo("executor_not_found", "none here")
        PENDING.when(start, "a", fault=error).then(
            started("a", called=False), failed("a", "executor_not_found", "none here")
        )

    def test_it_counts_the_attempt(self) -> None:
        facts = INTERRUPTED.when(start, "a", fault=BROKEN).facts
        assert [getattr(fact, "attempt", None) for fact in facts] == [2, 2]

    def test_it_takes_no_slot(self) -> None:
        assert not PENDING.when(start, "a", fault=BROKEN).tree.running


class TestInputsOfAnAttempt:
    def test_what_a_hook_changed_is_in_the_start(self) -> None:
        (fact,) = PENDING.when(start, "a", inputs=raw({"x": 2})).facts
        assert isinstance(fact, TaskStarted)
        assert fact.inputs == raw({"x": 2})


class TestResults:
    @pytest.mark.parametrize("value", [None, False, 0, "", [], {}, {"x": [1.5, "ü"]}])
    def test_any_json_is_a_result(self, value: object) -> None:
        after = RUNNING.when(complete, "a", 1, result=raw(value)).then(completed("a", value))
        assert a(after).phase == Completed(raw(value), None)

    def test_a_large_result_is_named_by_its_hash(self) -> None:
        fact = TaskCompleted(
            at=OPEN, by=OPEN, cause=OPEN, task="a", attempt=1, blob="ab" * 32, size=70_000
        )
        after = RUNNING.when(complete, "a", 1, blob="ab" * 32, size=70_000).then(fact)
        assert a(after).phase == Completed(None, "ab" * 32)
        assert after.tree.blobs == 1


class TestLateReports:
    @pytest.mark.parametrize(
        ("stream", "attempt", "reason"),
        [
            (COMPLETED, 1, "ended"),
            (FAILED, 1, "ended"),
            (UNCALLED, 1, "ended"),
            (INTERRUPTED, 1, "former_attempt"),
            (AGAIN, 1, "former_attempt"),
            (AGAIN.and_then(completed("a", attempt=2)), 1, "ended"),
        ],
    )
    def test_they_change_nothing_and_are_recorded(
        self, stream: Given, attempt: int, reason: str
    ) -> None:
        before = a(stream)
        for command, arguments in ((complete, ()), (fail, (BROKEN,))):
            after = stream.when(command, "a", attempt, *arguments).then(
                refused("a", reason, attempt)
            )
            assert a(after) == before

    def test_the_report_of_the_running_attempt_still_counts(self) -> None:
        late = AGAIN.and_then(refused("a", "former_attempt"))
        late.when(complete, "a", 2, result=raw(None)).then(completed("a", attempt=2))

    def test_ten_of_them_are_kept_for_each_task(self) -> None:
        ten = [refused("a", "ended")] * 10
        COMPLETED.and_then(ten[:9]).when(complete, "a", 1).then(refused("a", "ended"))
        COMPLETED.and_then(ten).when(complete, "a", 1).then_nothing()
        COMPLETED.and_then(ten).when(fail, "a", 1, BROKEN).then_nothing()
        other = given(running("r", "a", "b"), started("a"), completed("a"), ten, started("b"))
        other.and_then(completed("b")).when(fail, "b", 1, BROKEN).then(refused("b", "ended"))


class TestProgress:
    def test_it_is_recorded_while_the_attempt_runs(self) -> None:
        RUNNING.when(progress, "a", 1, 0.25, "chopping").then(progressed("a", 0.25, "chopping"))

    @pytest.mark.parametrize(
        ("said", "meant"),
        [(-1.0, 0.0), (0.0, 0.0), (1.0, 1.0), (7.0, 1.0),
         (float("inf"), 1.0), (float("-inf"), 0.0), (float("nan"), 0.0)],
    )  # fmt: skip
    def test_it_lies_between_0_and_1(self, said: float, meant: float) -> None:
        (fact,) = RUNNING.when(progress, "a", 1, said, "").facts
        assert isinstance(fact, TaskProgressed)
        assert fact.progress == meant

    @pytest.mark.parametrize("stream", [PENDING, INTERRUPTED, AGAIN, COMPLETED, FAILED])
    def test_it_is_dropped_when_the_attempt_is_over(self, stream: Given) -> None:
        stream.when(progress, "a", 1, 0.5, "").then_nothing()


class TestCheckpoints:
    def test_the_next_attempt_gets_the_last_one(self) -> None:
        after = RUNNING.when(save, "a", 1, raw({"page": 7})).then(saved("a", {"page": 7}))
        assert a(after).checkpoint == raw({"page": 7})
        assert a(after.and_then(saved("a", 8))).checkpoint == raw(8)
        assert a(after.and_then(LOST)).checkpoint == raw({"page": 7})
        assert a(after.and_then(LOST, started("a", 2))).checkpoint == raw({"page": 7})

    def test_it_is_of_no_use_after_the_end(self) -> None:
        assert a(RUNNING.and_then(saved("a", 1), completed("a"))).checkpoint is None

    @pytest.mark.parametrize("stream", [PENDING, INTERRUPTED, AGAIN, COMPLETED, FAILED, UNCALLED])
    def test_an_attempt_that_is_over_is_told_that_nothing_was_saved(self, stream: Given) -> None:
        stream.when(save, "a", 1, Raw(b"1")).refuses(InvalidTransition, "nothing was saved")
