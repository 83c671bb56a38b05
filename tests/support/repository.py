"""What the repository holds, for the tests that look at the code itself."""

import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "aipartnerupflow"
# Folders at the top that are no part of the package.
BESIDE_THE_PACKAGE = {"tests", "benchmarks", "examples", "docs"}


@cache
def files() -> tuple[str, ...]:
    """Every file git knows or would add, as posix paths relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = (name for name in listing.split("\0") if name)
    return tuple(sorted({name for name in names if (ROOT / name).is_file()}))


def product_modules() -> list[str]:
    """The Python files that are installed with the package."""
    return [
        name
        for name in files()
        if name.endswith(".py")
        and not name.startswith(".")
        and name.split("/")[0] not in BESIDE_THE_PACKAGE
    ]


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
