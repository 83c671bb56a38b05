"""A program that is talked to in lines, in a process group of its own that ends with the talk, and
with this process.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from ..processes.leash import NOT_STARTED, Leash, kill, start
from .operations import MAX_MESSAGE, NotUnderstood, ServerGone

MAX_SAID: Final = 2 * 1024
"""Bytes of stderr that are kept: its end."""
LEAVE: Final = 1.0
"""Seconds for a program to go by itself, and once more after SIGTERM."""
_CHUNK: Final = 64 * 1024


class Child:
    """Started by `start`; `end` it."""

    def __init__(
        self, process: asyncio.subprocess.Process, leash: Leash, out: "_Pipe", err: "_Pipe"
    ) -> None:
        self._process, self._leash = process, leash
        self._out, self._err = out, err
        self._said = bytearray()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> "Child":
        """Raises OSError where it cannot start; what the system refuses later, `gone` tells."""
        out, err, leash = _Pipe(), _Pipe(), Leash()
        try:
            await out.open()
            await err.open()
            process = await start(
                argv, leash, env=env, cwd=cwd, stdin=asyncio.subprocess.PIPE,
                stdout=out.inner, stderr=err.inner,
            )  # fmt: skip
        except BaseException:
            out.close()
            err.close()
            leash.let_go()
            raise
        finally:
            os.close(out.inner)
            os.close(err.inner)
        return cls(process, leash, out, err)

    @property
    def pid(self) -> int:
        """The process, and its group."""
        return self._process.pid

    @property
    def said(self) -> str:
        """The end of what it wrote to stderr, without a line whose beginning is lost."""
        said = self._said
        if len(said) >= MAX_SAID and b"\n" in said.rstrip():
            said = said.partition(b"\n")[2]
        return said.decode("utf-8", "replace").strip()

    async def send(self, line: bytes) -> None:
        """Raises `ServerGone`, OSError; see `gone`."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(line + b"\n")
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise await self.gone() from error

    async def line(self) -> bytes:
        """The next one. Raises `ServerGone` at its end, `NotUnderstood` where it is too long."""
        try:
            line = await self._out.reader.readline()
        except ValueError as error:
            text = f"the server sends a message longer than the {MAX_MESSAGE} bytes that are read"
            raise NotUnderstood(text) from error
        if not line.endswith(b"\n"):
            raise await self.gone()
        return line

    async def gone(self) -> ServerGone:
        """Why there is no more to be had of it. Raises OSError where it could not even start."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE):
                await self._process.wait()
                await asyncio.shield(self._listening)
        code = self._process.returncode
        if code == NOT_STARTED:
            self._leash.require_started("")
        how = "closed its output" if code is None else f"ended with {code}"
        return ServerGone(f"the server {how}" + (f"; it said: {self.said}" if self.said else ""))

    async def end(self) -> None:
        """It and all of its group are gone after this."""
        try:
            stdin = self._process.stdin
            assert stdin is not None
            stdin.close()
            if not await self._left():
                kill(self.pid, signal.SIGTERM)
                await self._left()
        finally:
            kill(self.pid)
            await self._process.wait()
            self._listening.cancel()
            await asyncio.wait({self._listening})
            self._out.close()
            self._err.close()
            self._leash.let_go()

    async def _left(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE):
                await self._process.wait()
        return self._process.returncode is not None

    async def _listen(self) -> None:
        while chunk := await self._err.reader.read(_CHUNK):
            self._said += chunk
            del self._said[:-MAX_SAID]


class _Pipe:
    """A pipe of which the program gets one end. Held apart from the process: whoever inherits it
    does not hold up the end of the process.
    """

    def __init__(self) -> None:
        self._outer, self.inner = os.pipe()
        self.reader = asyncio.StreamReader(limit=MAX_MESSAGE)
        self._transport: asyncio.ReadTransport | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        file = os.fdopen(self._outer, "rb", buffering=0)
        protocol = asyncio.StreamReaderProtocol(self.reader, loop=loop)
        self._transport, _ = await loop.connect_read_pipe(lambda: protocol, file)

    def close(self) -> None:
        if self._transport is None:
            os.close(self._outer)
        else:
            self._transport.close()
