"""Every benchmark runs and prints a whole line. How fast anything is, is not tested."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.postgres import PostgresServer
from tests.support.repository import ROOT

SCRIPT = ROOT / "benchmarks" / "engine.py"
N = 20
FIELDS = [
    "workload", "store", "n", "tasks_per_s", "p50_ms", "p99_ms", "rss_mb", "raw_per_s", "ratio",
    "commits", "cpu_us", "flush_us", "limit",
]  # fmt: skip
GROWTH_FIELDS = ["small_n", "us_per_task", "small_us_per_task", "growth", "cpu_growth"]
WITH_RAW = ("chain", "chain-thread", "fanout", "trees")
WITH_GROWTH = ("scaling", "create")
OTHERS = ("replay", "status")


def engine(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def measured(workload: str, store: str, place: Path, **variables: str) -> dict[str, Any]:
    """The one line of one run with few tasks."""
    done = engine(
        "--workload", workload, "--store", store, "--n", str(N), "--runs", "1",
        "--dir", str(place), **variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (text,) = done.stdout.splitlines()
    assert "Python 3." in done.stderr
    line: dict[str, Any] = json.loads(text)
    return line


def check(line: dict[str, Any], workload: str, store: str) -> None:
    assert list(line) == FIELDS + (GROWTH_FIELDS if workload in WITH_GROWTH else [])
    assert (line["workload"], line["store"], line["n"], line["limit"]) == (workload, store, N, 1000)
    empty = [] if workload in WITH_RAW else ["raw_per_s", "ratio"]
    assert [field for field, value in line.items() if value is None] == empty
    numbers = [value for value in line.values() if isinstance(value, int | float)]
    assert all(value > 0 for value in numbers) or (workload in OTHERS and line["commits"] == 0)
    assert line["p50_ms"] <= line["p99_ms"]


@pytest.mark.slow
@pytest.mark.parametrize("workload", [*WITH_RAW, *WITH_GROWTH, *OTHERS])
def test_each_workload_prints_one_whole_line(workload: str, tmp_path: Path) -> None:
    check(measured(workload, "sqlite", tmp_path), workload, "sqlite")
    assert not list(tmp_path.iterdir()), "a database was left behind"


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["chain", "fanout", "trees", *WITH_GROWTH, *OTHERS])
def test_each_workload_prints_one_whole_line_on_postgresql(
    workload: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    server = {"APFLOW_TEST_DSN": postgres_server.dsn("postgres")}
    check(measured(workload, "postgres", tmp_path, **server), workload, "postgres")


@pytest.mark.slow
def test_a_chain_is_one_commit_a_task_and_tasks_that_wait_for_nothing_share_one(
    tmp_path: Path,
) -> None:
    assert measured("chain", "sqlite", tmp_path)["commits"] == N + 1
    assert measured("fanout", "sqlite", tmp_path)["commits"] < N


@pytest.mark.slow
def test_the_raw_run_says_what_it_does(tmp_path: Path) -> None:
    done = engine(
        "--workload", "fanout", "--store", "sqlite", "--n", str(N), "--runs", "1",
        "--dir", str(tmp_path), "--verbose",
    )  # fmt: skip
    assert "CREATE TABLE" in done.stderr
    assert "synchronous=FULL" in done.stderr
    assert "INSERT INTO stored_events" in done.stderr


@pytest.mark.slow
def test_a_profile_tells_where_the_time_of_each_thread_goes(tmp_path: Path) -> None:
    done = engine(
        "--workload", "chain-thread", "--store", "sqlite", "--n", "200", "--dir", str(tmp_path),
        "--profile",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("chain-thread, sqlite, 200 tasks, ")
    assert "SQLite: commit" in done.stdout
    assert {"MainThread", "apflow-writer"} <= {
        row.split()[0] for row in done.stdout.splitlines()[1:] if row
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--workload", "chain-thread", "--store", "postgres"], "measured on sqlite only"),
        (["--workload", "replay", "--profile"], "has no profile"),
        (["--limit", "1001"], "at most 1000"),
        (["--n", "0"], "at least 1"),
        (["--workload", "tree"], "invalid choice"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str], reason: str) -> None:
    done = engine(*arguments)
    assert done.returncode == 2
    assert reason in done.stderr
