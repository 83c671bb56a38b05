"""One command on the far side: begun, watched, ended, and found again over another connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import ClassVar, Final

import asyncssh
from msgspec import Struct

from ....domain.errors import ApflowError
from ..errors import TransientError
from ..processes.running import MAX_FLOOD, Stream
from . import scripts
from .connections import REFUSALS, Unreachable

MAX_KEPT: Final = 1024 * 1024
"""Bytes of each stream that are kept."""
END_SECONDS: Final = 8.0
"""How long ending a command may take: the engine waits ten."""
AGAIN: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries to reach a host again; the last one from then on."""
ANSWER: Final = 15.0
"""Seconds for what a short script says."""
MAX_ANSWER: Final = 4 * 1024
"""Bytes of it."""
MAX_GREETING: Final = 64 * 1024
"""Bytes that the user's shell may say before it."""
_MARK: Final = f"{scripts.MARK}\n".encode()
_CHUNK: Final = 64 * 1024
_LIMITS: Final = (MAX_KEPT + 1, MAX_FLOOD)

Connect = Callable[[], AbstractAsyncContextManager[asyncssh.SSHClientConnection]]


class CommandLost(TransientError):
    """The command was killed on the far side, or the machine went down. It has no exit code."""


class Unsuitable(ApflowError):
    """The far side cannot run commands so that they can be ended, and found again."""

    transient: ClassVar[bool] = False


class Ended(Struct, frozen=True):
    """How it ended; without a ``code`` it was ended by force."""

    code: int | None
    flooded: bool = False


