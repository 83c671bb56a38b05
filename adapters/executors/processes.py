"""Programs as child processes: no shell, a group of their own, nothing left when they are done."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from msgspec import Struct

from . import process_guard

MAX_FLOOD: Final = 64 * 1024 * 1024
"""Bytes on one stream at which a program is ended: it would write for ever."""
DRAIN_SECONDS: Final = 1.0
"""How long output is waited for after the group is gone: whoever left it may hold the pipe."""
_CHUNK: Final = 64 * 1024

Heard = Callable[[bytes], None]
"""Is told each piece of output when it comes."""


def _ignore(chunk: bytes) -> None:
    pass


class Stream(Struct):
    """What came over one pipe: its beginning, and how much there was."""

    kept: bytearray
    size: int = 0

    @property
    def text(self) -> str:
        """What is not UTF-8 shows as the replacement character."""
        return self.kept.decode("utf-8", "replace")

    @property
    def truncated(self) -> bool:
        return self.size > len(self.kept)


class Finished(Struct, frozen=True):
    """``code`` is negative where a signal ended the program."""

    code: int
    stdout: Stream
    stderr: Stream
    timed_out: bool

    @property
    def flooded(self) -> bool:
        """Whether it was ended for writing too much."""
        return max(self.stdout.size, self.stderr.size) > MAX_FLOOD


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    seconds: float,
    max_output: int,
    cwd: str | None = None,
    stdin: bytes = b"",
    memory: int | None = None,
    heard: Heard = _ignore,
) -> Finished:
    """Run a program to its end, or to its end by force after ``seconds``.

    On timeout, on cancellation, after a normal end and when this process dies, its whole process
    group is killed. Only a program that makes a group of its own on purpose escapes. ``memory``
    bounds the address space of each of its processes, in bytes. ``heard`` is told what comes.
    Raises OSError where it cannot start.
    """
    with _leash() as (ours, theirs):
        guarded = [*_guard(theirs, memory, env), *argv]
        finished = await _run(guarded, env, seconds, max_output, cwd, stdin, heard, ours, theirs)
        if finished.code == process_guard.NOT_STARTED:
            _require_started(ours, argv[0])
        return finished


async def _run(
    argv: Sequence[str],
    env: Mapping[str, str],
    seconds: float,
    max_output: int,
    cwd: str | None,
    stdin: bytes,
    heard: Heard,
    ours: socket.socket,
    theirs: socket.socket,
) -> Finished:
    streams = Stream(bytearray()), Stream(bytearray())
    reads, writes = zip(os.pipe(), os.pipe(), strict=True)
    try:
        process = await _start(argv, env, (*writes, theirs.fileno()), cwd, piped=bool(stdin))
    except BaseException:
        _close(reads)
        raise
    finally:
        _close(writes)
        theirs.close()
    readers = [
        asyncio.create_task(_read(fd, stream, max_output, process.pid, heard))
        for fd, stream in zip(reads, streams, strict=True)
    ]
    if stdin:
        readers.append(asyncio.create_task(_feed(process, stdin)))
    timed_out = False
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        timed_out = True
    finally:
        _kill(process.pid)
        await process.wait()
        await _drain(readers)
    return Finished(process.returncode or 0, *streams, timed_out)


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    """Write what it wants to read; it need not read all."""
    assert process.stdin is not None
    try:
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        return


@contextmanager
def _leash() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end and the guard's. Where ours ends without a word, the guard kills the group."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        try:
            yield ours, theirs
        finally:
            with suppress(OSError):  # nobody is there who could be told
                ours.send(b".")


def _guard(theirs: socket.socket, memory: int | None, env: Mapping[str, str]) -> list[str]:
    """The words that go before the program's own; see `process_guard`."""
    bound = "" if memory is None else str(memory)
    ctype = f"={env['LC_CTYPE']}" if "LC_CTYPE" in env else ""
    return [
        sys.executable, "-I", "-S", process_guard.__file__, str(theirs.fileno()), bound, ctype,
    ]  # fmt: skip


def _require_started(ours: socket.socket, program: str) -> None:
    """Raises what kept the guard from becoming the program."""
    try:
        number = int(ours.recv(16) or b"0")
    except BlockingIOError:  # the program ended with this code itself
        return
    if number:
        raise OSError(number, os.strerror(number), program)


async def _start(
    argv: Sequence[str],
    env: Mapping[str, str],
    writes: Sequence[int],
    cwd: str | None,
    *,
    piped: bool,
) -> asyncio.subprocess.Process:
    """Start it. A cancellation in between ends the whole group too."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if piped else asyncio.subprocess.DEVNULL,
            stdout=writes[0],
            stderr=writes[1],
            env=env,
            cwd=cwd,
            start_new_session=True,
            pass_fds=writes[2:],
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        process = await starting
        _kill(process.pid)
        await process.wait()
        raise


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # gone; macOS: only zombies are left
        pass


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


async def _read(descriptor: int, stream: Stream, limit: int, group: int, heard: Heard) -> None:
    """Keep the beginning, read on so that the program is not held up, end one that floods."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), pipe
    )
    try:
        while chunk := await reader.read(_CHUNK):
            stream.kept += chunk[: max(0, limit - len(stream.kept))]
            stream.size += len(chunk)
            heard(chunk)
            if stream.size > MAX_FLOOD:
                _kill(group)
                return
    finally:
        transport.close()


async def _drain(readers: Sequence[asyncio.Task[None]]) -> None:
    _, late = await asyncio.wait(readers, timeout=DRAIN_SECONDS)
    for reader in late:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
