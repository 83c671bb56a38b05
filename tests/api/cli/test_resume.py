"""Stopping and going on: Ctrl-C, SIGTERM, kill -9, and `apflow resume`."""

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.cli.programs import (
    apflow,
    chain,
    end,
    end_all,
    ledger,
    start,
    until,
    until_calls,
    write_jobs,
    write_tree,
)

RUN = ("--import", "jobs", "--store", "s.db")


@pytest.fixture
def here(place: Path) -> Iterator[Path]:
    """The working directory, with the module ``jobs`` in it."""
    write_jobs(place)
    yield place
    end_all()


@pytest.mark.slow
def test_no_completed_task_runs_again_after_kill_9(here: Path) -> None:
    """Not one but the task in flight is called again, under its key, as the next attempt."""
    file = write_tree(here, chain(200, seconds=0.002))
    process = start(here, "run", file, *RUN)
    for reached in (40, 90, 150):
        until_calls(here, reached)
        process.kill()
        end(process)
        process = start(here, "resume", *RUN, "--json")
    done = end(process)
    assert done.code == 0
    (tree,) = done.document["items"]
    assert tree["status"] == "completed"

    calls = ledger(here)
    assert list(dict.fromkeys(task for task, _, _ in calls)) == [f"t{n}" for n in range(200)]
    again = [task for task, count in Counter(task for task, _, _ in calls).items() if count > 1]
    assert len(calls) - 200 <= 3
    for task in again:
        attempts = [int(attempt) for id, attempt, _ in calls if id == task]
        assert attempts == list(range(1, len(attempts) + 1))
        assert len({key for id, _, key in calls if id == task}) == 1
    assert {task["id"]: task["attempt"] for task in tree["tasks"]} == {
        task: max(int(attempt) for id, attempt, _ in calls if id == task) for task, _, _ in calls
    }


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_cleanly_and_says_how_to_go_on(
    number: signal.Signals, here: Path
) -> None:
    process = start(here, "run", write_tree(here, chain(3, until="go")), *RUN)
    until_calls(here, 1)
    process.send_signal(number)
    done = end(process)
    assert (done.code, done.out) == (130, "")
    assert "Go on with: apflow resume t2 --store s.db --import jobs" in done.err
    assert "Traceback" not in done.err
    history = apflow(here, "history", "t2", "--store", "s.db").out.splitlines()
    assert "task.interrupted" in history[-2]
    assert "tree.released" in history[-1]
    assert not list(here.glob("s.db.engine-*"))

    (here / "go").touch()
    done = apflow(here, "resume", "t2", *RUN)
    assert done.code == 0
    assert "tree t2 (append): 3 tasks" in done.err
    assert [task for task, _, _ in ledger(here)] == ["t0", "t0", "t1", "t2"]


@pytest.mark.slow
def test_the_second_signal_ends_even_a_process_that_is_blocked(here: Path) -> None:
    process = start(here, "run", write_tree(here, [{"id": "b", "name": "block"}]), *RUN)
    until((here / "blocked").exists)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    done = end(process)
    assert "apflow resume b --store s.db --import jobs" in done.err


@pytest.mark.slow
def test_an_interruption_is_one_problem_document_where_json_is_wanted(here: Path) -> None:
    process = start(here, "run", write_tree(here, chain(3, until="go")), *RUN, "--json")
    until_calls(here, 1)
    process.send_signal(signal.SIGINT)
    done = end(process)
    assert (done.code, done.out) == (130, "")
    assert done.problem["type"].endswith("/interrupted")
    assert "apflow resume t2" in done.problem["detail"]


@pytest.mark.slow
def test_a_resume_beside_a_living_run_takes_nothing(here: Path) -> None:
    running = start(here, "run", write_tree(here, chain(3, until="go")), *RUN)
    until_calls(here, 1)
    beside = apflow(here, "resume", *RUN)
    assert (beside.code, beside.out) == (0, "")
    assert "tree t2 was left" in beside.err
    assert "is alive" in beside.err
    named = apflow(here, "resume", "t2", *RUN, "--json")
    assert named.code == 4
    (left,) = named.document["left"]
    assert (left["id"], left["problem"]["type"]) == ("t2", "/docs/problems/owned-elsewhere")
    report = apflow(here, "doctor", "--store", "s.db")
    assert (report.code, "1 tree is being run" in report.out) == (0, True)
    (here / "go").touch()
    assert end(running).code == 0
    assert [task for task, _, _ in ledger(here)] == ["t0", "t1", "t2"]


@pytest.mark.slow
def test_a_tree_can_be_taken_over_from_a_living_run_which_then_writes_nothing(here: Path) -> None:
    running = start(here, "run", write_tree(here, chain(3, until="go")), *RUN)
    until_calls(here, 1)
    taking = start(here, "resume", "t2", *RUN, "--take-over", "--json")
    until_calls(here, 2)
    (here / "go").touch()
    taken, lost = end(taking), end(running)
    assert taken.code == 0
    assert (lost.code, lost.out) == (4, "")
    assert "somebody else wrote to it" in lost.err
    attempts = {task["id"]: task["attempt"] for task in taken.document["items"][0]["tasks"]}
    assert attempts == {"t0": 2, "t1": 1, "t2": 1}


@pytest.mark.slow
def test_a_missing_executor_is_named_with_its_import_and_nothing_fails(here: Path) -> None:
    process = start(here, "run", write_tree(here, chain(3, until="go")), *RUN)
    until_calls(here, 1)
    process.kill()
    end(process)
    (here / "go").touch()
    done = apflow(here, "resume", "--store", "s.db")
    assert (done.code, done.out) == (1, "")
    assert "needs executor append" in done.err
    assert "--import jobs" in done.err
    report = apflow(here, "doctor", "--store", "s.db", "--json")
    assert report.code == 1
    (problem,) = [line for line in report.document["items"] if line["state"] == "problem"]
    assert problem["advice"] == "apflow resume --import jobs"
    assert apflow(here, "resume", *RUN).code == 0


@pytest.mark.slow
def test_all_interrupted_trees_go_on_together_and_the_worst_counts(here: Path) -> None:
    late = [{"id": "bad", "name": "fail", "dependencies": ["wait"]}]
    wait = {"id": "wait", "name": "append", "parent_id": "bad", "inputs": {"until": "go"}}
    for tree in (chain(3, until="go"), [*late, wait]):
        before = len(ledger(here))
        process = start(here, "run", write_tree(here, tree), *RUN)
        until_calls(here, before + 1)
        process.kill()
        end(process)
    (here / "go").touch()
    done = apflow(here, "resume", *RUN, "--json")
    assert done.code == 10
    found = {tree["id"]: tree["status"] for tree in done.document["items"]}
    assert found == {"t2": "completed", "bad": "failed"}
    again = apflow(here, "resume", "bad", *RUN)
    assert (again.code, again.out) == (0, "")
    assert "nothing to resume" in again.err
