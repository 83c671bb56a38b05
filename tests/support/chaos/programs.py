"""Programs that may be treated badly, as their test holds them."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import msgspec

from tests.support.chaos.ledgers import FOLDER, NAME
from tests.support.chaos.plan import Plan
from tests.support.places import environment
from tests.support.repository import ROOT

PATIENCE = 60.0
"""Seconds after which a program that nobody kills must have come to its end."""
LOOK = 0.0005
"""Seconds between two looks at the log."""
STAGES = ("", "opening", "opened", "resuming", "resumed", "standing")

_numbers = count(1)


class Program:
    """A running `program`, with a process group of its own."""

    def __init__(self, pid: int, name: str, said: int, errors: Path, ended: "Ended") -> None:
        self.pid, self.name, self.errors = pid, name, errors
        self.stage = ""
        self._said, self._ended = said, ended
        self._code: int | None = None
        os.set_blocking(said, False)

    def running(self) -> bool:
        """Whether it still is; takes note of the stage it says it is in."""
        if self._code is None:
            with suppress(BlockingIOError):
                if said := os.read(self._said, 4096):
                    self.stage = said.decode().split()[-1]
            self._note(self._ended(0.0))
        return self._code is None

    def signal(self, number: signal.Signals) -> None:
        """To its whole group."""
        if self._code is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill(self) -> bool:
        """True where it was this that ended it."""
        if self._code is not None:
            return False
        self.signal(signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit status. Raises TimeoutError."""
        if self._code is None:
            self._note(self._ended(seconds))
        if self._code is None:
            raise TimeoutError(f"it has not come to its end within {seconds:.0f} s")
        return self._code

    def _note(self, code: int | None) -> None:
        if code is not None:
            self._code = code
            os.close(self._said)


Ended = Callable[[float], int | None]
"""Waits for so many seconds; the exit status, None where it still runs."""


@contextmanager
def program(folder: Path, plan: Plan, prefix: Sequence[str] = ()) -> Iterator[Program]:
    """A program that is gone after the block, however that ends. ``prefix`` starts its command."""
    name, errors = f"p{next(_numbers)}", folder / "stderr"
    said, saying = os.pipe()
    with errors.open("a") as stderr:
        process = subprocess.Popen(
            [*prefix, *_module("program"), msgspec.json.encode(plan)],
            cwd=folder,
            env=environment(folder) | _path() | _told(folder, name),
            stdin=subprocess.DEVNULL,
            stdout=saying,
            stderr=stderr,
            start_new_session=True,
        )
    os.close(saying)

    def ended(seconds: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(seconds) if seconds else process.poll()
        return None

    yield from _until_over(Program(process.pid, name, said, errors, ended))


class Nursery:
    """Makes programs, one at a time, in a fraction of the time."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    @contextmanager
    def program(self, folder: Path, plan: Plan) -> Iterator[Program]:
        """See the function `program`."""
        name, errors = f"p{next(_numbers)}", folder / "stderr"
        said, saying = os.pipe()
        request = {"plan": plan, "folder": str(folder), "environment": _told(folder, name)}
        with errors.open("a") as stderr:
            files = [saying, stderr.fileno()]
            socket.send_fds(self._channel, [msgspec.json.encode(request)], files)
        os.close(saying)
        pid = int(self._channel.recv(64))
        yield from _until_over(Program(pid, name, said, errors, self._ended))

    def _ended(self, seconds: float) -> int | None:
        if select.select([self._channel], [], [], seconds)[0]:
            return int(self._channel.recv(64))
        return None


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """A nursery for the thread that asks for it; it dies with that."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            [*_module("nursery"), str(theirs.fileno())],
            cwd=folder,
            env=environment(folder) | _path(),
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        try:
            yield Nursery(ours)
        finally:
            ours.close()
            process.wait()


def _until_over(started: Program) -> Iterator[Program]:
    try:
        yield started
    finally:
        started.kill()


def _module(name: str) -> list[str]:
    return [sys.executable, "-P", "-m", f"tests.support.chaos.{name}"]


def _path() -> dict[str, str]:
    path = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [path])])}


def _told(folder: Path, name: str) -> dict[str, str]:
    return {FOLDER: str(folder), NAME: name}


def wait_for(condition: Callable[[], bool], running: Program) -> None:
    """Returns once it holds, which must be while the program runs, and in good time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert running.running(), f"it ended by itself: {_last(running)}"
        assert time.monotonic() < deadline, f"nothing after {running.stage!r}: {_last(running)}"
        time.sleep(LOOK)


def ended(running: Program, seconds: float = PATIENCE) -> list[str]:
    """What is wrong with how a program ends that is left in peace."""
    try:
        code = running.wait(seconds)
    except TimeoutError as error:
        running.kill()
        return [str(error)]
    failed = code or "Traceback" in running.errors.read_text()
    return [f"exit {code}: {_last(running)}"] if failed else []


def _last(running: Program) -> str:
    """What it has said last on stderr."""
    return running.errors.read_text()[-3000:]