class Job:
    """A command by the name of its folder. ``connect`` gives connections to its host."""

    def __init__(self, connect: Connect, name: str, hear: Callable[[bytes], None]) -> None:
        self.out, self.err = Stream(bytearray()), Stream(bytearray())
        self._connect = connect
        self._name = name
        self._hear = hear
        self._begun = False
        self._told = False
        self.reached = False
        """Whether the host was, at any time."""
        self.refusal: Exception | None = None
        """Why it was not, the last time, where it has said so."""

    async def run(self, script: bytes) -> Ended:
        """Begin it and wait for its end. When the wait is cut short the command is ended."""
        try:
            async with self._connect() as connection:
                self._begun = self.reached = True
                status = await self._watch(connection, scripts.START, script)
            return await self._until_ended(status)
        except BaseException:
            await self.end()
            raise

    async def find(self) -> bool:
        """Whether it runs, or has ended and waits for being collected.

        Raises `Unreachable` and `REFUSALS` where that is not told.
        """
        async with self._connect() as connection:
            said = (await _ask(connection, scripts.line(scripts.LOOK, self._name))).strip()
        if said == scripts.GONE:
            return False
        if said != scripts.ENDED and not said.isdigit():
            raise Unreachable("the host does not tell whether the command is there")
        return True

    async def follow(self) -> Ended:
        """Wait for the end of one that was begun before, over as many connections as it takes."""
        self._begun = self._told = True
        try:
            return await self._until_ended(None)
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """End its whole process group, and drop its folder. Not more than `END_SECONDS`."""
        if not self._begun:
            return
        self._begun = False
        with suppress(TimeoutError, Unreachable, *REFUSALS):
            async with asyncio.timeout(END_SECONDS), self._connect() as connection:
                begun = "begun" if self._told else ""
                await _ask(connection, scripts.line(scripts.END, self._name, begun))

    async def _until_ended(self, status: int | None) -> Ended:
        """From how the watching ended to how the command did; None: the connection is lost."""
        async for wait in _waits():
            try:
                if status is None:
                    async with self._connect() as connection:
                        self.reached = True
                        status = await self._watch(connection, scripts.FOLLOW)
                if status is not None:
                    return await self._ended(status)
            except Unreachable:
                self.refusal = None  # it may run on: look again
            except REFUSALS as error:
                self.refusal = error  # it need not be so for long
            await asyncio.sleep(wait)
        raise AssertionError("it is tried for ever")

    async def _ended(self, status: int) -> Ended:
        match status:
            case 0:
                async with self._connect() as connection:
                    said = await _ask(connection, scripts.line(scripts.FINISH, self._name))
                self._begun = False
                if not said.strip().isdigit():
                    raise CommandLost("the exit code of the command is not there any more")
                return Ended(int(said))
            case scripts.FLOODED:
                await self.end()
                return Ended(None, flooded=True)
            case scripts.NO_GROUP:
                raise Unsuitable("the SSH server gives commands no process group of their own")
            case scripts.TAKEN:
                self._begun = False
                raise Unsuitable(
                    f"~/{scripts.FOLDER} cannot be written to on the far side, or has a command of "
                    "this very attempt"
                )
            case scripts.LOST | scripts.BROKEN_OFF:
                self._told = True
                raise CommandLost("the command was killed on the far side, and left no exit code")
            case _:
                raise Unsuitable(
                    "the user's shell on the far side does not run `sh`, or `sh` is not what POSIX "
                    "says"
                )

    async def _watch(
        self, connection: asyncssh.SSHClientConnection, script: str, given: bytes = b""
    ) -> int | None:
        """Take in the output until all of it was sent; gives the exit status of the script.

        None where the connection was lost meanwhile.
        """
        line = scripts.line(script, self._name, *_LIMITS, self.out.size, self.err.size)
        try:
            process = await connection.create_process(line, encoding=None)
            with suppress(BrokenPipeError):
                process.stdin.write(given)
                process.stdin.write_eof()
            await asyncio.gather(
                self._take(process.stdout, self.out), self._take(process.stderr, self.err)
            )
            await process.wait_closed()
        except (asyncssh.Error, OSError) as error:
            if isinstance(error, asyncssh.ChannelOpenError) and given:
                self._begun = False
                raise Unreachable("the host opens no channel for a command") from error
            return None
        if process.exit_signal is not None:
            return scripts.LOST
        return process.exit_status

    async def _take(self, reader: asyncssh.SSHReader[bytes], stream: Stream) -> None:
        """Read to the end what comes after the mark."""
        try:
            await reader.readuntil(_MARK)
        except asyncio.IncompleteReadError:
            return
        self._told = True
        while chunk := await reader.read(_CHUNK):
            stream.kept += chunk[: max(0, MAX_KEPT - len(stream.kept))]
            stream.size += len(chunk)
            self._hear(chunk)


async def _ask(connection: asyncssh.SSHClientConnection, line: str) -> str:
    """What a short script says after the mark. Raises `Unreachable`."""
    process = None
    try:
        async with asyncio.timeout(ANSWER):
            process = await connection.create_process(
                line, encoding=None, stdin=asyncssh.DEVNULL, stderr=asyncssh.DEVNULL
            )
            said = await _answer(process.stdout)
            await process.wait_closed()
    except TimeoutError as error:
        raise Unreachable("the host does not answer in time") from error
    except (asyncssh.Error, OSError) as error:
        raise Unreachable("the connection to the host broke off") from error
    finally:
        if process is not None:
            process.close()
    if process.exit_status is None:
        raise Unreachable("the connection to the host broke off")
    return said


async def _answer(reader: asyncssh.SSHReader[bytes]) -> str:
    """To the end, without the mark and what comes before it."""
    said = b""
    while chunk := await reader.read(MAX_ANSWER):
        said += chunk
        greeting, _, answer = said.partition(_MARK)
        if len(greeting) > MAX_GREETING or len(answer) > MAX_ANSWER:
            raise Unreachable("the host says too much for an answer")
    _, mark, answer = said.partition(_MARK)
    if not mark:
        raise Unreachable("the host gives no answer")
    return answer.decode("ascii", "replace")


async def _waits() -> AsyncIterator[float]:
    for wait in AGAIN:
        yield wait
    while True:
        yield AGAIN[-1]
