"""The engine's handle on one worker process."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from threading import Thread

import msgspec

from ...domain.errors import ApflowError
from ...domain.specs import ErrorInfo
from ...engine.ports import AttemptPort, Outcome
from ..executors.results import error_info
from .frames import (
    HEADER,
    MAX_FRAME,
    Beat,
    FromWorker,
    Progress,
    Save,
    Stored,
    TakenOver,
    from_worker,
    outcome_of,
    pack,
)

BOOT = (
    "import sys; fd, parent, *sys.path[:] = sys.argv[1:]; del sys.argv[1:]; "
    f"from {__package__}.worker import main; main(int(fd), int(parent))"
)
"""The worker looks for modules where this process does, and nowhere else."""

LINGER = 1.0
"""Seconds between the death of a worker and the end of what it had sent, at most."""

BUFFER = 1024 * 1024


class WorkerDied(Exception):
    """The worker process ended, or can no longer be understood, while an attempt ran in it."""

    def __init__(self, pid: int, what: str) -> None:
        super().__init__(what)
        text = f"worker process {pid} {what}"
        self.error = ErrorInfo("worker_died", text, ("TransientError",))


class Handle:
    """Starts a worker process and speaks with it. Belongs to the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _spawn(theirs.fileno())
            except OSError:
                self._end.close()
                raise
        self._code: asyncio.Future[int] = self._loop.create_future()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._talk: asyncio.Task[Outcome] | None = None
        name = f"apflow-reaper-{self._process.pid}"
        Thread(target=self._reap, name=name, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process, and its process group."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether an attempt may be given to it."""
        return not self._code.done()

    async def run(self, frame: bytes, port: AttemptPort | None) -> Outcome:
        """Have the worker run the attempt in ``frame``. Raises `WorkerDied`.

        When this is cancelled the attempt goes on, until `kill`.
        """
        self._talk = asyncio.create_task(self._talked(frame, port))
        self._talk.add_done_callback(_seen)
        return await asyncio.shield(self._talk)

    async def _talked(self, frame: bytes, port: AttemptPort | None) -> Outcome:
        reader, writer = await self._connected()
        await self._send(writer, frame)
        while True:
            match await self._receive(reader):
                case Beat():
                    if port is not None:
                        port.beat()
                case Progress(fraction=fraction, message=message):
                    if port is not None:
                        await port.progress(fraction, message)
                case Save() | TakenOver() as asked:
                    await self._send(writer, pack(await _store(port, asked)))
                case end:
                    return outcome_of(end)

    async def close(self, grace: float) -> None:
        """End an idle worker: it goes when its socket is closed, or is killed after the grace."""
        self.release()
        await asyncio.wait({self._code}, timeout=grace)
        await self.kill(0)

    async def kill(self, grace: float) -> Outcome | None:
        """End the worker and all that it started; returns when it is gone.

        What its attempt still came to within the grace is the answer.
        """
        try:
            self._signal(signal.SIGTERM)
            await asyncio.wait({self._code}, timeout=grace)
            self._signal(signal.SIGKILL)
            await asyncio.shield(self._code)
            return await self._last_word()
        finally:
            self._signal(signal.SIGKILL)
            self.release()

    async def _last_word(self) -> Outcome | None:
        """All that was sent is read, but for a process that escaped and holds the socket open."""
        if self._talk is None:
            return None
        await asyncio.wait({self._talk}, timeout=LINGER)
        if self._talk.done() and not self._talk.cancelled() and self._talk.exception() is None:
            return self._talk.result()
        self._talk.cancel()
        return None

    def release(self) -> None:
        """Close the socket."""
        if self._streams is None:
            self._end.close()
        else:
            self._streams[1].transport.abort()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(sock=self._end, limit=BUFFER)
        return self._streams

    async def _send(self, writer: asyncio.StreamWriter, frame: bytes) -> None:
        try:
            writer.write(frame)
            await writer.drain()
        except ConnectionError:
            raise await self._death() from None

    async def _receive(self, reader: asyncio.StreamReader) -> FromWorker:
        try:
            size = int.from_bytes(await reader.readexactly(HEADER))
            if size > MAX_FRAME:
                raise WorkerDied(self.pid, f"sent {size} bytes at once, over the limit")
            return from_worker(await reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise await self._death() from None
        except msgspec.MsgspecError as error:
            raise WorkerDied(self.pid, f"sent what is no message: {error}") from None

    async def _death(self) -> WorkerDied:
        """Why there is no more to read."""
        await asyncio.wait({self._code}, timeout=LINGER)
        what = _ending(self._code.result()) if self._code.done() else "closed its socket"
        return WorkerDied(self.pid, what)

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            _signal_group(self.pid, number)

    def _reap(self) -> None:
        """In a thread: wait for the end of the process, then end what it has left behind.

        Until it is reaped its number is nobody else's, so that the group is still its own.
        """
        if sys.platform != "darwin":
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        _signal_group(self.pid, signal.SIGKILL)
        code = self._process.wait()
        with suppress(RuntimeError):  # the loop is closed: nobody asks
            self._loop.call_soon_threadsafe(self._ended, code)

    def _ended(self, code: int) -> None:
        self._code.set_result(code)
        # A process outside the group may hold the socket open: then the end is made here.
        self._loop.call_later(LINGER, self.release)


def _seen(talk: asyncio.Task[Outcome]) -> None:
    """Its error was looked at, even where nobody waited for it any more."""
    if not talk.cancelled():
        talk.exception()


async def _store(port: AttemptPort | None, asked: Save | TakenOver) -> Stored:
    try:
        if port is None:
            pass
        elif isinstance(asked, Save):
            await port.save(asked.checkpoint.copy())
        else:
            await port.taken_over()
    except ApflowError as error:
        return Stored(asked.number, error_info(error))
    return Stored(asked.number)


def _spawn(fd: int) -> subprocess.Popen[bytes]:
    """An interpreter in a session and process group of its own, away from the terminal's Ctrl-C."""
    command = [sys.executable, "-P", "-c", BOOT, str(fd), str(os.getpid()), *sys.path]
    return subprocess.Popen(  # nosec B603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[fd],
        start_new_session=True,
    )


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _ending(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "no name"
    return f"was killed by signal {-code} ({name})"
