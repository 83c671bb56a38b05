"""What may not be read or written, and streams that lead nowhere: a line that says what to do."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from aipartnerupflow.adapters.journal.faults import from_sqlite
from aipartnerupflow.adapters.journal.sqlite.recorder import database_name
from tests.api.cli.conftest import Apflow
from tests.api.cli.programs import Done
from tests.support.places import environment

BOUND = """
import ctypes
import sys
if sys.platform == "linux":  # as root: modes count from here on
    head, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    libc.capget(head, data)
    for n in range(3):
        data[n] &= ~6
    libc.capset(head, data)
from aipartnerupflow.api.cli.main import main
main()
"""


@pytest.fixture
def here(place: Path) -> Iterator[Path]:
    """The working directory; modes that a test took away come back."""
    yield place
    for path in (place / "priv", place / "state", place / ".apflow", place / ".config"):
        if path.exists():
            path.chmod(0o700)


def bound(place: Path, *args: str) -> Done:
    """Run a command to which modes apply, even for root."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", BOUND, *args],
        cwd=place, env=environment(place), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def redirected(place: Path, line: str) -> Done:
    """Run a line of the shell; ``apflow`` is the command."""
    script = f'apflow() {{ "{sys.executable}" -P -m aipartnerupflow "$@"; }}\n{line}'
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=place, env=environment(place), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def shut(path: Path, mode: int = 0) -> None:
    """A directory with a mode of little use."""
    path.mkdir(exist_ok=True)
    path.chmod(mode)


# -- what may not be reached


@pytest.mark.parametrize("command", ["demo", "list", "doctor"])
@pytest.mark.parametrize(
    ("folder", "store"),
    [("state", ()), (".apflow", ()), ("priv", ("--store", "priv/x.db"))],
)
def test_a_directory_that_is_shut_is_named(
    folder: str, store: tuple[str, ...], command: str, here: Path
) -> None:
    shut(here / folder)
    done = bound(here, command, *store)
    told = done.out + done.err
    assert done.code == 1
    assert "Traceback" not in told
    assert "cannot be reached: Permission denied" in told
    assert folder in told
    assert "name another place with --store" in told


def test_a_settings_folder_that_is_shut_is_named(here: Path) -> None:
    shut(here / ".config")
    done = bound(here, "list")
    assert done.code == 2
    assert "config.toml cannot be looked for: Permission denied" in done.err


@pytest.mark.parametrize("command", ["demo", "list"])
def test_a_name_that_is_too_long_is_told(command: str, apflow: Apflow) -> None:
    done = apflow(command, "--store", "a" * 300)
    assert done.code == 1
    assert "File name too long" in done.err


@pytest.mark.parametrize("command", ["demo", "list"])
def test_a_malformed_url_is_refused_without_its_password(command: str, apflow: Apflow) -> None:
    done = apflow(command, "--store", "postgresql://u:secret@[::1/x")
    assert done.code == 2
    assert "the store's URL is malformed" in done.err
    assert "secret" not in done.err


# -- what may not be written


def test_the_directory_is_named_where_it_is_what_cannot_be_written(here: Path) -> None:
    shut(here / "priv", 0o700)
    assert bound(here, "demo", "--store", "priv/a b.db").code == 0
    shut(here / "priv", 0o555)
    done = bound(here, "demo", "--store", "priv/a b.db")
    assert done.code == 1
    assert f"may not write to the directory {here / 'priv'}" in done.err
    assert str(here / "priv" / "a b.db") in done.err  # a path, no URI


def test_the_doctor_writes_before_it_says_that_it_can(here: Path) -> None:
    shut(here / "priv", 0o700)
    assert bound(here, "demo", "--store", "priv/x.db").code == 0
    (here / "priv" / "x.db").chmod(0o444)
    done = bound(here, "doctor", "--store", "priv/x.db")
    assert done.code == 1
    assert "can be written" not in done.out
    assert "may not read and write the file" in done.out
    assert "chmod 600" in done.out
    assert "hash chains" in done.out  # it goes on with what can be read


@pytest.mark.parametrize(
    "text", ["attempt to write a readonly database", "unable to open database file"]
)
def test_a_file_system_that_is_read_only_is_told(
    text: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    uri = database_name(place / "a b.db")
    told = str(from_sqlite(sqlite3.OperationalError(text), uri))
    assert "its file system is read-only" in told
    assert str(place / "a b.db") in told


def test_a_text_is_told_as_such(apflow: Apflow) -> None:
    Path("notes.txt").write_text("call home\n" * 100)
    done = apflow("doctor", "--store", "notes.txt")
    assert done.code == 1
    assert "notes.txt is not a SQLite database" in done.out
    assert "apflow doctor" not in done.out


def test_a_state_directory_that_is_open_is_noted(here: Path, apflow: Apflow) -> None:
    shut(here / "state", 0o755)
    done = apflow("doctor")
    assert done.code == 0
    assert f"chmod 700 {here / 'state'}" in done.out
    shut(here / "state", 0o700)
    assert "chmod" not in apflow("doctor").out


# -- streams


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("apflow demo >/dev/full", 1, "cannot write to stdout: No space left on device"),
        ("apflow list --json >/dev/full", 1, "cannot write to stdout: No space left on device"),
        ("apflow version >&-", 1, "cannot write to stdout: it is closed"),
        ("apflow demo >&-", 1, "cannot write to stdout: it is closed"),
        ("apflow run - <&-", 2, "stdin is closed"),
        ("apflow list <&- >&- 2>&-", 1, ""),
        ("apflow demo --json 2>&-", 0, ""),
        ("apflow demo --json 2>/dev/full", 0, ""),
        ("apflow get x 2>/dev/full", 3, ""),
    ],
)
def test_streams_that_take_nothing(line: str, code: int, said: str, here: Path) -> None:
    done = redirected(here, line)
    assert done.code == code
    assert "Traceback" not in done.err
    assert said in done.err
