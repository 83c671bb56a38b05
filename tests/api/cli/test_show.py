"""`apflow list`, `get`, `history`, `executors`, `version`: what they show, and how much of it."""

import json
from pathlib import Path

import pytest

from tests.api.cli.conftest import Apflow
from tests.api.cli.programs import write_tree

IMPORT = ("--import", "jobs")
TWO = [
    {"id": "two-a", "key": "sum", "name": "aggregate_results_executor", "dependencies": ["one"]},
    {"id": "one", "name": "give", "parent_id": "sum", "inputs": {"give": [1, "\x1b[2J"]}},
]


@pytest.fixture
def ran(jobs: Path, apflow: Apflow) -> Apflow:
    """The command, with two trees stored: ``two-a``, then ``two-bee`` that failed."""
    assert apflow("run", write_tree(jobs, TWO), *IMPORT).code == 0
    failing = [{"id": "two-bee", "name": "fail"}]
    assert apflow("run", write_tree(jobs, failing), *IMPORT).code == 10
    return apflow


# -- trees


def test_trees_are_listed_newest_first_page_by_page(ran: Apflow) -> None:
    first = ran("list", "--limit", "1", "--json").document
    assert [tree["id"] for tree in first["items"]] == ["two-bee"]
    second = ran("list", "--limit", "1", "--after", first["next"], "--json").document
    assert [tree["id"] for tree in second["items"]] == ["two-a"]
    assert second["next"] is None
    assert "--after" in ran("list", "--limit", "1").err


def test_a_list_can_be_of_one_status(ran: Apflow) -> None:
    (tree,) = ran("list", "--status", "failed", "--json").document["items"]
    assert (tree["id"], tree["draft"], tree["version"]) == ("two-bee", False, 6)
    assert ran("list", "--drafts", "--json").document == {"items": [], "next": None}
    assert [line.split()[:2] for line in ran("list").out.splitlines()] == [
        ["two-bee", "failed"],
        ["two-a", "completed"],
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--status", "done"), "there is no status 'done'"),
        (("--after", "x"), "--after"),
        (("--limit", "0"), "--limit"),
        (("--limit", "1001"), "--limit"),
    ],
)
def test_a_wrong_word_for_a_list_is_a_misuse(
    args: tuple[str, ...], message: str, apflow: Apflow
) -> None:
    done = apflow("list", *args)
    assert done.code == 2
    assert message in done.err


def test_where_nothing_is_stored_yet_the_first_steps_are_named(apflow: Apflow) -> None:
    done = apflow("list")
    assert (done.code, done.out) == (0, "")
    assert "apflow demo" in done.err


# -- one tree


def test_a_tree_is_shown_with_its_tasks_and_found_by_the_beginning_of_its_id(ran: Apflow) -> None:
    document = ran("get", "two-b", "--json").document
    assert (document["id"], document["status"], document["version"]) == ("two-bee", "failed", 6)
    assert ran("get", "two-bee").out.startswith("failed  fail  two-bee")
    (task,) = document["tasks"]
    assert (task["id"], task["name"], task["status"], task["attempt"]) == (
        "two-bee", "fail", "failed", 1,
    )  # fmt: skip
    assert (task["result"], task["error"]["type"]) == (None, "ValueError")


def test_a_task_is_shown_with_its_inputs_and_its_result(ran: Apflow) -> None:
    document = ran("get", "one", "--json").document
    assert (document["tree_id"], document["result"]) == ("two-a", [1, "\x1b[2J"])
    shown = ran("get", "one").out
    assert "inputs" in shown
    assert "result" in shown
    assert "\x1b" not in shown


def test_a_task_is_shown_with_all_its_attempts(ran: Apflow) -> None:
    (attempt,) = ran("get", "one", "--json").document["attempts"]
    assert (attempt["attempt"], attempt["outcome"]) == (1, "completed")
    assert "  attempt 1: " in ran("get", "one").out


def test_the_beginning_of_several_ids_is_refused_naming_them(ran: Apflow) -> None:
    done = ran("get", "two-", "--json")
    assert done.code == 2
    assert done.problem["type"].endswith("/invalid-input")
    assert "two-a, two-bee" in done.problem["detail"]


@pytest.mark.parametrize("command", ["get", "history", "resume"])
def test_an_id_that_there_is_not_ends_with_3(command: str, ran: Apflow) -> None:
    done = ran(command, "zzz", "--json")
    assert (done.code, done.out) == (3, "")
    assert set(done.problem) == {"type", "title", "detail"}
    assert ran(command, "zzz").err.startswith("apflow: no tree with id 'zzz'")
    assert ran(command, "").code == 3


