"""Starts a program so that it does not outlive the engine. Run as a script, on its own.

`processes` runs it instead of the program, in a session of its own, and holds the other end of a
socket. It leaves a watcher behind, bounds the memory, and becomes the program: exit code, signals
and process id are the program's. When the engine dies the socket ends, and the watcher kills the
whole group. What keeps the program from starting is written to the socket, as the number of the
error.

    process_guard.py DESCRIPTOR MEMORY LC_CTYPE PROGRAM [ARGUMENT ...]

It imports no more than it needs, since every command waits for it.
"""

import _signal  # type: ignore[import-not-found, unused-ignore]  # `signal` takes as long as Python
import os
import sys
from collections.abc import MutableMapping, Sequence

NOT_STARTED = 127
"""Exit code where there is no program to become."""


def main(arguments: Sequence[str]) -> None:
    """Become the program, or say why not."""
    line, memory, ctype, *argv = arguments
    try:
        _leave_watcher(int(line))
        os.set_inheritable(int(line), False)
        _restore(os.environ, ctype)
        if memory:
            _bound(int(memory))
        os.execvp(argv[0], argv)  # nosec B606
    except (OSError, ValueError) as error:
        os.write(int(line), str(getattr(error, "errno", None) or 22).encode())
        os._exit(NOT_STARTED)


def _leave_watcher(line: int) -> None:
    """Nobody's child in a session of its own, so that the program meets it nowhere."""
    group = os.getpid()
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return
    os.setsid()
    if os.fork() == 0:
        _watch(line, group)
    os._exit(0)


def _watch(line: int, group: int) -> None:
    for standard in range(3):
        os.close(standard)
    os.chdir("/")
    try:
        told = os.read(line, 1)
    except OSError:  # the other end is gone with something unread
        told = b""
    if not told:
        os.killpg(group, _signal.SIGKILL)


def _restore(environment: MutableMapping[str, str], ctype: str) -> None:
    """Undo what Python changes of itself: signals that it ignores, and LC_CTYPE in the C locale."""
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(number, _signal.SIG_DFL)
    environment.pop("LC_CTYPE", None)
    if ctype:
        environment["LC_CTYPE"] = ctype.removeprefix("=")


def _bound(memory: int) -> None:
    import resource  # noqa: PLC0415

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


if __name__ == "__main__":
    main(sys.argv[1:])
