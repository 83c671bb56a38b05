"""Every log that a test writes is checked when the test is over, whatever the test itself looks at.

The journals' recorders and the fakes are noticed as they are made and each time they store
something; besides, whatever store lies in the test's own directory, for programs that the test has
started. Each is then read anew from its first event on: the grammar, the places under concurrency
keys, the hash chains, and the rows against the log, by a rebuild and by a fold.

A test that writes logs which cannot be, or damages its store, says so and why:
``@pytest.mark.any_log(reason="…")``.
"""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

import psycopg
import pytest

from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder
from aipartnerupflow.adapters.journal.sqlite.recorder import SQLiteRecorder
from aipartnerupflow.domain.errors import StoreCorrupt, StoreError
from aipartnerupflow.domain.events import Recorded
from aipartnerupflow.domain.evolve import fold
from aipartnerupflow.domain.tree import Tree
from aipartnerupflow.projections.rebuild import compare
from aipartnerupflow.projections.views import ReadModel
from aipartnerupflow.testing.fakes import FakeJournal
from aipartnerupflow.testing.grammar import check_log
from aipartnerupflow.testing.slots import slot_faults
from tests.support.opened import Open, Opened, Source, file_of, reopening, sqlite_file

LARGE = 20_000
"""Logs of more events are checked without their rows and hashes."""
MANY = 100
"""So many stores of one test wait for its end; more are checked while it goes on."""
SHOWN = 20

RECORDERS = (MemoryRecorder, SQLiteRecorder, PostgresRecorder)


class Watch:
    """The stores of the test that runs, and how much was checked in all tests so far."""

    def __init__(self) -> None:
        self.home = Path("/nowhere")
        """Where files last longer than their tests."""
        self.logs = self.events = self.unread = 0
        self._stores: dict[object, Open] = {}
        self._found: list[str] = []
        self._blind = False

    def begin(self, *, blind: bool) -> None:
        """Forget what the former test left; ``blind``: nothing of this one is checked."""
        self._stores.clear()
        self._found.clear()
        self._blind = blind

    def notice(self, source: Source) -> None:
        """Something is, or may have been, stored here."""
        if self._blind:
            return
        place, open_again = reopening(source)
        self._stores[place] = open_again
        if len(self._stores) > MANY:
            self._check(next(iter(self._stores)))

    def leave(self, recorder: SQLiteRecorder) -> None:
        """It is about to be closed, and its file may be gone after that."""
        place = file_of(recorder)
        if not self._blind and place in self._stores and not place.is_relative_to(self.home):
            self._check(place)

    def end(self, folder: Path | None) -> list[str]:
        """Whatever is wrong with the logs of the test; ``folder`` is its directory."""
        for path in () if folder is None else folder.rglob("*.db"):
            self._stores.setdefault(path.resolve(), partial(sqlite_file, path))
        for place in list(self._stores):
            self._check(place)
        return self._found

    def _check(self, place: object) -> None:
        open_again = self._stores.pop(place)
        self._blind = True  # to what we open ourselves
        try:
            with open_again() as opened:
                self.logs += bool(opened.log)
                self.events += len(opened.log)
                self._found.extend(_faults(opened))
        except StoreCorrupt as error:
            self._found.append(str(error))
        except (StoreError, sqlite3.Error, psycopg.Error, OSError):
            self.unread += 1  # its server is gone, or the test has made it so
        finally:
            self._blind = False


def _faults(opened: Opened) -> list[str]:
    found = [*check_log(opened.log), *slot_faults(opened.log)]
    if found or len(opened.log) > LARGE or opened.journal is None:
        return found
    streams: dict[str, list[Recorded]] = {}
    for recorded in opened.log:
        streams.setdefault(recorded.tree, []).append(recorded)
    for tree, stream in streams.items():
        if (broken := opened.journal.verify(tree)) is not None:
            found.append(f"{tree} v{broken[0]}: {broken[1]}")
        assert opened.reads is not None
        found.extend(_otherwise(fold(tree, (r.event for r in stream)), opened.reads))
    if opened.rows is not None:
        found.extend(map(str, compare(opened.rows)[1]))
    return found


def _otherwise(tree: Tree, reads: ReadModel) -> Iterator[str]:
    """Where the rows of a tree tell something else than its state."""
    row = reads.tree(tree.id)
    if row is None:
        yield f"{tree.id}: has no row"
        return
    state = (tree.version, tree.engine, tree.epoch, tree.paused)
    if (row.version, row.engine, row.epoch, row.paused) != state:
        yield f"{tree.id}: the row is {row}, the state {state}"
    if (row.status if row.phase == "settled" else "") != tree.settled:
        yield f"{tree.id}: the row is {row.phase} and {row.status}, the state {tree.settled!r}"
    if tree.adopted_into:
        return
    rows = {t.id: (t.status, t.attempt, t.generation) for t in reads.tasks(tree.id, results=False)}
    states = {t.spec.id: (t.status, t.attempt, t.generation) for t in tree.live()}
    for id in rows.keys() | states.keys():
        if rows.get(id) != states.get(id):
            yield f"{tree.id}: the row of {id} is {rows.get(id)}, the state {states.get(id)}"


# -- pytest

WATCH = Watch()


@pytest.fixture(scope="session", autouse=True)
def stores_are_noticed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each recorder tells when it was made and when it stored something."""
    WATCH.home = tmp_path_factory.getbasetemp().resolve()
    with pytest.MonkeyPatch.context() as patch:
        for kind in RECORDERS:
            for name in ("__init__", "record"):
                patch.setattr(kind, name, _telling(getattr(kind, name), after=WATCH.notice))
        patch.setattr(FakeJournal, "append", _telling(FakeJournal.append, after=WATCH.notice))
        patch.setattr(SQLiteRecorder, "close", _telling(SQLiteRecorder.close, before=WATCH.leave))
        yield


def _telling(
    method: Callable[..., Any],
    *,
    before: Callable[[Any], None] | None = None,
    after: Callable[[Any], None] | None = None,
) -> Callable[..., Any]:
    @wraps(method)
    def telling(self: Any, *args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before(self)
        result = method(self, *args, **kwargs)
        if after is not None:
            after(self)
        return result

    return telling


@pytest.fixture(autouse=True)
def every_log_is_checked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing that a test wrote breaks a promise, unless it is marked ``any_log``."""
    marker = request.node.get_closest_marker("any_log")
    if marker is not None and not marker.kwargs.get("reason"):
        raise pytest.UsageError("say why its logs are not checked: any_log(reason=…)")
    WATCH.begin(blind=marker is not None)
    yield
    arguments = getattr(request.node, "funcargs", None) or {}
    if marker is None and (found := WATCH.end(arguments.get("tmp_path"))):
        told = "\n".join(found[:SHOWN])
        pytest.fail(f"the log breaks promises (if it is to: mark any_log):\n{told}", pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker under xdist tells how much it has checked."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["checked"] = (WATCH.logs, WATCH.events, WATCH.unread)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What a worker has checked counts for the run."""
    logs, events, unread = getattr(node, "workeroutput", {}).get("checked", (0, 0, 0))
    WATCH.logs += logs
    WATCH.events += events
    WATCH.unread += unread


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much was checked, so that a hook that came loose is seen."""
    terminalreporter.write_line(
        f"{WATCH.logs} logs checked, {WATCH.events} events in all; "
        f"{WATCH.unread} stores could not be read any more"
    )
