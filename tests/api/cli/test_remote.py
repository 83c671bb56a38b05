"""The same commands on a server and on its store: the same words, the same codes."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aipartnerupflow.api.state import Record, Running
from tests.api.cli.conftest import Apflow
from tests.api.cli.programs import Done, end, end_all, start, until, until_calls, write_tree
from tests.api.cli.test_main import on_a_terminal
from tests.support.servers import Program, Threaded, make_token, program, threaded

WAITING = [
    {"id": "w", "name": "root"},
    {"id": "w-go", "key": "go", "name": "signal", "parent_id": "w"},
    {"id": "w-a", "key": "a", "name": "give", "parent_id": "w", "dependencies": ["go"]},
]
MIXED = [
    {"id": "mixed", "key": "top", "name": "root"},
    {"id": "m-good", "key": "good", "name": "give", "parent_id": "top", "inputs": {"give": [1.50]}},
    {
        "id": "m-bad",
        "key": "bad",
        "name": "system_info_executor",
        "parent_id": "top",
        "inputs": {"resource": "nothing"},
    },
    {"id": "m-late", "key": "late", "name": "give", "parent_id": "top", "dependencies": ["bad"]},
]


@pytest.fixture
def server(jobs: Path, apflow: Apflow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Threaded]:
    """A server over ``s.db``, with a tree that waits and one that failed; the command knows it."""
    apflow("executors", "--import", "jobs")
    with threaded("sqlite:///s.db", jobs) as made:
        monkeypatch.setenv("APFLOW_URL", made.url)
        monkeypatch.setenv("APFLOW_TOKEN", made.token)
        assert apflow("submit", write_tree(jobs, WAITING), "--json").code == 0
        assert apflow("submit", write_tree(jobs, MIXED)).out == "mixed\n"
        assert apflow("watch", "mixed").code == 10
        yield made


LOOKING = [
    ("list",),
    ("list", "--status", "failed"),
    ("list", "--limit", "1"),
    ("list", "--drafts"),
    ("list", "--after", "x"),
    ("list", "--after", "1"),
    ("list", "--status", "done"),
    ("get", "mixed"),
    ("get", "mi"),
    ("get", "m-good"),
    ("get", "mixed", "--at", "2"),
    ("get", "m-good", "--at", "4"),
    ("get", "mixed", "--at", "2040-01-01T00:00:00Z"),
    ("get", "mixed", "--at", "2000-01-01T00:00:00Z"),
    ("get", "mixed", "--at", "999"),
    ("get", "mixed", "--at", "yesterday"),
    ("get", "nobody"),
    ("get", ""),
    ("get", "a b"),
    ("history", "mixed"),
    ("history", "mixed", "--after", "3", "--limit", "2"),
    ("history", "mixed", "--task", "good"),
    ("history", "mixed", "--follow"),
    ("history", "mixed", "--task", "nobody"),
    ("history", "nobody"),
    ("watch", "mixed"),
    ("watch", "mixed", "--after", "4"),
    ("why", "w"),
    ("why", "w", "--task", "go"),
    ("why", "w-a"),
    ("why", "mixed"),
    ("why", "nobody"),
    ("rerun", "mixed", "--dry-run"),
    ("rerun", "mixed", "--dry-run", "--from", "good"),
    ("rerun", "mixed", "--from", "nobody", "--dry-run"),
    ("rerun", "mixed", "--from", "good", "--all"),
    ("cancel", "mixed"),
    ("cancel", "m-good", "--task", "x"),
    ("pause", "nobody"),
    ("signal", "w", "stop"),
    ("signal", "w", "go", "--payload", "{"),
    ("executors", "give"),
    ("executors", "giv"),
]


def told(done: Done) -> tuple[int, str, Any]:
    """What has to be the same: talk for people may name where it was asked."""
    problem = json.loads(done.err) if done.err.startswith("{") else None
    return done.code, done.out, problem


def test_commands_say_the_same_of_a_server_as_of_its_store(
    server: Threaded, apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    different = []
    for words in LOOKING:
        for json_ in ((), ("--json",)):
            far = told(apflow(*words, *json_))
            if words[0] == "executors":  # of this process, into which their module was imported
                monkeypatch.delenv("APFLOW_URL")
                near = told(apflow(*words, *json_))
                monkeypatch.setenv("APFLOW_URL", server.url)
            else:
                near = told(apflow(*words, *json_, "--store", "s.db"))
            if far != near:
                different.append((words, json_, far, near))
    assert not different


def test_a_tree_is_steered_by_way_of_a_server(server: Threaded, apflow: Apflow) -> None:
    paused = apflow("pause", "w", "--reason", "lunch", "--json")
    assert (paused.code, paused.document["paused"]) == (0, True)
    assert set(paused.document) == {"id", "status", "version", "paused"}
    assert apflow("unpause", "w").out.startswith("tree w unpaused: in_progress, version ")
    assert apflow("signal", "w", "go", "--payload", '{"by":"ann"}', "--id", "1").code == 0
    followed = apflow("watch", "w", "--json")
    versions = [json.loads(line)["version"] for line in followed.out.splitlines()]
    assert (followed.code, versions) == (0, list(range(1, len(versions) + 1)))
    tasks = {task["key"]: task for task in apflow("get", "w", "--json").document["tasks"]}
    assert (tasks["go"]["result"], tasks["a"]["status"]) == ({"by": "ann"}, "completed")
    assert apflow("rerun", "w", "--all", "--json").code == 0
    assert apflow("cancel", "w", "--task", "go").code == 0
    assert apflow("watch", "w").code == 11


def test_a_key_makes_one_tree_however_often_it_comes(server: Threaded, apflow: Apflow) -> None:
    file = write_tree(Path(), [{"key": "a", "name": "give"}])
    first = apflow("submit", file, "--key", "k")
    assert apflow("submit", file, "--key", "k").out == first.out
    assert apflow("submit", write_tree(Path(), MIXED), "--key", "k").code == 2


def test_a_graph_that_cannot_be_run_is_told_with_all_faults(
    server: Threaded, apflow: Apflow
) -> None:
    file = write_tree(Path(), {"name": "x", "children": [{"name": "nobody"}, {"name": "noone"}]})
    for where in ((), ("--store", "s.db")):
        done = apflow("submit", file, "--json", *where)
        assert (done.code, len(done.problem["errors"])) == (2, 2)
        assert "2 to mend" in apflow("submit", file, *where).err
    Path("broken.json").write_text('[{"name": }]')
    assert "line 1, column 11" in apflow("submit", "broken.json").err


@pytest.mark.parametrize("token", ["x" * 40, ""])
def test_an_unknown_token_ends_with_5(
    token: str, server: Threaded, apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_TOKEN", token)
    (Path("state") / "token").unlink()
    done = apflow("list", "--json")
    assert (done.code, done.problem["type"]) == (5, "/docs/problems/unauthenticated")


def test_a_token_that_may_not_do_it_ends_with_5(
    server: Threaded, apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_TOKEN", make_token(server.store, "local", "read"))
    assert apflow("get", "mixed").code == 0
    done = apflow("cancel", "w")
    assert (done.code, "needs the scope operate" in done.err) == (5, True)


def test_a_server_that_is_not_there_ends_with_6(apflow: Apflow) -> None:
    for command in (["list"], ["get", "x"], ["watch", "x"], ["executors"]):
        done = apflow(*command, "--server", "http://127.0.0.1:9", "--json")
        assert (done.code, done.problem["type"]) == (6, "/docs/problems/unreachable"), command
    assert apflow("list", "--server", "127.0.0.1:9").code == 2


def test_a_store_and_a_server_exclude_each_other(apflow: Apflow) -> None:
    done = apflow("list", "--server", "http://127.0.0.1:9", "--store", "s.db")
    assert (done.code, "exclude each other" in done.err) == (2, True)


# -- the server that runs on a state directory


@pytest.fixture
def here(jobs: Path) -> Iterator[Program]:
    """A server as a program of its own, on the state directory of the command."""
    with program(jobs) as made:
        yield made
    end_all()


@pytest.mark.slow
def test_the_server_of_the_state_directory_is_found_and_shown_its_token(
    here: Program, jobs: Path, apflow: Apflow
) -> None:
    file = write_tree(jobs, WAITING)
    assert apflow("submit", file).out == "w\n"
    until(lambda: apflow("why", "w-go", "--json").document.get("engine"))
    follower = start(jobs, "watch", "w")
    assert apflow("signal", "w", "go").code == 0
    done = end(follower)
    assert (done.code, done.out.startswith("completed  root  w")) == (0, True)
    assert apflow("executors", "give").code == 0  # of the server: nothing was imported here
    assert apflow("list", "--store", "other.db").code == 1
    here.stop()
    assert apflow("list").code == 0  # by the store itself
    assert apflow("executors", "give").code == 3


@pytest.mark.slow
def test_a_watch_goes_on_over_a_restart_of_the_server(
    here: Program, jobs: Path, apflow: Apflow
) -> None:
    apflow("submit", write_tree(jobs, WAITING))
    follower = start(jobs, "watch", "w", "--json", "--server", here.url)
    assert follower.stdout is not None
    first = follower.stdout.readline()
    here.kill()
    here.start()
    until(lambda: apflow("signal", "w", "go").code == 0)
    versions = [json.loads(line)["version"] for line in [first, *follower.stdout]]
    assert (follower.wait(30), versions) == (0, list(range(1, len(versions) + 1)))


@pytest.mark.slow
def test_a_watch_draws_the_tree_on_a_terminal(here: Program, jobs: Path, apflow: Apflow) -> None:
    slow = {"id": "slow", "name": "append", "parent_id": "r", "inputs": {"until": "gate"}}
    apflow("submit", write_tree(jobs, [{"id": "r", "name": "root"}, slow]))
    until_calls(jobs, 1)

    def open_the_gate() -> None:
        with here.client() as client:
            until(lambda: "apflow_streams 1" in client.get("/metrics").text)
        (jobs / "gate").touch()

    opening = threading.Thread(target=open_the_gate)
    opening.start()
    shown = on_a_terminal(jobs, "watch", "r", NO_COLOR="1")
    opening.join()
    assert "● slow" in shown
    assert "2/2" in shown
    assert "completed  root  r  2 of 2 tasks completed" in shown


@pytest.mark.slow
def test_a_server_with_another_store_is_left_alone(
    here: Program, jobs: Path, apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_DATABASE_URL", "sqlite:///mine.db")
    assert apflow("submit", write_tree(jobs, MIXED), "--import", "jobs").out == "mixed\n"
    monkeypatch.delenv("APFLOW_DATABASE_URL")
    assert apflow("get", "mixed").code == 3
    assert apflow("get", "mixed", "--store", "mine.db").code == 0


def test_a_record_whose_server_does_not_answer_counts_for_nothing(
    jobs: Path, apflow: Apflow
) -> None:
    assert apflow("demo").code == 0
    store = os.path.realpath("state/apflow.db")
    record = Record(jobs / "state", Running("http://127.0.0.1:9", os.getpid(), store))
    assert "completed" in apflow("list").out
    record.end()


def test_what_was_submitted_without_a_server_waits_for_an_engine(
    jobs: Path, apflow: Apflow
) -> None:
    done = apflow("submit", write_tree(jobs, MIXED), "--import", "jobs")
    assert (done.code, done.out) == (0, "mixed\n")
    assert apflow("why", "m-good", "--import", "jobs", "--json").document["reason"] == "unclaimed"
    assert apflow("watch", "mixed", "--timeout", "0.2").code == 7
    follower = start(jobs, "watch", "mixed")
    assert apflow("resume", "--import", "jobs").code == 10
    followed = end(follower)
    assert (followed.code, followed.out.startswith("failed  root  mixed")) == (10, True)
    end_all()
    draft = write_tree(jobs, {"tasks": [{"id": "d", "name": "give"}], "start": False})
    assert "draft" in apflow("submit", draft).err


def test_to_follow_so_many_events_ends_with_the_last_of_them(jobs: Path, apflow: Apflow) -> None:
    draft = write_tree(jobs, {"tasks": [{"id": "d", "name": "give"}], "start": False})
    assert apflow("submit", draft, "--import", "jobs").code == 0
    done = apflow("history", "d", "--follow", "--limit", "1", "--json")
    assert (done.code, len(done.out.splitlines())) == (0, 1)


def test_a_key_means_the_same_tree_on_the_store_and_on_its_server(
    jobs: Path, apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = write_tree(jobs, {"tasks": [{"name": "give"}], "start": False})
    theirs = write_tree(jobs, [{"name": "give", "user_id": "ann"}], "theirs.json")
    here = apflow("submit", mine, "--key", "k", "--store", "s.db", "--import", "jobs")
    owned = apflow("submit", theirs, "--import", "jobs", "--json").document
    assert (here.code, owned["user_id"]) == (0, "ann")
    with threaded("sqlite:///s.db", jobs) as made:
        monkeypatch.setenv("APFLOW_URL", made.url)
        monkeypatch.setenv("APFLOW_TOKEN", made.token)
        assert apflow("submit", mine, "--key", "k").out == here.out
        assert apflow("submit", theirs, "--json").document["user_id"] == "ann"
