"""`apflow cancel`, `pause`, `unpause`, `rerun`, `signal`, `why`: here, and across processes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.cli import programs
from tests.api.cli.conftest import Apflow
from tests.api.cli.programs import end, end_all, ledger, start, until, until_calls, write_tree

RUN = ("--import", "jobs", "--store", "s.db")
STORE = ("--store", "s.db")

WAITING = [
    {"id": "r", "name": "root"},
    {"id": "go", "name": "signal", "parent_id": "r", "inputs": {"schema": {"type": "object"}}},
    {"id": "a", "name": "append", "parent_id": "r", "dependencies": ["go"]},
]
MIXED = [
    {"id": "r", "name": "root"},
    {"id": "good", "name": "append", "parent_id": "r"},
    {"id": "bad", "name": "fail", "parent_id": "r"},
    {"id": "late", "name": "append", "parent_id": "r", "dependencies": ["bad"]},
]


@pytest.fixture
def running(jobs: Path) -> Iterator[Path]:
    """The working directory, in which a tree waits for a signal in another process."""
    start(jobs, "run", write_tree(jobs, WAITING), *RUN)
    until(lambda: "go" in waiting_for(jobs))
    yield jobs
    end_all()


def waiting_for(place: Path) -> list[str]:
    """The signals that are waited for, by the history."""
    done = programs.apflow(place, "history", "r", *STORE, "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    return [event["signal"] for event in events if event["type"] == "task.waiting"]


def process(place: Path) -> Any:
    return programs._started[0]


@pytest.mark.slow
def test_a_signal_reaches_the_process_that_runs_the_tree(running: Path, apflow: Apflow) -> None:
    done = apflow("signal", "r", "go", "--payload", '{"by":"ann"}', *STORE, "--json")
    assert done.code == 0
    assert set(done.document) == {"id", "status", "version", "paused"}
    assert end(process(running)).code == 0
    tasks = {t["key"]: t for t in apflow("get", "r", *STORE, "--json").document["tasks"]}
    assert tasks["go"]["result"] == {"by": "ann"}
    assert tasks["a"]["status"] == "completed"


@pytest.mark.slow
def test_what_the_owner_refuses_is_told_where_it_was_asked(running: Path, apflow: Apflow) -> None:
    wrong = apflow("signal", "r", "go", "--payload", "[1]", *STORE)
    assert wrong.code == 2
    assert "does not fit what task go asks for" in wrong.err
    unknown = apflow("signal", "r", "stop", *STORE)
    assert unknown.code == 2
    assert "signals are: go" in unknown.err


@pytest.mark.slow
def test_a_paused_tree_starts_nothing_until_it_is_unpaused(running: Path, apflow: Apflow) -> None:
    assert apflow("pause", "r", "--reason", "lunch", *STORE).code == 0
    assert apflow("signal", "r", "go", "--payload", "{}", *STORE).code == 0
    assert apflow("why", "a", *STORE).out == "pending  a: the tree is paused\n"
    assert ledger(running) == []
    assert apflow("unpause", "r", *STORE).code == 0
    assert end(process(running)).code == 0
    assert len(ledger(running)) == 1


@pytest.mark.slow
def test_a_cancel_ends_the_run_elsewhere_with_11(jobs: Path, apflow: Apflow) -> None:
    tree = [
        *WAITING[:1],
        {"id": "x", "name": "append", "inputs": {"seconds": 60}, "parent_id": "r"},
    ]
    run = start(jobs, "run", write_tree(jobs, tree), *RUN)
    until_calls(jobs, 1)
    assert apflow("cancel", "r", "--reason", "no more", *STORE).code == 0
    done = end(run)
    assert done.code == 11
    shown = apflow("get", "x", *STORE, "--json").document
    assert (shown["status"], shown["error"]["message"]) == ("cancelled", "no more")
    again = apflow("cancel", "r", *STORE)
    assert again.code == 4
    assert "has settled (cancelled)" in again.err


@pytest.mark.slow
def test_a_killed_run_is_cancelled_without_being_resumed(running: Path, apflow: Apflow) -> None:
    process(running).kill()
    end(process(running))
    done = apflow("cancel", "r", *STORE)
    assert (done.code, "r cancelled: cancelled" in done.out) == (0, True)
    assert apflow("resume", *RUN).err.startswith("nothing to resume")


def test_a_task_is_cancelled_by_its_key_or_its_id(jobs: Path, apflow: Apflow) -> None:
    apflow("run", write_tree(jobs, WAITING), *RUN, "--timeout", "0.5")
    assert apflow("cancel", "r", "--task", "go", *STORE).code == 0
    shown = apflow("get", "go", *STORE, "--json").document
    assert shown["status"] == "cancelled"
    assert apflow("cancel", "go", "--task", "x", *STORE).code == 2
    assert apflow("cancel", "r", "--task", "nobody", *STORE).code == 3


def test_a_re_run_of_what_failed_keeps_what_completed(jobs: Path, apflow: Apflow) -> None:
    assert apflow("run", write_tree(jobs, MIXED), *RUN).code == 10
    plan = apflow("rerun", "r", "--dry-run", *STORE, "--json").document
    assert plan == {"id": "r", "runs": ["bad", "late"], "kept": ["good"]}
    done = apflow("rerun", "r", *STORE)
    assert done.code == 0
    assert "apflow resume r --store s.db" in done.err
    assert apflow("resume", *RUN).code == 10
    assert [task for task, _, _ in ledger(jobs)] == ["good"]
    assert apflow("get", "bad", *STORE, "--json").document["generation"] == 2


def test_a_re_run_from_a_task_repeats_all_behind_it(jobs: Path, apflow: Apflow) -> None:
    apflow("run", write_tree(jobs, MIXED), *RUN)
    text = apflow("rerun", "r", "--from", "good", "--dry-run", *STORE).out
    assert text.splitlines() == ["runs  good"]
    both = apflow("rerun", "r", "--from", "good", "--all", *STORE)
    assert (both.code, "exclude each other" in both.err) == (2, True)
    assert apflow("rerun", "r", "--from", "nobody", *STORE).code == 2


def test_there_has_to_be_something_to_run_again(jobs: Path, apflow: Apflow) -> None:
    apflow("run", write_tree(jobs, MIXED[:2]), *RUN)
    done = apflow("rerun", "r", *STORE)
    assert done.code == 4
    assert "nothing of tree r is to be run again" in done.err


def test_why_tells_of_each_task_that_has_not_ended(jobs: Path, apflow: Apflow) -> None:
    apflow("run", write_tree(jobs, WAITING), *RUN, "--timeout", "0.5")
    lines = apflow("why", "r", *RUN).out.splitlines()
    assert lines[1:] == [
        "in_progress  go: waits for the signal go; no engine drives the tree; resume it",
        "pending  a: waits for go",
    ]
    apflow("signal", "r", "go", "--payload", "{}", *STORE)
    found = apflow("why", "a", *RUN, "--json").document
    assert (found["reason"], found["key"]) == ("unclaimed", "a")


def test_why_names_the_executor_that_is_missing(jobs: Path, apflow: Apflow) -> None:
    start(jobs, "run", write_tree(jobs, WAITING), *RUN, "--timeout", "0.5").wait(30)
    apflow("signal", "r", "go", "--payload", "{}", *STORE)
    found = apflow("why", "a", *STORE, "--json").document
    assert found["reason"] == "executor_missing"
    assert "--import jobs" in found["detail"]


def test_a_payload_is_json(jobs: Path, apflow: Apflow) -> None:
    apflow("run", write_tree(jobs, WAITING), *RUN, "--timeout", "0.5")
    done = apflow("signal", "r", "go", "--payload", "yes", *STORE)
    assert (done.code, "--payload is not JSON" in done.err) == (2, True)


@pytest.mark.parametrize("command", ["cancel", "pause", "unpause", "rerun", "why"])
def test_a_tree_that_there_is_not_is_told_with_3(command: str, jobs: Path, apflow: Apflow) -> None:
    apflow("run", write_tree(jobs, MIXED[:2]), *RUN)
    assert apflow(command, "nobody", *STORE).code == 3