def test_a_store_that_was_named_and_is_not_there_is_not_made(jobs: Path, apflow: Apflow) -> None:
    for command in (["list"], ["get", "x"], ["history", "x"], ["resume"], ["rebuild"]):
        done = apflow(*command, "--store", "typo.db")
        assert done.code == 1, command
        assert "there is no store at typo.db" in done.err
    assert not (jobs / "typo.db").exists()


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("duckdb:///x", 2, "DuckDB"),
        ("mysql://u:geheim@h/x", 2, "mysql"),
        ("/no/such/folder/x.db", 1, "does not exist"),
        (".", 1, "is a directory"),
    ],
)
def test_a_store_that_cannot_be_used_is_told(
    url: str, code: int, message: str, apflow: Apflow
) -> None:
    done = apflow("demo", "--store", url)
    assert done.code == code
    assert message in done.err
    assert "geheim" not in done.err
    assert "Traceback" not in done.err


# -- history


def test_history_is_a_line_of_json_for_each_event_without_a_gap(ran: Apflow) -> None:
    events = [json.loads(line) for line in ran("history", "two-a", "--json").out.splitlines()]
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events] == [
        "tree.created", "tree.submitted", "tree.claimed", "task.started", "task.completed",
        "task.started", "task.completed", "tree.settled",
    ]  # fmt: skip
    started = events[3]
    assert (started["task_id"], started["attempt"], started["by"]) == ("one", 1, "engine")
    assert "task" not in started
    assert started["position"] > 0
    assert started["at"].endswith("Z")


@pytest.mark.parametrize("command", ["history", "watch"])
def test_json_that_was_written_over_many_lines_is_told_on_one(
    command: str, jobs: Path, apflow: Apflow
) -> None:
    tasks = [{"id": "wide", "name": "give", "inputs": {"give": [1, 2]}}]
    (jobs / "wide.json").write_text(json.dumps(tasks, indent=2))
    assert apflow("run", "wide.json", *IMPORT).code == 0
    events = [json.loads(line) for line in apflow(command, "wide", "--json").out.splitlines()]
    assert events[0]["specs"][0]["inputs"] == {"give": [1, 2]}


def test_history_can_be_narrowed(ran: Apflow) -> None:
    def versions(*args: str) -> list[int]:
        lines = ran("history", "two-a", "--json", *args).out.splitlines()
        return [json.loads(line)["version"] for line in lines]

    assert versions("--after", "2", "--limit", "3") == [3, 4, 5]
    assert versions("--task", "sum") == versions("--task", "two-a") == [6, 7]
    assert versions("--task", "one", "--limit", "1") == [4]
    assert versions("--after", "99") == []
    assert ran("history", "two-a", "--task", "zzz").code == 3


def test_history_for_people_names_tasks_by_their_keys_and_obeys_nothing(ran: Apflow) -> None:
    shown = ran("history", "two-a").out
    assert "task.started      sum  attempt=1" in shown
    assert "\x1b" not in shown


# -- executors and versions


def test_executors_are_listed_with_their_origin(apflow: Apflow) -> None:
    items = {info["id"]: info for info in apflow("executors", *IMPORT, "--json").document["items"]}
    assert items["give"]["module"] == "jobs"
    assert items["system_info_executor"]["built_in"]
    assert not items["command_executor"]["usable"]
    assert "Gives what it is given" in apflow("executors", *IMPORT).out


def test_an_operator_can_switch_the_command_executor_on(
    apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_COMMAND_ENABLED", "1")
    told = apflow("executors", "command_executor").out
    assert "not usable" in told
    assert "list the commands that may be run in APFLOW_COMMAND_ALLOW" in told
    monkeypatch.setenv("APFLOW_COMMAND_ALLOW", '[["uptime"]]')
    assert apflow("executors", "command_executor", "--json").document["usable"]


def test_one_executor_is_shown_with_its_schema_and_examples(apflow: Apflow) -> None:
    done = apflow("executors", "system_info_executor")
    assert '"resource"' in done.out
    assert "example" in done.out
    assert apflow("executors", "system_info_executor", "--json").document["examples"]


def test_an_executor_that_there_is_not_is_told_with_what_was_meant(apflow: Apflow) -> None:
    done = apflow("executors", "system_infos")
    assert done.code == 3
    assert "Did you mean system_info_executor" in done.err


def test_the_version_is_told(apflow: Apflow) -> None:
    assert apflow("version", "--json").document["aipartnerupflow"]
    assert apflow("version").out.startswith("aipartnerupflow ")


# -- misuse


@pytest.mark.parametrize(
    "args", [("lst",), ("run",), ("get", "a", "b"), ("list", "--wat"), ("list", "--limit", "x")]
)
def test_a_misuse_ends_with_2_for_people_and_programs(
    args: tuple[str, ...], apflow: Apflow
) -> None:
    done = apflow(*args)
    assert (done.code, done.out) == (2, "")
    assert "Error" in done.err
    as_json = apflow(*args, "--json")
    assert as_json.code == 2
    assert as_json.problem["type"].endswith("/usage")


def test_a_command_that_was_mistyped_is_guessed(apflow: Apflow) -> None:
    assert "'history'" in apflow("histroy", "x").err
