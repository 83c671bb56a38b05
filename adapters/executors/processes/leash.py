"""Starts programs that end with this process: the near side of `guard`."""

import asyncio
import os
import signal
import socket
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from . import guard

NOT_STARTED: Final = guard.NOT_STARTED


class Leash:
    """Held while a program runs. Where it ends without `let_go`, the guard kills the group.

    A forked child drops its copy, which would hold the program after the engine is dead.
    """

    def __init__(self) -> None:
        self._ours, self.far = socket.socketpair()
        self._ours.setblocking(False)
        _held.add(self)

    def let_go(self) -> None:
        """The program may stay, or has gone."""
        with suppress(OSError):  # nobody is there who could be told, or it was dropped
            self._ours.send(b".")
        self.drop()

    def drop(self) -> None:
        """The group ends, as if this process had: also one that is only about to be."""
        self._ours.close()
        self.far.close()

    def require_started(self, program: str) -> None:
        """Raises what kept the guard from becoming the program, which has then ended with
        `NOT_STARTED`.
        """
        try:
            number = int(self._ours.recv(16) or b"0")
        except BlockingIOError:  # the program ended with this code itself
            return
        if number:
            raise OSError(number, os.strerror(number), program)


async def start(
    argv: Sequence[str],
    leash: Leash,
    *,
    env: Mapping[str, str],
    cwd: str | None,
    stdin: int,
    stdout: int,
    stderr: int,
    memory: int | None = None,
) -> asyncio.subprocess.Process:
    """The program in a group of its own, on ``leash``.

    ``memory`` bounds the address space of each of its processes, in bytes. A cancellation in
    between ends the whole group. Raises OSError where the guard cannot start; whether the program
    could, `Leash.require_started` says at its end.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *_words(leash.far, memory, env),
            *argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            start_new_session=True,
            pass_fds=[leash.far.fileno()],
        )
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:
        leash.drop()  # for a second cancellation, which leaves nobody here to kill it
        process = await starting
        kill(process.pid)
        await process.wait()
        raise
    finally:
        leash.far.close()
    return process


def kill(group: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to every process of a group, if there is one yet."""
    with suppress(ProcessLookupError, PermissionError):  # gone; macOS: only zombies are left
        os.killpg(group, number)


def _words(far: socket.socket, memory: int | None, env: Mapping[str, str]) -> list[str]:
    """The words that go before the program's own; see `guard`."""
    bound = "" if memory is None else str(memory)
    ctype = f"={env['LC_CTYPE']}" if "LC_CTYPE" in env else ""
    return [sys.executable, "-I", "-S", guard.__file__, str(far.fileno()), bound, ctype]


_held: "weakref.WeakSet[Leash]" = weakref.WeakSet()


def _after_fork() -> None:
    for leash in list(_held):
        leash.drop()


os.register_at_fork(after_in_child=_after_fork)
