"""One tree with eight kinds of executors, killed in the middle, goes on where it was."""

import asyncio
import json
import signal
import subprocess
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.executors.cases_apflow import ApflowApiCase
from tests.executors.cases_command import CommandCase
from tests.executors.cases_grpc import GrpcCase
from tests.executors.cases_http import RestCase
from tests.executors.cases_mcp import McpStdioCase
from tests.executors.cases_websocket import WebsocketCase
from tests.executors.conftest import settings_text
from tests.support.executor_cases import CANARY, Case
from tests.support.places import environment, until
from tests.support.programs import APFLOW, apflow
from tests.support.repository import ROOT

EXAMPLE = ROOT / "examples" / "everything.json"
CASES: dict[str, type[Case]] = {
    "page": RestCase,
    "chat": WebsocketCase,
    "greeting": GrpcCase,
    "tool": McpStdioCase,
    "elsewhere": ApflowApiCase,
    "program": CommandCase,
}
"""Whose far sides stand for those in the example, by the key of the task."""


def test_the_example_names_eight_kinds_and_more() -> None:
    tasks = json.loads(EXAMPLE.read_text())["tasks"]
    kinds = {task["name"] for task in tasks}
    assert len(kinds) >= 8
    assert {key: CASES[key].executor for key in CASES} == {
        task["key"]: task["name"] for task in tasks if task["key"] in CASES
    }


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_and_repeats_only_what_was_cut_off(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_VALUE", CANARY)
    with ExitStack() as stack:
        cases: dict[str, Case] = {}
        for key, kind in CASES.items():
            folder = place / key
            folder.mkdir()
            cases[key] = kind(folder)
            stack.enter_context(cases[key].open())
        write(place, cases)
        cut_off(place, cases["program"])
        cases["program"].let_go()
        done = apflow("resume", "--store", "s.db", "--json", home=place, seconds=100)
        assert done.returncode == 0, done.stderr
    (tree,) = json.loads(done.stdout)["items"]
    assert {task["key"]: task["status"] for task in tree["tasks"]} == dict.fromkeys(
        [*CASES, "machine", "pause", "everything"], "completed"
    )
    began = Counter(event["task_id"] for event in history(place) if event["type"] == "task.started")
    again = {task["key"] for task in tree["tasks"] if began[task["id"]] > 1}
    assert "program" in again
    assert {task["attempt"] for task in tree["tasks"] if task["key"] not in again} == {1}


def write(place: Path, cases: dict[str, Case]) -> None:
    """The example with the addresses of what was started, and the settings of its operator."""
    tree = json.loads(EXAMPLE.read_text())
    for task in tree["tasks"]:
        if task["key"] == "program":
            task["inputs"] = cases["program"].hangs()
        elif task["key"] in cases:
            task |= {"inputs": cases[task["key"]].works(), **cases[task["key"]].policy}
    (place / "everything.json").write_text(json.dumps(tree))
    path = place / ".config" / "apflow" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(settings_text(list(cases.values())))


def cut_off(place: Path, program: Case) -> None:
    """Run it until all the rest has been done and the program is at work, and kill the engine."""
    process = subprocess.Popen(
        [*APFLOW, "run", "everything.json", "--store", "s.db"], cwd=place, env=environment(place),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    asyncio.run(until(lambda: program.running() == 1))
    process.send_signal(signal.SIGKILL)
    process.wait()


def history(place: Path) -> list[dict[str, Any]]:
    listed = apflow("list", "--store", "s.db", "--json", home=place).stdout
    (tree,) = json.loads(listed)["items"]
    lines = apflow("history", tree["id"], "--store", "s.db", "--json", home=place).stdout
    return [json.loads(line) for line in lines.splitlines()]
