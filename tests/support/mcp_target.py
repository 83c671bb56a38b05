"""MCP servers for tests: `mcp_server`, started as a program."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PROGRAM: Final = str(Path(__file__).with_name("mcp_server.py"))
QUICK: Final = str(Path(__file__).with_name("mcp_quick.py"))
SECONDS: Final = 20.0


def command(folder: Path) -> list[str]:
    """How the server is started over its standard streams."""
    return [sys.executable, PROGRAM, "stdio", str(folder)]


def quick(folder: Path) -> list[str]:
    """One that starts at once, and can only `hang`."""
    return [sys.executable, QUICK, str(folder)]


@contextmanager
def http_server(folder: Path) -> Iterator[str]:
    """The URL of one on 127.0.0.1, as long as the block."""
    with (folder / "mcp.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, PROGRAM, "http", str(folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            until = time.monotonic() + SECONDS
            while not (folder / "port").exists():
                assert process.poll() is None, (folder / "mcp.log").read_text()
                assert time.monotonic() < until, "it does not listen"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{(folder / 'port').read_text()}/mcp"
        finally:
            process.kill()
            process.wait()


def begun(folder: Path) -> list[str]:
    """The calls of `hang` so far: process, hyphen, number."""
    return [path.name.removeprefix("begun-") for path in folder.glob("begun-*")]


def running(folder: Path) -> int:
    """How many of them have not ended, and neither has their process."""
    return sum(
        not (folder / f"ended-{call}").exists() and _lives(int(call.partition("-")[0]))
        for call in begun(folder)
    )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
