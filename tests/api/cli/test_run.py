"""`apflow run`: what it takes, what it refuses, what it tells, with what it ends."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from aipartnerupflow.api.cli import reading
from tests.api.cli.conftest import Apflow
from tests.api.cli.programs import write_tree

IMPORT = ("--import", "jobs")

ARRAY = [
    {"id": "sum", "name": "aggregate_results_executor", "dependencies": ["one", "two"]},
    {"id": "one", "name": "give", "parent_id": "sum", "inputs": {"give": 1}},
    {"id": "two", "name": "give", "parent_id": "sum", "inputs": {"give": "zwei"}},
]
NESTED = {
    "name": "folder",
    "children": [
        {"key": "one", "name": "give", "inputs": {"give": 1}},
        {"key": "two", "name": "give", "dependencies": ["one"], "inputs": {"give": 2}},
    ],
}
BROKEN = [
    {"id": "top", "name": "folder"},
    {"id": "bad", "name": "fail", "parent_id": "top"},
    {"id": "after", "name": "give", "parent_id": "top", "dependencies": ["bad"]},
]


# -- what it takes


@pytest.mark.parametrize(
    ("tree", "name", "tasks"),
    [
        (ARRAY, "aggregate_results_executor", {"sum", "one", "two"}),
        (NESTED, "folder", {"one", "two"}),
        ({"name": "mine", "tasks": ARRAY}, "mine", {"sum", "one", "two"}),
        ({"tasks": NESTED, "limit": 1, "start": True}, "folder", {"one", "two"}),
    ],
    ids=["array", "nested", "wrapped array", "wrapped nested"],
)
def test_a_tree_in_any_of_its_forms_is_run(
    tree: Any, name: str, tasks: set[str], jobs: Path, apflow: Apflow
) -> None:
    done = apflow("run", write_tree(jobs, tree), *IMPORT, "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.document["name"], done.document["status"]) == (name, "completed")
    assert tasks <= {task["key"] for task in done.document["tasks"]}
    assert {task["status"] for task in done.document["tasks"]} == {"completed"}


def test_a_tree_for_show_runs_nothing(jobs: Path, apflow: Apflow) -> None:
    shown = write_tree(jobs, {"tasks": [{"name": "fail"}], "demo": True})
    done = apflow("run", shown, *IMPORT, "--json")
    assert (done.code, done.document["status"]) == (0, "completed")
    assert done.document["tasks"][0]["result"]["demo_mode"] is True


def test_the_tree_is_read_from_stdin_where_the_file_is_a_dash(
    apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"\xef\xbb\xbf" + json.dumps(ARRAY).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert apflow("run", "-", *IMPORT).code == 0


def test_the_same_file_can_be_run_again_as_a_new_tree(jobs: Path, apflow: Apflow) -> None:
    file = write_tree(jobs, ARRAY)
    first, second = (apflow("run", file, *IMPORT, "--json") for _ in range(2))
    assert first.document["id"] == "sum"
    assert second.code == 0
    assert second.err == ""
    assert second.document["id"] not in ("", "sum")


# -- what it tells


def test_people_see_the_id_early_each_step_and_the_results(jobs: Path, apflow: Apflow) -> None:
    done = apflow("run", write_tree(jobs, ARRAY), *IMPORT, "--store", "x.db")
    lines = done.err.splitlines()
    assert lines[0] == "tree sum (aggregate_results_executor): 3 tasks"
    assert "apflow resume sum --store x.db --import jobs" in done.err
    for task in ("one", "two", "sum"):
        assert sum(line.endswith(f"  {task}  started") for line in lines) == 1
        assert sum(f"  {task}  completed in " in line for line in lines) == 1
    assert lines[-1] == "history: apflow history sum --store x.db"
    assert done.out.startswith("completed  aggregate_results_executor  sum  3 of 3 tasks completed")
    assert '"two": "zwei"' in done.out


def test_a_failure_is_told_with_what_it_kept_from_starting(jobs: Path, apflow: Apflow) -> None:
    done = apflow("run", write_tree(jobs, BROKEN), *IMPORT)
    assert done.code == 10
    assert done.out.splitlines() == [
        done.out.splitlines()[0],
        "failed  top: child_failed: its child bad failed",
        "failed  bad: ValueError: no \\x1b[31mgood",
        "did not start: after",
    ]
    assert "\x1b" not in done.out + done.err


def test_a_failed_tree_is_a_document_too(jobs: Path, apflow: Apflow) -> None:
    done = apflow("run", write_tree(jobs, BROKEN), *IMPORT, "--json")
    assert (done.code, done.document["status"]) == (10, "failed")
    assert done.err == "a word of its own\n"
    bad = next(task for task in done.document["tasks"] if task["id"] == "bad")
    assert bad["error"]["type"] == "ValueError"
    assert bad["result"] is None


def test_long_results_are_cut_for_people_only(jobs: Path, apflow: Apflow) -> None:
    file = write_tree(jobs, [{"id": "x", "name": "give", "inputs": {"give": "y" * 50_000}}])
    assert len(apflow("run", file, *IMPORT).out) < 5_000
    assert len(apflow("run", file, *IMPORT, "--json").out) > 50_000


# -- what it refuses


def refused(apflow: Apflow, *args: str) -> str:
    """The message of a run that is refused, and leaves no store behind."""
    done = apflow("run", *args, *IMPORT, "--store", "new.db")
    assert (done.code, done.out) == (2, "")
    assert not Path("new.db").exists()
    return done.err


def test_all_faults_of_the_graph_are_told_at_once(jobs: Path, apflow: Apflow) -> None:
    tasks = [
        {"id": "a", "name": "give", "dependencies": ["nobody"]},
        {"id": "b", "name": "give", "parent_id": "a", "dependencies": ["c"], "retries": 3},
        {"id": "c", "name": "give", "parent_id": "a", "dependencies": ["b"]},
        {"id": "d", "name": "give", "priority": 9},
    ]
    told = refused(apflow, write_tree(jobs, tasks))
    for fault in ("'nobody'", "cycle", "retries", "priority", "exactly one root"):
        assert fault in told
    done = apflow("run", write_tree(jobs, tasks), "--json")
    assert done.code == 2
    assert len(done.problem["errors"]) >= 5
    assert {"code", "detail"} <= set(done.problem["errors"][0])


def test_a_tree_without_tasks_is_refused(jobs: Path, apflow: Apflow) -> None:
    done = apflow("run", write_tree(jobs, []))
    assert done.code == 2
    assert "no tasks" in done.err


def test_unknown_executors_refuse_the_tree_all_at_once(jobs: Path, apflow: Apflow) -> None:
    tasks = [
        {"id": "a", "name": "nope", "dependencies": []},
        {"id": "b", "name": "x", "parent_id": "a", "params": {"executor_id": "zip"}},
        {"id": "c", "name": "zap", "parent_id": "a"},
    ]
    done = apflow("run", write_tree(jobs, tasks), *IMPORT)
    assert done.code == 2
    assert "'zip' is not registered" in done.err
    assert "'zap' is not one" in done.err
    assert apflow("list", "--json").document["items"] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'[\n  {"name": "give",}\n]', "not JSON: trailing comma in object at line 2, column 19"),
        (b'{"name": "x", "inputs": {"a": 01}}', "invalid number at line 1"),
        (b'["\xc3\xa9\xc3\xa9", x]', "invalid character at line 1, column 8"),
        (b'[{"name": "a"}', "truncated at line 1, column 15"),
        (b'[{"name": "\xff"}]', "not UTF-8 at line 1, column 12"),
        (b"", "truncated"),
        (b"7", "holds no tree"),
        (b"[" * 100_000, "too deeply"),
        (b'{"tasks": 7}', "holds no tree"),
        (b'{"tasks": [], "nmae": "x"}', "Did you mean 'name'"),
        (b'{"tasks": [], "limit": 0}', "1 or more"),
        (b'{"tasks": [{"name": "a"}], "name": "' + b"n" * 256 + b'"}', "at most 255 characters"),
        (b'[{"name": "system_info_executor", "user_id": "' + b"u" * 256 + b'"}]', "user_id has"),
        (b'{"tasks": [], "limit": "many"}', "holds no tree"),
        (b'{"tasks": [], "start": false}', "run starts what it creates"),
        (b'{"tasks": [], "webhooks": []}', "`apflow serve`, then `apflow submit`"),
    ],
)
def test_what_is_no_tree_is_told_where(
    text: bytes, message: str, jobs: Path, apflow: Apflow
) -> None:
    (jobs / "bad.json").write_bytes(text)
    assert message in refused(apflow, "bad.json")


@pytest.mark.parametrize("file", ["missing.json", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_told(file: str, apflow: Apflow) -> None:
    assert "cannot read" in refused(apflow, file)


def test_a_file_over_the_cap_is_refused_unread(
    jobs: Path, apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (jobs / "big.json").open("wb") as big:
        big.truncate(reading.MAX_BYTES + 1)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it was opened"))
    assert "more than 64 MiB" in refused(apflow, "big.json")


def test_stdin_over_the_cap_is_refused_without_its_rest(
    apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 1_000)
    given = io.BytesIO(b"[" + b" " * 1_000_000)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(given))
    assert "stdin holds more than" in refused(apflow, "-")
    assert given.tell() < 100_000


# -- what it imports, how long it may take


@pytest.mark.parametrize(
    ("module", "text", "message"),
    [
        ("nowhere", None, "there is no module 'nowhere'"),
        ("nowhere.deep", None, "there is no module 'nowhere'"),
        ("needy", "import something_absent", "No module named 'something_absent'"),
        ("broken", "def f(:", "SyntaxError"),
        ("raising", "raise RuntimeError('at import')", "RuntimeError: at import"),
        ("leaving", "raise SystemExit(7)", "SystemExit: 7"),
        ("jobs.py", None, "write jobs for jobs.py"),
    ],
)
def test_an_import_that_fails_is_one_clear_line(
    module: str, text: str | None, message: str, jobs: Path, apflow: Apflow
) -> None:
    if text is not None:
        (jobs / f"{module}.py").write_text(text)
    done = apflow("run", write_tree(jobs, ARRAY), "--import", module)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_modules_are_named_by_the_environment_too(
    jobs: Path, apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_IMPORT", "json,jobs")
    assert apflow("run", write_tree(jobs, ARRAY)).code == 0


def test_commands_that_run_nothing_import_nothing(
    apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_IMPORT", "nowhere")
    assert apflow("list").code == 0
    assert apflow("demo").code == 2


def test_the_working_directory_is_looked_at_last_and_only_for_imports(
    jobs: Path, apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    (jobs / "colorsys.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    apflow("version")
    apflow("list")
    assert str(jobs) not in sys.path
    assert apflow("executors", "--import", "colorsys").code == 0
    assert sys.path[-1] == str(jobs)


def test_a_run_that_takes_too_long_is_stopped_and_can_be_resumed(
    jobs: Path, apflow: Apflow
) -> None:
    tree = write_tree(jobs, [{"id": "long", "name": "append", "inputs": {"seconds": 60}}])
    done = apflow("run", tree, *IMPORT, "--timeout", "0.2")
    assert done.code == 7
    assert "Go on with: apflow resume long --import jobs" in done.err
    assert apflow("list", "--json").document["items"][0]["status"] == "in_progress"


def test_the_demo_runs_with_what_every_installation_has(apflow: Apflow) -> None:
    done = apflow("demo")
    assert done.code == 0
    assert "4 of 4 tasks completed" in done.out
    assert "apflow resume" in done.err
    (demo,) = apflow("list", "--json").document["items"]
    assert demo["name"] == "demo"
