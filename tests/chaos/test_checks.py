"""The checks themselves: each fault that they are there for is told."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.events import AnyEvent, Recorded
from aipartnerupflow.domain.specs import ErrorInfo, TaskSpec
from tests.support.chaos.blows import Kill, Stop
from tests.support.chaos.checks import check_ledgers

T = "r"
AT = "2026-01-01T00:00:00.000000Z"
SUBMITTED = "told r tree.submitted 2026-01-01T00:00:00.000000Z - -"


def begun(task: str = "a", attempt: int = 1, key: str = "k", name: str = "p1", at: int = 1) -> str:
    return f"begin {T} {task} 1 {attempt} {key} {name} {at}"


def over(task: str = "a", attempt: int = 1, key: str = "k", name: str = "p1", at: int = 2) -> str:
    return f"end {T} {task} 1 {attempt} {key} {name} {at}"


def started(attempt: int = 1, task: str = "a") -> AnyEvent:
    return e.TaskStarted(at=AT, task=task, attempt=attempt)


def completed(attempt: int = 1, task: str = "a") -> AnyEvent:
    return e.TaskCompleted(at=AT, task=task, attempt=attempt)


def interrupted(attempt: int = 1, task: str = "a") -> AnyEvent:
    return e.TaskInterrupted(at=AT, task=task, attempt=attempt, interruption="engine_lost")


class Case:
    """A log after its creation (position 1) and submission (2), and what lies beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def faults(
        self,
        events: Sequence[AnyEvent],
        runs: Sequence[str] = (),
        acks: Sequence[str] = (),
        kills: Sequence[Kill] = (),
        stops: Sequence[Stop] = (),
    ) -> list[str]:
        head = (
            e.TreeCreated(at=AT, uid="u", name="r", specs=(TaskSpec(id=T, name=T),)),
            e.TreeSubmitted(at=AT),
        )
        log = [Recorded(T, n, event, n) for n, event in enumerate((*head, *events), start=1)]
        (self.folder / "runs").write_text("".join(f"{line} ;\n" for line in runs))
        (self.folder / "acks").write_text("".join(f"{line} ;\n" for line in acks))
        return check_ledgers(log, self.folder, kills, stops)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


KILL = Kill("p1", before=3, after=3, moment=2)
ONCE = (started(), completed())
TWICE = (started(), interrupted(), started(2), completed(2))


def test_nothing_is_told_of_runs_that_keep_every_promise(case: Case) -> None:
    acks = ["submitted r", SUBMITTED]
    assert case.faults(ONCE, [begun(), over()], acks) == []
    again = [begun(), begun(attempt=2, name="p2", at=3), over(attempt=2, name="p2", at=4)]
    assert case.faults(TWICE, again, acks, [KILL]) == []


def test_an_acknowledged_event_or_submission_that_is_lost_is_told(case: Case) -> None:
    told = f"told r task.completed {AT} b -"
    assert "acknowledged event(s) lost" in case.faults(ONCE, [begun(), over()], [told])[0]
    (fault,) = case.faults(ONCE, [begun(), over()], ["submitted other"])
    assert fault == "the submission of other is lost"


def test_an_answer_that_denies_what_is_stored_is_told(case: Case) -> None:
    (fault,) = case.faults(ONCE, [begun(), over()], ["denied r StoreUnavailable"])
    assert "it is stored" in fault


def test_a_checkpoint_that_is_lost_or_not_found_again_is_told(case: Case) -> None:
    (fault,) = case.faults(ONCE, [begun(), over()], ["saved r a 1 1 1"])
    assert "acknowledged checkpoint(s) of a lost" in fault
    saved = e.TaskSaved(at=AT, task="a", attempt=1, checkpoint=b"1")  # type: ignore[arg-type]
    acks = ["saved r a 1 1 1", "found r a 1 2 0"]
    (fault,) = case.faults((started(), saved, completed()), [begun(), over()], acks)
    assert "found 0, 1 had been saved" in fault


def test_a_call_that_the_log_does_not_know_is_told(case: Case) -> None:
    faults = case.faults(ONCE, [begun(), over(), begun(attempt=2, at=3), over(attempt=2, at=4)])
    assert any("never started in the log" in fault for fault in faults)
    assert any("ran after attempt 1 had completed the task" in fault for fault in faults)


def test_a_completion_that_no_call_has_given_is_told(case: Case) -> None:
    (fault,) = case.faults(ONCE, [begun()])
    assert "its executor never did" in fault


def test_an_attempt_that_a_kill_caught_and_did_not_interrupt_is_told(case: Case) -> None:
    (fault,) = case.faults(ONCE, [begun(), over()], kills=[KILL])
    assert "was running at" in fault


def test_an_interruption_without_a_cause_is_told(case: Case) -> None:
    runs = [begun(), over(), begun(attempt=2, at=3), over(attempt=2, at=4)]
    (fault,) = case.faults(TWICE, runs)
    assert "no kill had caught it" in fault


def test_another_key_for_another_attempt_is_told(case: Case) -> None:
    runs = [begun(), begun(attempt=2, key="l", at=3), over(attempt=2, key="l", at=4)]
    (fault,) = case.faults(TWICE, runs, kills=[KILL])
    assert fault == "a ran under 2 keys"


def test_two_attempts_that_are_live_at_a_time_are_told_unless_one_slept(case: Case) -> None:
    runs = [
        begun(at=1), begun(attempt=2, name="p2", at=30), over(attempt=2, name="p2", at=40),
        over(at=50),
    ]  # fmt: skip
    stop = Stop("p1", before=3, after=5, since=20, until=45)
    assert case.faults(TWICE, runs, stops=[stop]) == []
    late = Stop("p1", before=3, after=5, since=35, until=45)
    (fault,) = case.faults(TWICE, runs, stops=[late])
    assert "were live at a time" in fault


def test_too_many_calls_under_a_concurrency_key_are_told(case: Case) -> None:
    events, runs = [], []
    for task in ("ak", "bk", "ck"):
        events += [started(task=task), completed(task=task)]
        runs += [begun(task, key=task, at=1)]
    runs += [over(task, key=task, at=2) for task in ("ak", "bk", "ck")]
    (fault,) = case.faults(events, runs)
    assert "under its concurrency key" in fault


def test_a_task_that_fails_for_the_store_is_told(case: Case) -> None:
    failed = e.TaskFailed(at=AT, task="a", attempt=1, error=ErrorInfo("CommitUnknown", "lost"))
    (fault,) = case.faults((started(), failed), [begun(), over()])
    assert "failed with CommitUnknown" in fault
