"""SSH servers on this machine that run real commands: OpenSSH's, else one in this process."""

import asyncio
import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncssh
import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
USER = getpass.getuser()
PASSWORD = "password-5b1e"


class SshTarget:
    """A server on 127.0.0.1, with keys of its own. ``home`` is where its commands find themselves.

    ``connections`` counts those that were opened, ``refuse`` how many of the next ones are cut.
    """

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self.home = folder / "home"
        self.key_file = folder / "user_key"
        self.known_hosts = folder / "known_hosts"
        self.host_key_file = folder / "host_key"
        self.home.mkdir(parents=True)
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        user_key = asyncssh.generate_private_key("ssh-ed25519")
        for key, path in ((host_key, self.host_key_file), (user_key, self.key_file)):
            path.write_bytes(key.export_private_key())
            path.chmod(0o600)
        self.host_key = host_key.export_public_key().decode().strip()
        self.authorized = folder / "authorized_keys"
        self.authorized.write_bytes(user_key.export_public_key())

    def know(self) -> None:
        """Write the file of known hosts."""
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.host_key}\n")

    @property
    def folders(self) -> list[str]:
        """What commands have left at home."""
        place = self.home / ".local" / "state" / "apflow" / "ssh"
        return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


class InProcess(SshTarget):
    """asyncssh's server, in a thread; each command is a process in a group of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.connections = 0
        self.channels: list[str] = []
        self.before = ""
        """What the user's shell does before each command."""
        self.refuse = 0
        self.lets_in = True
        """Whether anybody can log in."""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over: asyncio.Event | None = None
        self._open: set[asyncssh.SSHServerConnection] = set()
        self._children: list[asyncio.subprocess.Process] = []
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    @contextmanager
    def running(self) -> Iterator["InProcess"]:
        self._thread.start()
        assert self._ready.wait(10)
        self.know()
        try:
            yield self
        finally:
            assert self._over is not None
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(10)
            self._loop.close()

    def cut(self) -> None:
        """End every connection, as when a network fails."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for connection in self._open:
            connection.abort()

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        target = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                self.conn = conn
                target.connections += 1
                target._open.add(conn)
                if target.refuse:
                    target.refuse -= 1
                    conn.abort()

            def connection_lost(self, exc: Exception | None) -> None:
                target._open.discard(self.conn)

            def begin_auth(self, username: str) -> bool:
                if not target.lets_in:
                    self.conn.set_authorized_keys(asyncssh.import_authorized_keys(""))
                return True

            def password_auth_supported(self) -> bool:
                return True

            def validate_password(self, username: str, password: str) -> bool:
                return target.lets_in and (username, password) == (USER, PASSWORD)

        server = await asyncssh.create_server(
            Server, "127.0.0.1", 0, server_host_keys=[str(self.host_key_file)],
            authorized_client_keys=str(self.authorized), process_factory=self._process,
            encoding=None, config=None,
        )  # fmt: skip
        self.port = server.get_port()
        self._ready.set()
        await self._over.wait()
        server.close()
        for connection in list(self._open):
            connection.abort()
        await server.wait_closed()
        for child in self._children:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
            child._transport.close()  # type: ignore[attr-defined]
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _process(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        self.channels.append(process.command or "")
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", self.before + (process.command or ""), start_new_session=True,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self._children.append(child)
        outputs = [(child.stdout, process.stdout), (child.stderr, process.stderr)]
        reading = asyncio.ensure_future(_in(process, child))
        await asyncio.gather(*(_out(source, sink) for source, sink in outputs))
        code = await child.wait()
        reading.cancel()
        with suppress(OSError):
            if code < 0:
                process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
            else:
                process.exit(code)


async def _in(process: "asyncssh.SSHServerProcess[bytes]", child: Any) -> None:
    with suppress(asyncssh.Error, OSError):
        while chunk := await process.stdin.read(65536):
            child.stdin.write(chunk)
            await child.stdin.drain()
    child.stdin.close()


async def _out(source: Any, sink: Any) -> None:
    """Once the connection is gone nobody reads the pipe; the command lives on, as under OpenSSH."""
    try:
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
    except (asyncssh.Error, OSError):
        source._transport.close()


CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {host_key}
AuthorizedKeysFile {authorized}
PidFile {pid}
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
SetEnv HOME={home}
"""


@contextmanager
def open_ssh(folder: Path) -> Iterator[SshTarget]:
    """Debian's server, or what stands in ``PATH``."""
    if SSHD is None:
        pytest.skip("no sshd of OpenSSH is installed: `make test-executors` does it on Debian")
    target = SshTarget(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        target.port = free.getsockname()[1]
    target.know()
    config = folder / "sshd_config"
    config.write_text(
        CONFIG.format(
            port=target.port, host_key=target.host_key_file, authorized=target.authorized,
            home=target.home, pid=folder / "sshd.pid",
        )
    )  # fmt: skip
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = folder / "sshd.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(config)], stderr=out, stdin=subprocess.DEVNULL
        )
    try:
        _wait(target.port, process, log)
        yield target
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(500):
        if process.poll() is not None:
            pytest.skip(f"sshd does not start here: {log.read_text()[-300:]}")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    raise AssertionError("sshd does not listen")
