"""`docker_executor` and a real engine; skipped where none can be had."""

import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from tests.support.docker_real import IMAGE, RealEngine, real_engine
from tests.support.executor_cases import Case, Inputs

HANG = "touch /w/begun-$(hostname); for n in $(seq 600); do [ -f /w/go ] && exit 0; sleep 0.1; done"
"""Names itself by the container, whose first letters its host name is."""


class DockerCase(Case):
    executor = "docker_executor"
    reattaches = True
    policy: ClassVar[Inputs] = {"idempotent": True}
    engine: RealEngine
    socket: Path

    @contextmanager
    def open(self) -> Iterator[None]:
        self.engine = real_engine()
        (self.folder / "w").mkdir()
        with tempfile.TemporaryDirectory(prefix="apflow-", dir="/tmp") as folder:
            self.socket = Path(folder, "docker.sock")
            self._lead_to(self.engine.socket)
            try:
                yield
            finally:
                for id in self._begun():
                    self.engine.remove(id)

    def _lead_to(self, engine: Path) -> None:
        link = self.socket.with_name("link")
        link.symlink_to(engine)
        link.replace(self.socket)

    def settings(self) -> dict[str, Any]:
        return {
            "docker_enabled": True,
            "docker_socket": str(self.socket),
            "docker_roots": [f"{self.folder}/w:rw"],
            "docker_images": ["apflow-test:*"],
        }

    def inputs(self, command: str, **more: Any) -> Inputs:
        return {"image": IMAGE, "command": ["/bin/sh", "-c", command], "pull": "never", **more}

    def works(self) -> Inputs:
        return self.inputs("echo $((6 * 7)); cat /proc/self/status; ls /sys/class/net")

    def shows(self, result: Any) -> None:
        lines = result["logs"].splitlines()
        assert lines[0] == "42"
        assert "NoNewPrivs:\t1" in lines
        assert lines[-1] == "lo", "it has a network"
        assert "No such container" in self.engine.inspect(result["container_id"])["message"]

    def wrong(self) -> Sequence[Inputs]:
        good = self.inputs(HANG, volumes=self._volumes())
        return [{}, {**good, "image": 5}, {**good, "image": "other:image"},
                {**good, "network": "host"}, {**good, "privileged": True},
                {**good, "volumes": {"/": "/w"}}, {**good, "volumes": {"/etc": "/w"}},
                {**good, "volumes": {str(self.engine.socket): "/w"}},
                {**good, "resources": {"cpu": -1}}]  # fmt: skip

    def fails(self) -> Inputs:
        return self.inputs("exit 3")

    def flaky(self) -> Inputs:
        """The first connection breaks off."""
        broken = self.socket.with_name("broken")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(broken))
        listener.listen()

        def once() -> None:
            client, _ = listener.accept()
            self._lead_to(self.engine.socket)
            client.close()
            listener.close()

        self._lead_to(broken)
        threading.Thread(target=once, daemon=True).start()
        return self.works()

    def hangs(self) -> Inputs:
        return self.inputs(HANG, volumes=self._volumes(), timeout=90)

    def _volumes(self) -> dict[str, str]:
        return {f"{self.folder}/w": "/w:rw"}

    def running(self) -> int:
        found = map(self.engine.inspect, self._begun())
        return sum("State" in each and each["State"]["Running"] for each in found)

    def begun(self) -> int:
        return len(self._begun())

    def _begun(self) -> list[str]:
        return [path.name.rpartition("-")[2] for path in (self.folder / "w").glob("begun-*")]

    def let_go(self) -> None:
        (self.folder / "w" / "go").touch()

    def leaks(self) -> Inputs:
        return self.inputs("env", env={"T": {"$secret": "CANARY"}})

    def floods(self) -> Inputs:
        return self.inputs("head -c 3000000 /dev/zero | tr '\\0' x")
