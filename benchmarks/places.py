"""Where stores are made: a fresh database for every run, all on one disk."""

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

try:
    import psycopg

    from tests.support import postgres as support
except ModuleNotFoundError as error:
    if error.name != "psycopg":
        raise
    psycopg = None  # type: ignore[assignment]

STORES = ("sqlite", "postgres")
POSTGRES_TEMP = 70
"""Characters that a directory may have: the path of a socket in it holds at most 107."""


class Unavailable(Exception):
    """No store of this kind can be had here."""


class Place(ABC):
    """One kind of store and the directory of its data."""

    store: str
    version = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def database(self) -> AbstractContextManager[str]:
        """The URL of a new, empty database that goes with the block."""


class SQLitePlace(Place):
    """A directory, and in it one more for each database."""

    store = "sqlite"

    @contextmanager
    def database(self) -> Iterator[str]:
        """See `Place.database`."""
        with TemporaryDirectory(prefix="run-", dir=self.directory) as folder:
            yield f"sqlite:///{folder}/store.db"


class PostgresPlace(Place):
    """A server, and on it one database at a time."""

    store = "postgres"

    def __init__(self, directory: Path, server: "support.PostgresServer") -> None:
        super().__init__(directory)
        self._server = server
        with psycopg.connect(server.create_database()) as connection:
            self.version = connection.info.parameter_status("server_version") or ""
        server.drop_databases()

    @contextmanager
    def database(self) -> Iterator[str]:
        """See `Place.database`."""
        try:
            yield self._server.create_database()
        finally:
            self._server.drop_databases()


@contextmanager
def opened(store: str, directory: Path) -> Iterator[Place]:
    """The place of a store. A private PostgreSQL server has its data below ``directory``.

    Raises `Unavailable`.
    """
    if store == "sqlite":
        yield SQLitePlace(directory)
        return
    if psycopg is None:
        raise Unavailable("psycopg is missing: pip install 'aipartnerupflow[postgres]'")
    with ExitStack() as stack:
        stack.enter_context(_temporary_files_in(directory))
        try:
            server = stack.enter_context(support.postgres_server())
        except support.PostgresUnavailable as error:
            raise Unavailable(str(error)) from error
        yield PostgresPlace(directory, server)


@contextmanager
def _temporary_files_in(directory: Path) -> Iterator[None]:
    if len(os.fsencode(directory)) > POSTGRES_TEMP and "APFLOW_TEST_DSN" not in os.environ:
        raise Unavailable(f"the path {directory} is too long for a socket; see --dir")
    before, tempfile.tempdir = tempfile.tempdir, str(directory)
    try:
        yield
    finally:
        tempfile.tempdir = before
