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
    feed = Feed(stdin)
    try:
        process = await start(
            argv, leash, env=env, cwd=cwd, stdin=feed.far, stdout=writes[0], stderr=writes[1],
            memory=memory,
        )  # fmt: skip
    except BaseException:
        _close(reads)
        feed.close()
        raise
    finally:
        _close((*writes, feed.far))
    readers = [
        asyncio.create_task(_read(fd, stream, max_output, process.pid, heard))
        for fd, stream in zip(reads, streams, strict=True)
    ]
    feeder = asyncio.create_task(feed.write())
    timed_out = False
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        timed_out = True
    finally:
        kill(process.pid)
        feeder.cancel()  # whoever got away with the pipe need not read it
        try:
            await process.wait()
        finally:
            await _drain([*readers, feeder])
            feed.close()
    return Finished(process.returncode or 0, *streams, timed_out)


class Feed:
    """What a program may read. A pipe of asyncio's own would hold up `wait` until it is read."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._near: int | None = None
        if data:
            self.far, self._near = os.pipe()
            os.set_blocking(self._near, False)
        else:
            self.far = os.open(os.devnull, os.O_RDONLY)

    async def write(self) -> None:
        """Write what it wants to read; it need not read all."""
        try:
            while self._data and self._near is not None:
                try:
                    self._data = self._data[os.write(self._near, self._data) :]
                except BlockingIOError:
                    await _writable(self._near)
        except BrokenPipeError:
            pass
        self.close()

    def close(self) -> None:
        """It gets no more."""
        if self._near is not None:
            os.close(self._near)
            self._near = None


async def _writable(descriptor: int) -> None:
    """Returns once there is room in the pipe, or nobody any more who could read it."""
    loop = asyncio.get_running_loop()
    room = asyncio.Event()
    loop.add_writer(descriptor, room.set)
    try:
        await room.wait()
    finally:
        loop.remove_writer(descriptor)


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


async def _drain(tasks: Sequence[asyncio.Task[None]]) -> None:
    try:
        await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
