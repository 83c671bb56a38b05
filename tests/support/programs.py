"""Programs that tests start: our own command line, and scripts."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.places import environment

APFLOW = (sys.executable, "-m", "aipartnerupflow")


def run(
    command: Sequence[str], *, home: Path, cwd: Path | None = None, seconds: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run to the end; settings and state are those of ``home``, where it runs if not said."""
    return subprocess.run(
        command, cwd=cwd or home, env=environment(home), capture_output=True, text=True,
        timeout=seconds,
    )  # fmt: skip


def apflow(
    *args: str, home: Path, cwd: Path | None = None, seconds: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run our command line."""
    return run([*APFLOW, *args], home=home, cwd=cwd, seconds=seconds)
