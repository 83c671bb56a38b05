"""Programs as child processes: no shell, a group of their own, nothing left when they are done."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from .leash import NOT_STARTED, Leash, kill, start

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
    leash = Leash()
    try:
        finished = await _run(argv, leash, env, seconds, max_output, cwd, stdin, memory, heard)
        if finished.code == NOT_STARTED:
            leash.require_started(argv[0])
    finally:
        leash.let_go()
    return finished


async def _run(
    argv: Sequence[str],
    leash: Leash,
    env: Mapping[str, str],
    seconds: float,
    max_output: int,
    cwd: str | None,
    stdin: bytes,
    memory: int | None,
    heard: Heard,
) -> Finished:
    streams = Stream(bytearray()), Stream(bytearray())
    reads, writes = zip(os.pipe(), os.pipe(), strict=True)
    feed = asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL
    try:
        process = await start(
            argv, leash, env=env, cwd=cwd, stdin=feed, stdout=writes[0], stderr=writes[1],
            memory=memory,
        )  # fmt: skip
    except BaseException:
        _close(reads)
        raise
    finally:
        _close(writes)
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
        kill(process.pid)
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
                kill(group)
                return
    finally:
        transport.close()


async def _drain(readers: Sequence[asyncio.Task[None]]) -> None:
    _, late = await asyncio.wait(readers, timeout=DRAIN_SECONDS)
    for reader in late:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
