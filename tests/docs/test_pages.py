"""Every sample in README and docs runs, and prints what stands below it."""

import ast
import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing, nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.support import pages
from tests.support.places import environment
from tests.support.repository import ROOT
from tests.support.servers import program

DAMAGING = pytest.param(
    "docs/store.md", marks=pytest.mark.any_log(reason="the page shows how damage is found")
)
SERVED = {"docs/client.md"}
"""Their samples in Python talk to a server."""
WITH_PYTHON = [p for p in pages.pages() if any(b.language == "python" for b in pages.blocks(p))]
WITH_COMMANDS = [p for p in pages.pages() if any(b.language == "console" for b in pages.blocks(p))]


def printed_by(text: str, names: dict[str, Any], where: str) -> str:
    """Runs a sample; gives what it prints."""
    code = compile(text, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, CodeType)
    with redirect_stdout(StringIO()) as printed:
        coroutine = eval(code, names)
        if coroutine is not None:
            asyncio.run(coroutine)
    return printed.getvalue()


@pytest.mark.parametrize(
    "page", [DAMAGING if page in DAMAGING.values else page for page in WITH_PYTHON]
)
def test_the_python_samples_of_a_page_run_in_their_order(
    page: str, place: Path, executors: None
) -> None:
    with program(place) if page in SERVED else nullcontext():
        run_python(page, place)


def run_python(page: str, place: Path) -> None:
    names: dict[str, Any] = {"__name__": "sample"}
    printed = ""
    for block in pages.blocks(page):
        where = f"{page}:{block.line}"
        if block.language == "python":
            printed = printed_by(block.text, names, where)
        elif block.language == "sql":
            assert rows_of(place / "weather.db", block.text), f"{where} finds nothing"
        elif block.language == "text":
            assert pages.is_as_printed(block.text, printed), f"{where}\n{printed}"
            printed = ""
    assert not printed, f"the page does not show what is printed before its end: {printed}"


def rows_of(store: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


SERVER = "localhost:8000"
"""Where pages look for the server; in the tests it listens elsewhere."""


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port: int = listening.getsockname()[1]
        return port


def end_server(record: Path) -> None:
    """What a page has started and not stopped."""
    if record.exists():
        os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_the_commands_of_a_page_print_what_stands_below_them(
    page: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    variables = environment(tmp_path)
    variables["PATH"] = f"{pages.with_shim(tmp_path, sys.executable)}:{variables['PATH']}"
    variables["NO_COLOR"] = "1"
    here = tmp_path / "here"
    here.mkdir()
    (here / "examples").symlink_to(ROOT / "examples")
    ids = pages.Ids()
    port = variables["APFLOW_PORT"] = str(free_port())
    request.addfinalizer(lambda: end_server(tmp_path / "state" / "server.json"))
    for block in pages.blocks(page):
        for command in pages.commands(block) if block.language == "console" else ():
            line = ids.in_place_of_shown(command.line).replace(SERVER, f"localhost:{port}")
            ran = subprocess.run(
                ["bash", "-c", line], cwd=here, env=variables, text=True, timeout=60,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            assert pages.is_as_printed(command.prints, ran.stdout), f"$ {line}\n{ran.stdout}"
            ids.learn(command.prints, ran.stdout)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a", "b", False),
        ("a", "a\nb", False),
        ("a … d", "a b c d", True),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nd", True),
        ("a\n…", "a\nb\nc", True),
        ("a\n…\nd", "a\nb", False),
        ("took 0.12s", "took 3ms", True),
        ("at 2026-01-01T00:00:00.000000Z", "at 2027-11-23T05:48:56.033929Z", True),
        ("1.5 (x)", "1x5 (x)", False),
    ],
)
def test_what_is_printed_is_compared_but_for_what_differs(
    expected: str, actual: str, same: bool
) -> None:
    assert pages.is_as_printed(expected, actual) is same


def test_what_is_shown_as_json_or_toml_is_so() -> None:
    readers = {"json": json.loads, "toml": tomllib.loads}
    shown = [block for page in pages.pages() for block in pages.blocks(page)]
    assert [readers[b.language](b.text) for b in shown if b.language in readers]


def test_each_sample_says_what_it_is() -> None:
    known = {"python", "text", "console", "sh", "json", "toml", "sql"}
    assert {block.language for page in pages.pages() for block in pages.blocks(page)} <= known
