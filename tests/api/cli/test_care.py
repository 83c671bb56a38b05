"""`apflow doctor` and `apflow rebuild`: what they find, what they mend."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aipartnerupflow.adapters.executors import default_registry, plugins
from aipartnerupflow.adapters.journal.sqlite.care import SQLiteCare
from aipartnerupflow.api import wiring
from tests.api.cli.conftest import Apflow
from tests.api.cli.programs import write_tree

STORE = ("--store", "s.db")


@pytest.fixture
def ran(jobs: Path, apflow: Apflow) -> Apflow:
    """The command, with two settled trees in the store ``s.db``: ``a`` and ``b``."""
    for id in ("a", "b"):
        tree = write_tree(jobs, [{"id": id, "name": "give", "inputs": {"give": 7}}])
        assert apflow("run", tree, "--import", "jobs", *STORE).code == 0
    return apflow


def spoil(statement: str, *values: Any) -> None:
    """Change the store behind everybody's back."""
    for store in list(wiring._open.values()):
        store.close()
    with closing(sqlite3.connect("s.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


def problems(apflow: Apflow, *args: str) -> Iterator[tuple[str, str]]:
    """What the doctor finds, and its advice; it ends with 1 where that is anything."""
    done = apflow("doctor", "--json", *(args or STORE))
    lines = done.document["items"]
    found = [(line["detail"], line["advice"]) for line in lines if line["state"] == "problem"]
    assert done.code == bool(found)
    yield from found


# -- doctor


@pytest.mark.parametrize("full", [(), ("--full",)])
def test_a_sound_store_has_no_problems(full: tuple[str, ...], ran: Apflow) -> None:
    done = ran("doctor", *STORE, *full)
    assert done.code == 0
    assert done.err == "no problems\n"
    assert all(line.startswith("ok") for line in done.out.splitlines())
    for said in ("can be written", "free", "synchronous 2", "hash chains", "no tree was interr"):
        assert said in done.out


@pytest.mark.any_log(reason="damages the store")
def test_a_changed_event_is_found_with_its_version(ran: Apflow) -> None:
    spoil(
        "UPDATE stored_events SET state = CAST(replace(CAST(state AS TEXT), '7', '8') AS BLOB) "
        "WHERE originator_id = 'a' AND topic = 'task.completed'"
    )
    ((detail, advice),) = problems(ran)
    assert detail == "tree a: version 5: the body is not the one that was written"
    assert "backup" in advice


@pytest.mark.any_log(reason="damages the store")
def test_a_status_row_that_the_log_does_not_say_is_found(ran: Apflow) -> None:
    spoil("UPDATE task_state SET status = 'failed' WHERE num >> 20 = 1")
    ((detail, advice),) = problems(ran)
    assert detail == "task a: failed, in the log completed"
    assert "apflow rebuild" in advice
    assert len(list(problems(ran, *STORE, "--full"))) == 1


@pytest.mark.any_log(reason="damages the store")
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM task WHERE id = 'a'", "task a: not there"),
        ("UPDATE tree SET version = 3 WHERE id = 'a'", "tree a: version 3, in the log 6"),
        ("UPDATE tree SET phase = 'submitted' WHERE id = 'a'", "in the log settled completed"),
    ],
)
def test_other_rows_that_are_wrong_are_found_too(statement: str, said: str, ran: Apflow) -> None:
    spoil(statement)
    assert any(said in detail for detail, _ in problems(ran))


def test_a_file_that_is_no_store_is_a_problem_and_no_traceback(apflow: Apflow) -> None:
    Path("s.db").write_bytes(b"this is not a database" * 100)
    ((detail, _),) = problems(apflow)
    assert "is not a SQLite database" in detail
    done = apflow("list", *STORE)
    assert (done.code, done.out) == (1, "")


def test_little_space_is_a_problem(ran: Apflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    ((detail, advice),) = problems(ran)
    assert detail == "5 MiB free beside it"
    assert "full disk" in advice


def test_damage_that_the_database_finds_is_a_problem(
    ran: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteCare, "damage", lambda *_, full: ["row 7 missing from index"])
    ((detail, _),) = problems(ran)
    assert detail == "row 7 missing from index"


def test_a_file_that_others_may_read_is_noted(ran: Apflow) -> None:
    Path("s.db").chmod(0o644)
    done = ran("doctor", *STORE)
    assert done.code == 0
    assert "note" in done.out
    assert "chmod 600" in done.out


def test_an_executor_that_cannot_be_loaded_is_told_with_its_reason(
    apflow: Apflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint("shaky", "no_such_package.jobs:Shaky", plugins.GROUP)
    monkeypatch.setattr(plugins, "find", lambda: [broken])
    monkeypatch.setattr(default_registry, "_plugins", None)
    ((detail, _),) = problems(apflow, "--store", "memory://doctor")
    assert "shaky cannot be loaded: ModuleNotFoundError" in detail
    items = apflow("executors", "--json").document["items"]
    assert [info["usable"] for info in items if info["id"] == "shaky"] in ([False], [])


# -- rebuild


def test_rebuild_says_what_was_otherwise_and_mends_it(ran: Apflow) -> None:
    spoil("UPDATE task_state SET status = 'failed', attempt = 9 WHERE num >> 20 = 2")
    before = ran("get", "a", *STORE, "--json").out
    assert ran("get", "b", *STORE, "--json").document["tasks"][0]["attempt"] == 9
    checked = ran("rebuild", *STORE, "--check")
    assert checked.code == 1
    assert "status" in checked.out
    assert ran("rebuild", *STORE, "--check").code == 1

    done = ran("rebuild", *STORE)
    assert done.code == 0
    assert "compared the rows of trees and tasks with 12 events: 1 differ" in done.err
    assert "rows made again from 12 events" in done.err
    assert ran("rebuild", *STORE, "--check").code == 0
    assert ran("get", "b", *STORE, "--json").document["tasks"][0]["attempt"] == 1
    assert ran("get", "a", *STORE, "--json").out == before


def test_rebuild_is_a_document_too(ran: Apflow) -> None:
    document = ran("rebuild", *STORE, "--json").document
    assert document == {"events": 12, "differences": [], "rebuilt": True}
    assert ran("rebuild", *STORE, "--check", "--json").document["rebuilt"] is False


def test_every_command_works_on_postgresql(postgres_dsn: str, apflow: Apflow) -> None:
    store = ("--store", postgres_dsn)
    done = apflow("demo", *store, "--json")
    assert (done.code, done.err) == (0, "")
    id = done.document["id"]
    assert apflow("get", id[:8], *store, "--json").document == done.document
    assert apflow("list", *store, "--json").document["items"][0]["id"] == id
    assert apflow("history", id, *store).out.count("task.completed") == 4
    for check in (("doctor", "--full"), ("rebuild", "--check"), ("rebuild",), ("resume",)):
        assert apflow(*check, *store).code == 0, check
