"""`ssh_executor` and two servers: one in this process, and OpenSSH's where it is installed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from tests.support.executor_cases import Case, Inputs
from tests.support.ssh import USER, InProcess, SshTarget, open_ssh
from tests.support.tcp import Cable, cable

HANG = 'touch "$F/begun-$$"; for n in $(seq 600); do [ -f "$F/go" ] && exit 0; sleep 0.1; done'


class SshCase(Case):
    """With `InProcess`, which every machine has."""

    executor = "ssh_executor"
    reattaches = True
    secret_hosts = ("127.0.0.1",)
    policy: ClassVar[Inputs] = {"idempotent": True}
    target: SshTarget
    stack: ExitStack
    cable: Cable

    @contextmanager
    def open(self) -> Iterator[None]:
        with self.server() as self.target, ExitStack() as self.stack:
            yield

    def server(self) -> AbstractContextManager[SshTarget]:
        return InProcess(self.folder / "ssh").running()

    def settings(self) -> dict[str, Any]:
        return {
            "private_targets": ["127.0.0.1"],
            "ssh_known_hosts": str(self.target.known_hosts),
            "ssh_key_roots": [str(self.target.key_file.parent)],
        }

    def inputs(self, command: str, **more: Any) -> Inputs:
        return {
            "host": "127.0.0.1", "port": self.target.port, "username": USER,
            "key_file": str(self.target.key_file), "command": command, **more,
        }  # fmt: skip

    def works(self) -> Inputs:
        return self.inputs("echo $((6 * 7))")

    def shows(self, result: Any) -> None:
        assert result["stdout"] == "42\n"
        assert self.target.folders == []

    def wrong(self) -> Sequence[Inputs]:
        good = self.inputs(f'touch "{self.folder}/begun-0"')
        return [{}, {**good, "host": 5}, {**good, "command": ""}, {**good, "host": "10.0.0.1"},
                {**good, "password": "in clear"}, {**good, "key_file": "/etc/hostname"},
                {**good, "port": 0}, {**good, "env": {"A=B": "x"}}]  # fmt: skip

    def fails(self) -> Inputs:
        return self.inputs("exit 3")

    def flaky(self) -> Inputs:
        self.cable = self.stack.enter_context(cable(self.target.port))
        port = int(self.cable.url.rpartition(":")[2])
        key = self.target.known_hosts.read_text().split(" ", 1)[1]
        self.target.known_hosts.write_text(f"[127.0.0.1]:{port} {key}")
        self.cable.swallow = 1
        return {**self.works(), "port": port}

    def hangs(self) -> Inputs:
        return self.inputs(HANG, env={"F": str(self.folder)}, timeout=90)

    def running(self) -> int:
        return sum(_lives(int(path.name.rpartition("-")[2])) for path in self._begun())

    def begun(self) -> int:
        return len(self._begun())

    def _begun(self) -> list[Path]:
        return list(self.folder.glob("begun-*"))

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def leaks(self) -> Inputs:
        return self.inputs('echo "$T"', env={"T": {"$secret": "CANARY"}})

    def floods(self) -> Inputs:
        return self.inputs("head -c 3000000 /dev/zero | tr '\\0' x")


class OpenSshCase(SshCase):
    """With OpenSSH's own server."""

    label = "ssh_executor-openssh"

    def server(self) -> AbstractContextManager[SshTarget]:
        return open_ssh(self.folder / "ssh")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
