"""Which server is talked to, and what it is shown."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aipartnerupflow import Client
from aipartnerupflow.api.client import Unreachable
from aipartnerupflow.api.client.target import Target, target_of
from aipartnerupflow.domain.errors import InvalidInput

TOKEN = "t" * 40
HERE = "http://127.0.0.1:8000"


def record(place: Path, url: str = HERE, pid: int | None = None) -> Path:
    """A state directory on which a server runs; returns the file of its token."""
    folder = place / "state"
    folder.mkdir(mode=0o700, exist_ok=True)
    known = {"url": url, "pid": os.getpid() if pid is None else pid, "store": "s.db"}
    (folder / "server.json").write_text(json.dumps(known))
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    return token


def test_the_server_of_the_state_directory_is_shown_its_token(place: Path) -> None:
    record(place)
    assert target_of(None, None) == Target(HERE, TOKEN)
    assert target_of(f"{HERE}/", None) == Target(HERE, TOKEN)
    assert target_of(None, "mine") == Target(HERE, "mine")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001", "https://127.0.0.1:8000", "http://localhost:8000", "http://b"]
)
def test_that_token_is_shown_to_no_other_server(url: str, place: Path) -> None:
    record(place)
    assert target_of(url, None) == Target(url, None)


def test_settings_come_before_the_state_directory(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(place)
    monkeypatch.setenv("APFLOW_URL", "http://other:1")
    assert target_of(None, None) == Target("http://other:1", None)
    monkeypatch.setenv("APFLOW_TOKEN", "theirs")
    assert target_of(None, None) == Target("http://other:1", "theirs")
    assert "theirs" not in repr(target_of(None, None))
    assert target_of(HERE, "x") == Target(HERE, "x")


def test_a_record_whose_process_is_gone_counts_for_nothing(place: Path) -> None:
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                             capture_output=True, text=True, check=True)  # fmt: skip
    record(place, pid=int(process.stdout))
    with pytest.raises(Unreachable, match="apflow serve"):
        Client()
    record(place, pid=0)
    with pytest.raises(Unreachable):
        Client()


def test_a_record_that_is_none_counts_for_nothing(place: Path) -> None:
    record(place)
    (place / "state" / "server.json").write_text("{")
    with pytest.raises(Unreachable):
        Client()


def test_a_token_that_others_may_read_is_not_used(place: Path) -> None:
    record(place).chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        Client()


def test_no_token_is_needed_to_find_the_server(place: Path) -> None:
    record(place).unlink()
    with Client() as client:
        assert (client.url, repr(client)) == (HERE, f"Client('{HERE}')")
