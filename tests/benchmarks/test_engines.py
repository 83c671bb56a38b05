"""The measurements with several processes run and print whole lines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer
from tests.support.repository import ROOT


@pytest.mark.slow
def test_a_restart_and_two_engines_are_measured(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/engines.py", "--trees", "6", "--runs", "1",
         "--dir", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "APFLOW_TEST_DSN": postgres_server.create_database()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(text) for text in done.stdout.splitlines()]
    assert [(line["measurement"], line["store"]) for line in lines] == [
        ("resumed", "sqlite"), ("resumed", "postgres"), ("together", "postgres"),
    ]  # fmt: skip
    assert all(line["first_ms"] > 0 for line in lines[:2])
    assert lines[2]["ratio"] == pytest.approx(
        lines[2]["two_per_s"] / lines[2]["one_per_s"], rel=0.01
    )
