"""The composition root: the one place that names adapters and puts a store together."""

import atexit
import importlib
import os
import re
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...adapters.backends.composite import Composite
from ...adapters.backends.inline import Inline
from ...adapters.backends.process import Processes
from ...adapters.clock import SystemClock
from ...adapters.executors.inventory import ExecutorInfo as ExecutorInfo
from ...adapters.executors.inventory import describe
from ...adapters.executors.inventory import inventory as all_executors
from ...adapters.executors.invoke import invoke
from ...adapters.executors.registration import default_registry, get_task_tree_hooks
from ...adapters.executors.shared import Shared
from ...adapters.feed import Feed, FileFeed, ServerFeed
from ...adapters.journal.care import Care as Care
from ...adapters.journal.journal import EventJournal
from ...adapters.journal.sqlite.files import store_exists as store_exists
from ...adapters.liveness import FileLiveness, LocalLiveness, Neighbours, ProcessLiveness
from ...domain.errors import InvalidInput, StoreReadOnly, StoreUnavailable
from ...engine.commit import Committer
from ...engine.engine import Engine
from ...engine.mail import Mailroom
from ...engine.ports import Inbox, Liveness
from ...engine.takeover import beat
from ...projections.views import AttemptView
from ..stores import Store

_open: dict[str, Store] = {}
_lock = threading.Lock()
_imported: list[str] = []
"""Modules that the user named to be imported: worker processes import them too."""

tree_hooks = get_task_tree_hooks
module_of = default_registry.module_of


def configure(settings: Mapping[str, Any]) -> None:
    """Tell the built-in executors what their operator allows."""
    default_registry.configure(settings)


def load_modules(names: Iterable[str]) -> None:
    """Import the modules that register executors. Raises `InvalidInput` naming what went wrong."""
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise InvalidInput(_no_import(name, error)) from error
        if name not in _imported:
            _imported.append(name)


def _no_import(name: str, error: BaseException) -> str:
    sought = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if sought and f"{name}.".startswith(f"{sought}."):
        return (
            f"cannot import {name!r}: there is no module {sought!r} among what is installed, "
            "nor in the working directory"
        )
    return f"cannot import {name!r}: {type(error).__name__}: {error}"


def inventory() -> list[ExecutorInfo]:
    """All executors of this process, those that cannot be loaded among them."""
    return all_executors(default_registry)


def describe_executor(id: str) -> ExecutorInfo:
    """One executor with its schema. Raises `NotFound`."""
    return describe(default_registry, id)


def care_of(store: Store) -> Care:
    """What looking after the store needs."""
    journal = store.journal
    assert isinstance(journal, EventJournal)
    kind: type[Care] = Care
    if (scheme := _scheme(store.url)) == "sqlite":
        kind = _adapter("sqlite.care").SQLiteCare
    elif scheme == "postgresql":
        kind = _adapter("postgres.care").PostgresCare
    return kind(journal)


def timeline(store: Store, tree: str) -> Sequence[AttemptView]:
    """Every attempt of a tree's tasks, from the batched projection, brought up to date first.

    On a store that cannot be written, what it holds already.
    """
    runner = care_of(store).timeline()
    if runner is not None:
        with suppress(StoreReadOnly):
            runner.catch_up()
    return store.reads.attempts(tree)


def owners_alive(store: Store, engines: Iterable[str]) -> dict[str, bool | None]:
    """Which of these engines live; None where that cannot be told from here."""
    scheme, journal = _scheme(store.url), care_of(store).journal
    if scheme == "postgresql":
        neighbours = Neighbours(_leases(journal))
        return {engine: neighbours.alive(engine) for engine in engines}
    liveness = _liveness(scheme, _key(store.url), journal)
    try:
        return {engine: liveness.alive(engine) for engine in engines}
    finally:
        liveness.leave()


def new_id() -> str:
    """A random id (UUIDv4)."""
    return str(uuid.uuid4())


def open_store(url: str, *, durability: str = "power", writer: str = "auto") -> Store:
    """The process's one handle on the store at ``url``, opened if need be.

    ``sqlite:///relative.db``, ``sqlite:////absolute.db``, a plain path, ``postgresql://…`` or
    ``memory://name``. The file is made, its directory is not. Raises `StoreError`.
    """
    key = _key(url)
    with _lock:
        store = _open.get(key)
        if store is None:
            store = _open[key] = _build(url, key, durability, writer)
        return store


def sqlite_path(url: str) -> Path:
    """The file that a SQLite URL (a driver in it does not count) or a plain path names."""
    url = re.sub(r"^sqlite\+\w+:", "sqlite:", url)
    if not url.startswith("sqlite:"):
        return Path(url)
    if not url.startswith("sqlite:///") or len(url) == len("sqlite:///"):
        raise InvalidInput(
            f"{url!r} names no file. Write sqlite:///relative/path.db or sqlite:////absolute/path.db"
        )
    return Path(url.removeprefix("sqlite:///"))


