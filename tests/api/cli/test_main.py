"""The program itself: how soon it answers, what it loads, how it treats terminals and pipes."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.cli.programs import apflow, end_all, start, write_jobs, write_tree
from tests.support.places import environment

HEAVY = ("pydantic", "pydantic_settings", "eventsourcing", "rich", "asyncio", "sqlite3", "msgspec")
OURS = ("adapters", "engine", "projections", "domain", "api.wiring", "api.settings")

LOADED = f"""
import sys
from aipartnerupflow.api.cli.main import run
code = run(sys.argv[1:])
found = [name for name in {HEAVY} if name in sys.modules]
found += [name for name in {OURS} if "aipartnerupflow." + name in sys.modules]
sys.stderr.write(" ".join(found))
"""

WITHOUT = """
import sys
sys.modules["{absent}"] = None
from aipartnerupflow.api.cli.main import main
main()
"""


@pytest.fixture
def here(place: Path) -> Iterator[Path]:
    """The working directory, with the module ``jobs`` in it."""
    write_jobs(place)
    yield place
    end_all()


def python(place: Path, code: str, *args: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=place,
        env=environment(place),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("args", [("--help",), ("run", "--help"), ("resume", "-h")])
def test_help_loads_nothing_that_takes_time(args: tuple[str, ...], place: Path) -> None:
    done = python(place, LOADED, *args)
    assert done.stdout.startswith("Usage: apflow")
    assert done.stderr == ""


@pytest.mark.slow
def test_help_comes_at_once(place: Path) -> None:
    """0.2 s on a machine that does nothing else; the best of several tells that."""
    times = []
    for _ in range(8):
        began = time.perf_counter()
        assert apflow(place, "--help").code == 0
        times.append(time.perf_counter() - began)
    empty = []
    for _ in range(3):
        began = time.perf_counter()
        python(place, "pass")
        empty.append(time.perf_counter() - began)
    assert min(times) < 0.2 + 2 * min(empty)


def test_help_names_every_command_in_a_line(place: Path) -> None:
    lines = apflow(place, "--help").out.partition("Commands:")[2].splitlines()
    commands = dict(line.split(maxsplit=1) for line in lines if line.strip())
    assert set(commands) >= {
        "demo", "run", "resume", "list", "get", "history", "executors", "rebuild", "doctor",
        "version",
    }  # fmt: skip
    assert not [text for text in commands.values() if text.endswith("...")]


@pytest.mark.parametrize("absent", ["typer", "rich"])
def test_without_the_extra_the_script_says_what_to_install(absent: str, place: Path) -> None:
    args = ("--help",) if absent == "typer" else ("demo",)
    done = python(place, WITHOUT.format(absent=absent), *args)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'aipartnerupflow[cli]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_reader_that_leaves_early_ends_it_quietly(here: Path) -> None:
    tasks = [{"id": "top", "name": "folder"}]
    tasks += [{"id": f"t{n}", "name": "give", "parent_id": "top"} for n in range(3000)]
    file = write_tree(here, tasks)
    assert apflow(here, "run", file, "--import", "jobs", "--store", "s.db").code == 0
    for command in ("history", "get"):
        process = start(here, command, "top", "--store", "s.db", "--json")
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(50)
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(30) == 0


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_listens_to_its_talk(here: Path) -> None:
    tasks = [{"id": "top", "name": "folder"}]
    tasks += [{"id": f"t{n}", "name": "give", "parent_id": "top"} for n in range(3000)]
    process = start(here, "run", write_tree(here, tasks), "--import", "jobs")
    assert process.stderr is not None
    process.stderr.close()
    assert process.stdout is not None
    assert process.stdout.read().startswith("completed")
    assert process.wait(30) == 0


def on_a_terminal(place: Path, *args: str, **variables: str) -> str:
    """What ``apflow`` writes on a terminal of 80 x 24."""
    master, slave = pty.openpty()
    env = environment(place) | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"} | variables
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "aipartnerupflow", *args],
        cwd=place, env=env, stdin=slave, stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    written = bytearray()
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(master)
    assert process.wait(30) == 0
    return written.decode()


@pytest.mark.slow
def test_a_terminal_shows_the_tree_while_it_runs(here: Path) -> None:
    tasks = [
        {"key": "top", "name": "folder"},
        {"key": "inner", "name": "append", "parent_id": "top", "inputs": {"seconds": 0.5}},
    ]
    seen = on_a_terminal(here, "run", write_tree(here, tasks), "--import", "jobs")
    assert "inner" in seen
    assert "\x1b[2K" in seen
    assert "2/2  completed" in seen
    assert "\x1b[?25h" in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")


@pytest.mark.slow
def test_a_big_tree_neither_floods_the_terminal_nor_slows_the_run(here: Path) -> None:
    tasks = [{"id": "top", "name": "folder"}]
    tasks += [{"id": f"t{n}", "name": "give", "parent_id": "top"} for n in range(10_000)]
    seen = on_a_terminal(here, "run", write_tree(here, tasks), "--import", "jobs")
    assert "10001/10001" in seen
    assert len(seen) < 200_000


@pytest.mark.slow
def test_colour_is_left_out_where_it_is_not_wanted(here: Path) -> None:
    assert "\x1b" not in on_a_terminal(here, "demo", TERM="dumb")
    assert "\x1b[32m" in on_a_terminal(here, "list")
    assert "\x1b[" not in on_a_terminal(here, "list", NO_COLOR="1")


@pytest.mark.slow
def test_json_on_a_terminal_is_one_document(here: Path) -> None:
    assert json.loads(on_a_terminal(here, "demo", "--json"))["status"] == "completed"
