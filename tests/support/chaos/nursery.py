"""A process that has loaded everything and waits; it makes programs by forking, which is quicker.

Over the socket whose number is its argument it takes requests, each with two files to be the
program's stdout and stderr. It answers with the program's pid and, once it has ended, its exit
status. The dead program keeps its pid until the next request.
"""

import asyncio
import gc
import os
import socket
import sys

import msgspec

from aipartnerupflow.adapters.journal.postgres import inbox, leases, listener
from aipartnerupflow.adapters.journal.postgres import recorder as postgres
from aipartnerupflow.adapters.journal.sqlite import recorder as sqlite
from tests.support.chaos.plan import Plan
from tests.support.chaos.program import die_with_parent, main

LOADED = (sqlite, postgres, inbox, leases, listener)
"""What a store loads when it is opened."""
MOST = 1 << 16


class Request(msgspec.Struct):
    """A program to be made: its plan, its working directory, what its environment has more."""

    plan: Plan
    folder: str
    environment: dict[str, str]


def serve(channel: socket.socket) -> Request | None:
    """Make programs until the other side is gone. Returns once more in each program."""
    gc.freeze()
    last = 0
    while True:
        data, files, _, _ = socket.recv_fds(channel, MOST, 2)
        if last:
            os.waitpid(last, 0)
        if not data:
            return None
        last = os.fork()
        if not last:
            become(files)
            return msgspec.json.decode(data, type=Request)
        for file in files:
            os.close(file)
        channel.send(b"%d" % last)
        ended = os.waitid(os.P_PID, last, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        died = ended.si_code != os.CLD_EXITED
        channel.send(b"%d" % (-ended.si_status if died else ended.si_status))


def become(files: list[int]) -> None:
    """What a new process does before it is its own."""
    die_with_parent()
    os.setsid()
    for number, file in enumerate(files, start=1):
        os.dup2(file, number)
        os.close(file)


def work() -> None:
    """Serve; in a program do what was asked for."""
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        request = serve(channel)
    if request is not None:
        os.chdir(request.folder)
        os.environ.update(request.environment)
        asyncio.run(main(request.plan))


if __name__ == "__main__":
    die_with_parent()
    work()
