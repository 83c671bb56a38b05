"""A worker process: runs one attempt at a time, for the engine at the other end of its socket.

It outlives neither: once the socket is at its end, or the engine's process is gone, the whole
process group of the worker ends with it.
"""

import asyncio
import ctypes
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from io import TextIOWrapper
from itertools import count
from threading import Thread
from typing import Any

from msgspec import Raw

from ...domain.errors import ApflowError, InvalidInput, InvalidTransition
from ...domain.specs import ErrorInfo
from ...engine.ports import Call, Outcome, Raised
from ..executors.invoke import invoke
from ..executors.registration import default_registry
from ..executors.results import error_info
from .frames import (
    HEADER,
    Beat,
    FromWorker,
    Progress,
    Save,
    Start,
    Stored,
    TakenOver,
    ToWorker,
    call_of,
    ended,
    for_worker,
    pack,
)
from .inline import Inline, Invoke

GRACE = 1.0
"""Seconds an attempt has for its end when its worker must go. That of the engine is longer."""

CHUNK = 1024 * 1024
PR_SET_PDEATHSIG = 1
REFUSALS = {error.__name__: error for error in (InvalidTransition, InvalidInput)}


class Channel:
    """The worker's end of the socket. Messages are sent from the loop, received in a thread."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: FromWorker) -> None:
        """Blocks until there is room. What cannot be sent is dropped: the engine is gone."""
        frame = pack(message)
        with suppress(OSError):
            self._end.sendall(frame)

    def receive(self) -> ToWorker | None:
        """The next message; None once there will be no more. Blocks."""
        try:
            size = int.from_bytes(self._exactly(HEADER))
            return for_worker(self._exactly(size))
        except (EOFError, OSError):
            return None

    def _exactly(self, size: int) -> bytes:
        body = bytearray()
        while len(body) < size:
            part = self._end.recv(min(size - len(body), CHUNK))
            if not part:
                raise EOFError
            body += part
        return bytes(body)


class Port:
    """`AttemptPort` for the attempt that runs: sends what it says over the socket."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._over = False

    def beat(self) -> None:
        """Sent at once."""
        if not self._over:
            self._channel.send(Beat())

    async def taken_over(self) -> None:
        """Returns after the commit."""
        await self._ask(TakenOver(next(self._numbers)))

    async def progress(self, fraction: float, message: str) -> None:
        """Sent at once; the engine keeps what it wants of it."""
        if not self._over:
            self._channel.send(Progress(fraction, message))

    async def save(self, checkpoint: Raw) -> None:
        """Returns after the commit."""
        await self._ask(Save(next(self._numbers), checkpoint))

    async def _ask(self, message: Save | TakenOver) -> None:
        if self._over:
            raise InvalidTransition("this attempt is over: nothing was stored")
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[message.number] = answer
        try:
            self._channel.send(message)
            await answer
        finally:
            del self._waiting[message.number]

    def answered(self, message: Stored) -> None:
        """Wake the call that asked, if it still waits."""
        answer = self._waiting.get(message.number)
        if answer is None or answer.done():
            return
        if (error := message.error) is None:
            answer.set_result(None)
        else:
            answer.set_exception(REFUSALS.get(error.type, ApflowError)(error.message))

    def close(self) -> None:
        """The attempt is over: what it left running can say nothing more."""
        self._over = True
        for answer in self._waiting.values():
            answer.cancel()


class Worker:
    """Takes attempts from the channel until that ends."""

    def __init__(self, channel: Channel, invoke: Invoke) -> None:
        self._channel = channel
        self._inline = Inline(invoke, coroutines=1, grace=GRACE)
        self._port: Port | None = None
        self._call: Call | None = None
        self._gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def serve(self) -> None:
        """Returns when the worker is to end."""
        Thread(target=self._listen, name="apflow-listener", daemon=True).start()
        await self._gone.wait()
        if (call := self._call) is not None:
            stopped = await self._inline.stop(call)
            if stopped.outcome is not None:
                self._report(call, stopped.outcome)
        await self._inline.close()

    def leave(self) -> None:
        """End soon; from any thread and from signal handlers."""
        self._soon(self._gone.set)

    def _soon(self, function: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended, as this worker will
            self._loop.call_soon_threadsafe(function, *arguments)

    def _listen(self) -> None:
        try:
            while (message := self._channel.receive()) is not None:
                self._soon(self._take, message)
            if self._port is None:
                self.leave()
                time.sleep(GRACE)
        finally:
            kill_group()  # whoever takes the work over must not find it still running

    def _take(self, message: ToWorker) -> None:
        match message:
            case Stored() if self._port is not None:
                self._port.answered(message)
            case Start(modules=modules):
                self._port = Port(self._channel)
                self._call = call = call_of(message, self._port)
                if (failure := import_all(modules)) is not None:
                    self._report(call, Raised(failure))
                else:
                    self._inline.start(call, self._report)
            case _:
                pass

    def _report(self, call: Call, outcome: Outcome) -> None:
        if self._port is not None:
            self._port.close()
        self._port = self._call = None
        self._channel.send(ended(outcome))


def import_all(modules: Sequence[str]) -> ErrorInfo | None:
    """Import the modules that register executors; what went wrong, if anything."""
    for name in modules:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code: it becomes a failure
            cause = error_info(error)
            return ErrorInfo(
                cause.type,
                f"a worker process cannot import {name}: {cause.message}. It imports by name, from "
                "the same sys.path: the module must be importable and have no need of its caller.",
                cause.bases,
            )
    return None


def kill_group() -> None:
    """End this process and all that it started; never the group of somebody else."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def die_with(parent: int) -> None:
    """Have Linux send SIGHUP when the thread that started this process is gone.

    The socket tells the same, but not where a fork of the engine's process holds it open.
    """
    signal.signal(signal.SIGHUP, lambda _number, _frame: kill_group())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGHUP)
    if os.getppid() != parent:
        kill_group()


async def _serve(end: socket.socket) -> None:
    worker = Worker(Channel(end), partial(invoke, default_registry))
    signal.signal(signal.SIGTERM, lambda _number, _frame: worker.leave())
    await worker.serve()


def main(fd: int, parent: int) -> None:
    """Run as the worker of process ``parent`` that holds the other end of socket ``fd``.

    What executors print goes to stderr.
    """
    os.set_inheritable(fd, False)
    os.dup2(2, 1)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    die_with(parent)
    asyncio.run(_serve(socket.socket(fileno=fd)))