def _scheme(url: str) -> str:
    try:
        scheme = urlsplit(url).scheme if "://" in url or url.startswith("sqlite:") else "sqlite"
    except ValueError:  # its text may hold the password
        raise InvalidInput(
            "the store's URL is malformed. Write postgresql://user@host:port/database; an IPv6 "
            "address stands in brackets, and special characters of a password as %XX"
        ) from None
    scheme = scheme.partition("+")[0]
    if scheme == "postgres":
        scheme = "postgresql"
    if scheme.startswith("duckdb"):
        raise InvalidInput(
            "DuckDB stores are not supported. Use sqlite:///path.db (embedded) or postgresql://…"
        )
    if scheme not in ("sqlite", "postgresql", "memory"):
        raise InvalidInput(
            f"unknown kind of store {scheme!r}. Use sqlite:///path.db or postgresql://…"
        )
    return scheme


def _key(url: str) -> str:
    return os.path.realpath(sqlite_path(url)) if _scheme(url) == "sqlite" else url


def _build(url: str, key: str, durability: str, writer: str) -> Store:
    scheme = _scheme(url)
    if scheme == "sqlite":
        journal, reads = _adapter("sqlite.opening").open_sqlite(Path(key), durability)
    elif scheme == "postgresql":
        journal, reads = _adapter("postgres.recorder").open_postgres(url, durability=durability)
    else:
        journal, reads = _adapter("memory.recorder").open_memory()
    feed = _feed(scheme, journal)
    clock = SystemClock()
    committer = Committer(journal, feed.wake, mode=writer, free=journal.is_free)
    inbox = _inbox(scheme, journal)

    def make_liveness() -> Liveness:
        return _liveness(scheme, key, journal)

    def make_engine(store: Store) -> Engine:
        return _make_engine(store, journal, make_liveness(), clock)

    def forget(store: Store) -> None:
        with _lock:
            if _open.get(key) is store:
                del _open[key]
        feed.close()

    return Store(
        url=url,
        journal=journal,
        reads=reads,
        feed=feed,
        committer=committer,
        executors=default_registry,
        inbox=inbox,
        make_liveness=make_liveness,
        clock=clock,
        new_id=new_id,
        make_engine=make_engine,
        on_close=forget,
    )


def _feed(scheme: str, journal: EventJournal) -> Feed:
    recorder: Any = journal.recorder
    if scheme == "sqlite":
        return FileFeed(journal, recorder.data_version)
    if scheme == "postgresql":
        listener = _adapter("postgres.listener").PostgresListener
        return ServerFeed(journal, partial(listener, recorder.store))
    return Feed(journal)


def _liveness(scheme: str, key: str, journal: EventJournal) -> Liveness:
    if scheme == "sqlite":
        return FileLiveness(Path(key))
    if scheme == "postgresql":
        return ProcessLiveness(_leases(journal), default_registry.ids())
    return LocalLiveness()


def _inbox(scheme: str, journal: EventJournal) -> Inbox | None:
    """None where no other process can open the store."""
    found: Inbox | None = None
    if scheme == "sqlite":
        found = _adapter("sqlite.inbox").SQLiteInbox(journal.recorder)
    elif scheme == "postgresql":
        found = _adapter("postgres.inbox").PostgresInbox(journal.recorder)
    return found


def _leases(journal: EventJournal) -> Any:
    return _adapter("postgres.leases").PostgresLeases(journal.recorder)


def _adapter(name: str) -> Any:
    """A journal adapter whose libraries are only loaded where it is used."""
    try:
        return importlib.import_module(f"...adapters.journal.{name}", __package__)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("psycopg"):
            raise StoreUnavailable(
                "PostgreSQL stores need psycopg: pip install 'aipartnerupflow[postgres]'"
            ) from error
        raise


def _make_engine(
    store: Store, journal: EventJournal, liveness: Liveness, clock: SystemClock
) -> Engine:
    kind = default_registry.kind
    shared = Shared()
    inline = Inline(partial(invoke, default_registry, shared=shared))
    backend = Composite(kind, inline, Processes(kind, imports=_imported), closing=shared.close)
    engine = Engine(
        journal=journal,
        committer=store.committer,
        liveness=liveness,
        executors=store.executors,
        backend=backend,
        clock=clock,
    )
    if store.inbox is not None:
        engine.serve(Mailroom(engine, store.inbox, store.feed).serve())
    if liveness.beat_every is not None:
        engine.serve(beat(engine))
    return engine


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _open.clear()


def _close_all() -> None:
    for store in list(_open.values()):
        store.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_close_all)
