"""Whether the engine that claimed a tree still lives: by file lock, by lease, by what it shares.

An engine's name holds the boot id, the pid namespace, the pid and the start time of its process,
and a random part: enough to look it up on the same machine.
"""

import fcntl
import os
import secrets
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ..domain.errors import StoreReadOnly

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_UNKNOWN = "0"

LEASE = 10.0
"""Seconds for which an engine on a server counts as alive after it has said so."""


def engine_name() -> str:
    """A fresh name for an engine of this process: ``boot.namespace.pid.start.random``."""
    pid = os.getpid()
    start = _start_time(pid) or _UNKNOWN
    return ".".join((_boot(), _namespace(), str(pid), start, secrets.token_hex(4)))


def _boot() -> str:
    try:
        return _BOOT.read_text().strip().replace("-", "")[:12]
    except OSError:
        return _UNKNOWN


def _namespace() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return _UNKNOWN


def _start_time(pid: int) -> str | None:
    """Clock ticks since boot at which the process began (proc(5), field 22 of stat).

    `_UNKNOWN` where that is hidden, None where there is no such process, or only its remains.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _UNKNOWN if _exists(pid) else None
    return None if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class LocalLiveness:
    """For stores that no other process can open: alive are the engines of this process."""

    beat_every: float | None = None
    _alive: set[str] = set()  # noqa: RUF012

    def __init__(self) -> None:
        self.name = engine_name()
        self._alive.add(self.name)

    def alive(self, engine: str) -> bool | None:
        """See `engine.ports.Liveness.alive`."""
        return engine in self._alive

    def beat(self, executors: Sequence[str]) -> bool:
        """Not needed."""
        return True

    def leave(self) -> None:
        """See `engine.ports.Liveness.leave`."""
        self._alive.discard(self.name)


class Leases(Protocol):
    """Which engines have said, not too long ago, that they live. Raises `StoreError`."""

    def beat(self, engine: str, executors: Sequence[str]) -> bool:
        """The engine lives and can run these; whether its lease was held until now."""

    def is_held(self, engine: str) -> bool: ...

    def engines(self) -> Mapping[str, Sequence[str]]:
        """What can be run by each engine whose lease is held."""

    def leave(self, engine: str) -> None:
        """End its lease and let go of what this object holds.

        Never raises, and comes back in time where the server does not.
        """


class Neighbours:
    """The engines of a store on a server, seen by somebody who need not be one of them."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    def alive(self, engine: str) -> bool | None:
        """See `engine.ports.Liveness.alive`.

        A process that is gone from this machine is dead at once. All else goes by its lease, also
        a process that was stopped: whoever takes its trees is safe from it.
        """
        return not _is_gone(engine) and self._leases.is_held(engine)

    def live_engines(self) -> Mapping[str, Sequence[str]]:
        """The executors of every living engine, by its name."""
        leases = self._leases.engines()
        return {name: ids for name, ids in leases.items() if not _is_gone(name)}


class ProcessLiveness(Neighbours):
    """For stores on a server: an engine has a lease there, and its process can be looked up.

    The first beat is the making of this object, so that its name stands there before any claim.
    """

    beat_every: float | None = 3.0

    def __init__(self, leases: Leases, executors: Sequence[str] = ()) -> None:
        super().__init__(leases)
        self.name = engine_name()
        LocalLiveness._alive.add(self.name)
        self._beaten = time.monotonic()
        try:
            leases.beat(self.name, executors)
        except BaseException:
            self.leave()
            raise

    def beat(self, executors: Sequence[str]) -> bool:
        """See `engine.ports.Liveness.beat`. Raises `StoreError` where the server is away."""
        held = self._leases.beat(self.name, executors)
        # An answer may have been lost, and with it that the lease had run out.
        former, self._beaten = self._beaten, time.monotonic()
        return held and self._beaten - former < LEASE

    def leave(self) -> None:
        """See `engine.ports.Liveness.leave`. Never raises; blocks for seconds at most."""
        LocalLiveness._alive.discard(self.name)
        self._leases.leave(self.name)


def _is_gone(engine: str) -> bool:
    """Whether the name is that of a process of this machine that has ended."""
    parts = engine.split(".")
    if len(parts) != 5 or _UNKNOWN in parts[:4] or not parts[2].isdigit():
        return False
    boot, namespace, pid, start, _ = parts
    if boot != _boot() or namespace != _namespace():
        return False
    if int(pid) == os.getpid():
        return engine not in LocalLiveness._alive
    return _start_time(int(pid)) not in (start, _UNKNOWN)


class FileLiveness:
    """For SQLite: an engine locks ``<store>.engine-<name>``; the kernel drops the lock at death.

    Who finds the lock free deletes the file while holding it. A forked child closes its copy, which
    would keep a dead engine alive.
    """

    beat_every: float | None = None

    def __init__(self, store: Path) -> None:
        self.name = engine_name()
        self._store = store
        self._path = self._path_of(self.name)
        try:
            self._fd: int | None = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreReadOnly(
                f"cannot lock the store {store}: {error.strerror}. Its directory must be writable."
            ) from error
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _held.add(self)

    def alive(self, engine: str) -> bool | None:
        """See `engine.ports.Liveness.alive`."""
        if engine == self.name:
            return self._fd is not None
        path = self._path_of(engine)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:  # somebody else's, or no descriptor left: it cannot be told
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # others may ask at the same time
        except BlockingIOError:
            return True
        else:
            path.unlink(missing_ok=True)
            return False
        finally:
            os.close(fd)

    def beat(self, executors: Sequence[str]) -> bool:
        """Not needed: the lock holds by itself."""
        return True

    def leave(self) -> None:
        """See `engine.ports.Liveness.leave`."""
        if self._fd is not None:
            self._path.unlink(missing_ok=True)
            self.drop()

    def drop(self) -> None:
        """Close this process's copy of the lock."""
        if self._fd is not None:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = None

    def _path_of(self, engine: str) -> Path:
        return self._store.with_name(f"{self._store.name}.engine-{engine.replace('/', '_')}")


_held: "weakref.WeakSet[FileLiveness]" = weakref.WeakSet()


def _after_fork() -> None:
    LocalLiveness._alive.clear()
    for lock in list(_held):
        lock.drop()


os.register_at_fork(after_in_child=_after_fork)
