"""A place of its own for each test of the faces: settings, store and registry of nobody else."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aipartnerupflow import TaskManager, clear_config, create_session
from aipartnerupflow.adapters.executors import default_registry
from aipartnerupflow.api import wiring
from aipartnerupflow.api.library.sessions import Session
from aipartnerupflow.domain.events import TaskStarted


def environment(folder: Path) -> dict[str, str]:
    """For programs that a test starts: this one's, with state and home in ``folder``."""
    kept = {name: value for name, value in os.environ.items() if not _is_a_setting(name)}
    paths = [os.path.abspath(path) for path in kept.get("PYTHONPATH", "").split(":") if path]
    kept["PYTHONPATH"] = ":".join(paths)
    return kept | {"HOME": str(folder), "APFLOW_STATE_DIR": str(folder / "state")}


def _is_a_setting(name: str) -> bool:
    return name.startswith(("APFLOW_", "AIPARTNERUPFLOW_")) or name == "DATABASE_URL"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; the state directory lies in it and is made on first use.

    Stores that the test left open are closed.
    """
    for name in filter(_is_a_setting, list(os.environ)):
        monkeypatch.delenv(name)
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for store in list(wiring._open.values()):
        store.close()


@pytest.fixture
def executors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the test registers is forgotten afterwards, hooks too."""
    monkeypatch.setattr(default_registry, "_entries", dict(default_registry._entries))
    yield
    clear_config()


@pytest.fixture
def db(place: Path, executors: None) -> Iterator[Session]:
    """A session on a new store."""
    session = create_session(str(place / "test.db"))
    yield session
    session.store.close()


@pytest.fixture
def manager(db: Session) -> TaskManager:
    """A manager of that session."""
    return TaskManager(db)


async def until(condition: Callable[[], Any]) -> None:
    """Returns once the condition holds, which must be within ten seconds."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it has not come to pass")


def topics(db: Session, tree: str) -> list[str]:
    """What happened in a tree, in order."""
    return [recorded.event.topic for recorded in db.store.journal.read(tree)]


def started(db: Session, tree: str) -> list[str]:
    """The names of the tasks whose executors were called, in order."""
    names = {task.id: task.name for task in db.store.reads.tasks(tree)}
    return [
        names[recorded.event.task]
        for recorded in db.store.journal.read(tree)
        if isinstance(recorded.event, TaskStarted) and recorded.event.called
    ]
