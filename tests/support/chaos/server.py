"""A PostgreSQL server of our own that may be treated badly."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.postgres import (
    PostgresServer,
    find_binaries,
    initialise,
    runnable,
    server_identity,
    url_of,
    wait_until_ready,
)

# Runs as the server's user and reads a pipe. Each line asks for what `pg_ctl -m immediate restart`
# does: no checkpoint, no farewell, then recovery. When the pipe is closed, also by a crash, what
# stands still is woken, the server is stopped by its pid, and its files are removed.
KEEPER = """
begin() {
    "$1/postgres" -D "$2/data" -c listen_addresses= -c unix_socket_directories="$2" \
        -c max_connections=60 >>"$2/log" 2>&1 &
    pid=$!
}
begin "$1" "$2"
while read -r _; do
    kill -QUIT "$pid"
    wait "$pid"
    begin "$1" "$2"
    echo again
done
kill -CONT "$pid" $(cat "/proc/$pid/task/$pid/children") 2>/dev/null
kill -INT "$pid"
wait "$pid"
rm -rf "$2" 2>/dev/null
"""


class RoughServer(PostgresServer):
    """A private server that can be restarted as after a crash, or stopped in its tracks."""

    def __init__(self, home: Path, keeper: "subprocess.Popen[str]") -> None:
        super().__init__({"user": "postgres", "dbname": "postgres", "host": str(home)})
        self._home = home
        self._keeper = keeper

    def restart(self) -> None:
        """As by `pg_ctl -m immediate restart`. Returns when it takes clients again."""
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write("\n")
        self._keeper.stdin.flush()
        self._keeper.stdout.readline()
        wait_until_ready(self.dsn("postgres"), self._home / "log")

    def postmaster(self) -> int:
        """The pid of the server's first process."""
        return int((self._home / "data" / "postmaster.pid").read_text().split()[0])

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """No process of the server moves during the block."""
        first = self.postmaster()
        pids = [first, *_children(first)]
        try:
            for pid in pids:
                _signal(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


@contextmanager
def rough_server() -> Iterator[RoughServer]:
    """A server that is gone after the block, and when this process dies."""
    home = Path(tempfile.mkdtemp(prefix="apflow-chaos-pg-"))
    try:
        identity = server_identity(home)
        binaries = runnable(find_binaries(), home, identity)
        initialise(binaries, home, identity)
        keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "sh", str(binaries), str(home)],
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **identity,
        )
        try:
            wait_until_ready(
                url_of({"user": "postgres", "dbname": "postgres", "host": str(home)}), home / "log"
            )
            yield RoughServer(home, keeper)
        finally:
            keeper.communicate()
    finally:
        shutil.rmtree(home, ignore_errors=True)
