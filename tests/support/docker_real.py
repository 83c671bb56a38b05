"""A container engine with a small image: one that answers, else a private one that ends with us."""

import atexit
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

IMAGE = "apflow-test:busybox"
USUAL = Path("/var/run/docker.sock")
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
APPLETS = (
    "sh",
    "cat",
    "echo",
    "env",
    "head",
    "hostname",
    "ls",
    "seq",
    "sleep",
    "touch",
    "tr",
    "yes",
)
HOW = "`make test-executors` installs docker.io and busybox-static on Debian"


class RealEngine:
    """Asked by the tests themselves, beside the executor."""

    def __init__(self, path: Path) -> None:
        self.socket = path
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)), base_url="http://docker",
            trust_env=False, timeout=60,
        )  # fmt: skip

    def answers(self) -> bool:
        """The library leaves sockets open that it cannot connect, so it is not tried with it."""
        with socket.socket(socket.AF_UNIX) as trial:
            if trial.connect_ex(str(self.socket)):
                return False
        try:
            return self._client.get("/_ping").status_code == 200
        except httpx.HTTPError:
            return False

    def put_image(self) -> None:
        """Busybox, linked statically, is all that is in it."""
        params = {"fromSrc": "-", "repo": IMAGE.split(":")[0], "tag": IMAGE.split(":")[1]}
        answer = self._client.post("/images/create", params=params, content=_root())
        assert answer.status_code == 200, answer.text
        assert "error" not in answer.text, answer.text

    def drop_image(self) -> None:
        self._client.delete(f"/images/{IMAGE}", params={"force": "1"})

    def containers(self, labels: Mapping[str, str]) -> list[Any]:
        """All that have these labels, running or not."""
        wanted = {"label": [f"{name}={value}" for name, value in labels.items()]}
        params = {"all": "1", "filters": json.dumps(wanted)}
        found: list[Any] = self._client.get("/containers/json", params=params).json()
        return found

    def inspect(self, id: str) -> Any:
        return self._client.get(f"/containers/{id}/json").json()

    def remove(self, id: str) -> None:
        self._client.delete(f"/containers/{id}", params={"force": "1", "v": "1"})

    def close(self) -> None:
        self._client.close()


class NotHad(Exception):
    """Why there is no engine on this machine."""


def _root() -> bytes:
    busybox = shutil.which("busybox")
    if busybox is None or _is_dynamic(busybox):
        raise NotHad(f"no busybox that is linked statically, to make an image from: {HOW}")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return made.getvalue()


def _is_dynamic(program: str) -> bool:
    """Whether it names an interpreter, as ELF programs do that are not linked statically."""
    return b"/ld-" in Path(program).read_bytes()[:4096]


def real_engine() -> RealEngine:
    """The engine of this run of tests. Skips the test where none can be had."""
    had = _had()
    if isinstance(had, NotHad):
        pytest.skip(str(had))
    return had


@cache
def _had() -> RealEngine | NotHad:
    """Tried once."""
    try:
        return _found()
    except NotHad as error:
        return error


def _found() -> RealEngine:
    usual = RealEngine(USUAL)
    if usual.answers():
        usual.put_image()
        atexit.register(usual.drop_image)
        return usual
    usual.close()
    private = _private()
    private.put_image()
    return private


def _private() -> RealEngine:
    dockerd = shutil.which("dockerd", path=SBIN)
    if dockerd is None:
        raise NotHad(f"no container engine answers at {USUAL}, and none is installed: {HOW}")
    if os.geteuid() != 0:
        raise NotHad(f"no container engine answers at {USUAL}; a private one needs root")
    folder = Path(tempfile.mkdtemp(prefix="apflow-docker-", dir="/tmp"))
    said = ""
    for driver in ("overlay2", "vfs"):
        process = _start(dockerd, folder, driver)
        engine = RealEngine(folder / "docker.sock")
        if _came_up(process, engine):
            atexit.register(_stop, process, folder)
            return engine
        engine.close()
        _end(process)
        lines = (folder / "log").read_text().splitlines()
        said = lines[-1] if lines else "it said nothing"
    _drop(folder)
    raise NotHad(f"dockerd does not start on this machine: {said}")


def _start(dockerd: str, folder: Path, driver: str) -> "subprocess.Popen[bytes]":
    """No bridge and no rules: nothing of the machine's network is touched."""
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [dockerd, "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"),
             "--pidfile", str(folder / "pid"), "-H", f"unix://{folder}/docker.sock",
             "--iptables=false", "--ip6tables=false", "--bridge=none",
             f"--storage-driver={driver}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def _came_up(process: "subprocess.Popen[bytes]", engine: RealEngine) -> bool:
    for _ in range(600):
        if process.poll() is not None:
            return False
        if engine.answers():
            return True
        time.sleep(0.05)
    return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def _stop(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    _end(process)
    _drop(folder)


def _drop(folder: Path) -> None:
    """What is still mounted there is let go of first, the innermost at first."""
    mounts = [line.split(" ")[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((each for each in mounts if each.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)
