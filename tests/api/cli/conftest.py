"""The command line in this process, for all that needs no process of its own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aipartnerupflow.adapters.executors import default_registry
from aipartnerupflow.api import wiring
from aipartnerupflow.api.cli.main import run
from tests.api.cli.programs import Done, write_jobs
from tests.support.places import place

__all__ = ["place"]

Apflow = Callable[..., Done]


@pytest.fixture
def jobs(place: Path) -> Path:
    """The working directory, with the module ``jobs`` in it."""
    write_jobs(place)
    return place


@pytest.fixture
def apflow(
    jobs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Apflow]:
    """Run a command here; returns what it left. What it imported and opened is forgotten."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(default_registry, "_entries", dict(default_registry._entries))
    monkeypatch.setattr(wiring, "_imported", [])

    def perform(*args: str) -> Done:
        capsys.readouterr()
        code = run(args)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    yield perform
    for store in list(wiring._open.values()):
        store.close()
    sys.modules.pop("jobs", None)
