"""Which server is talked to, and what it is shown."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aipartnerupflow import Client
from aipartnerupflow.api.client import Unreachable
from aipartnerupflow.api.client.target import Target, target_of
from aipartnerupflow.api.state import Record, Running
from aipartnerupflow.domain.errors import InvalidInput
from tests.support.places import environment

TOKEN = "t" * 40
HERE = "http://127.0.0.1:8000"


@pytest.fixture
def folder(place: Path) -> Path:
    """A state directory with a token."""
    folder = place / "state"
    folder.mkdir(mode=0o700)
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "token").chmod(0o600)
    return folder


@pytest.fixture
def running(folder: Path) -> Iterator[Path]:
    """A server runs on it."""
    record = Record(folder, Running(HERE, os.getpid(), "s.db"))
    yield folder
    record.end()
    assert not (folder / "server.json").exists()


def test_the_server_of_the_state_directory_is_shown_its_token(running: Path) -> None:
    assert target_of(None, None) == Target(HERE, TOKEN)
    assert target_of(f"{HERE}/", None) == Target(HERE, TOKEN)
    assert target_of(None, "mine") == Target(HERE, "mine")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001", "https://127.0.0.1:8000", "http://localhost:8000", "http://b"]
)
def test_that_token_is_shown_to_no_other_server(url: str, running: Path) -> None:
    assert target_of(url, None) == Target(url, None)


def test_settings_come_before_the_state_directory(
    running: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APFLOW_URL", "http://other:1")
    assert target_of(None, None) == Target("http://other:1", None)
    monkeypatch.setenv("APFLOW_TOKEN", "theirs")
    assert target_of(None, None) == Target("http://other:1", "theirs")
    assert "theirs" not in repr(target_of(None, None))
    assert target_of(HERE, "x") == Target(HERE, "x")


LEFT = """
import os, sys
from pathlib import Path
from aipartnerupflow.api.state import Record, Running
Record(Path(sys.argv[1]), Running(sys.argv[2], int(sys.argv[3]), "s.db"))
"""


def test_a_record_whose_process_is_gone_counts_for_nothing(folder: Path) -> None:
    """Not even where another process has its number."""
    subprocess.run(
        [sys.executable, "-c", LEFT, str(folder), HERE, str(os.getpid())],
        env=environment(folder.parent), check=True,
    )  # fmt: skip
    assert (folder / "server.json").exists()
    with pytest.raises(Unreachable, match="apflow serve"):
        Client()


def test_a_record_that_is_none_counts_for_nothing(running: Path) -> None:
    text = (running / "server.json").read_text()
    (running / "server.json").write_text("{")
    with pytest.raises(Unreachable):
        Client()
    (running / "server.json").write_text(text)


def test_the_record_of_a_later_server_is_left_alone(running: Path) -> None:
    later = Record(running, Running("http://127.0.0.1:8001", os.getpid()))
    assert target_of(None, None).url == "http://127.0.0.1:8001"
    again = Record(running, Running(HERE, os.getpid()))
    later.end()
    assert target_of(None, None).url == HERE
    again.end()


def test_a_token_that_others_may_read_is_not_used(running: Path) -> None:
    (running / "token").chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        Client()


def test_no_token_is_needed_to_find_the_server(running: Path) -> None:
    (running / "token").unlink()
    with Client() as client:
        assert (client.url, repr(client)) == (HERE, f"Client('{HERE}')")
