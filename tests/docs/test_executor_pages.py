"""The pages of built-in executors say what their schemas say."""

import subprocess
import sys

from tests.support.repository import ROOT


def test_the_pages_are_as_they_would_be_written() -> None:
    done = subprocess.run(
        [sys.executable, ".ci/executor_pages.py", "--check"],
        cwd=ROOT, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
