"""Each example, run as its page says."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import environment
from tests.support.programs import APFLOW, apflow, run
from tests.support.repository import ROOT

EXAMPLES = ROOT / "examples"


def store(folder: Path) -> list[str]:
    """Flags that name a store of the test's own: `make run` leaves one in the checkout."""
    return ["--store", str(folder / "store.db")]


def by_key(tree: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {task["key"]: task for task in tree["tasks"]}


def test_the_machine_is_looked_at_and_reported_on(tmp_path: Path) -> None:
    ran = apflow(
        "run", "examples/machine.json", "--import", "examples.machine", "--json", *store(tmp_path),
        home=tmp_path, cwd=ROOT,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    tasks = by_key(json.loads(ran.stdout))
    assert {task["status"] for task in tasks.values()} == {"completed"}
    assert tasks["machine"]["result"] is None
    files = tasks["files"]["result"]
    assert files["files"] >= len(list((ROOT / "domain").rglob("*.py")))
    assert files["by_suffix"][".py"]["lines"] <= files["lines"]
    figures = tasks["figures"]["result"]
    assert figures["lines_per_file"] == round(files["lines"] / files["files"])
    assert 0 <= figures["disk_free_percent"] <= 100
    report = tasks["report"]["result"]
    assert report["results"] == {
        key: tasks[key]["result"] for key in ("cpu", "memory", "disk", "files", "figures")
    }


def test_a_folder_outside_of_the_repository_is_not_scanned(tmp_path: Path) -> None:
    (tmp_path / "tree.json").write_text('{"name": "scan_files", "inputs": {"folder": "../.."}}')
    file = str(tmp_path / "tree.json")
    ran = apflow(
        "run", file, "--import", "examples.machine", "--json", *store(tmp_path),
        home=tmp_path, cwd=ROOT,
    )  # fmt: skip
    assert ran.returncode == 10
    (task,) = json.loads(ran.stdout)["tasks"]
    assert task["error"]["message"] == "folder lies outside of the repository"


def saved(path: Path) -> int:
    """How many checkpoints the store holds."""
    if not path.exists():
        return 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        query = "SELECT count(*) FROM events_readable WHERE topic = 'task.saved'"
        found: int = connection.execute(query).fetchone()[0]
        return found
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "kill"])
def test_what_is_killed_goes_on_where_it_was(tmp_path: Path, by: signal.Signals) -> None:
    tree = json.loads((EXAMPLES / "slow.json").read_text())
    by_key({"tasks": tree})["long"]["inputs"] = {"to": 60, "seconds": 0.05}
    (tmp_path / "slow.json").write_text(json.dumps(tree))
    path, file = tmp_path / "store.db", str(tmp_path / "slow.json")
    with subprocess.Popen(
        [*APFLOW, "run", file, "--import", "examples.slow", *store(tmp_path)],
        cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        until = time.monotonic() + 30
        while saved(path) < 10 and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(process.pid, by)
        assert process.wait(20) == (-9 if by is signal.SIGKILL else 130)
        assert process.stdout is not None
        process.stdout.read()
    before = saved(path)
    assert 10 <= before < 60

    ran = apflow(
        "resume", "--import", "examples.slow", "--json", *store(tmp_path), home=tmp_path, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr
    (resumed,) = json.loads(ran.stdout)["items"]
    tasks = by_key(resumed)
    assert resumed["status"] == "completed"
    assert (tasks["quick"]["attempt"], tasks["long"]["attempt"]) == (1, 2)
    assert tasks["long"]["result"]["counted_to"] == 60
    assert tasks["long"]["result"]["started_at"] > 8
    assert list(path.parent.glob("*.engine-*")) == []


def test_the_flow_example_runs_as_a_program(tmp_path: Path) -> None:
    ran = run([sys.executable, str(EXAMPLES / "flow.py")], home=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0].split() == ["1", "tree.created"]
    end = next(n for n, line in enumerate(lines) if line.endswith("tree.settled"))
    assert lines[end + 1] == "completed"
    words = [line.split()[1] for line in lines[end + 2 :]]
    assert len(words) == 5
    assert [len(word) for word in words] == sorted(map(len, words), reverse=True)
