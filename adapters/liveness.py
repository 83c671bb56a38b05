"""Whether the engine that claimed a tree still lives: by file lock, by process, by process memory.

An engine's name holds the boot id, the pid namespace, the pid and the start time of its process,
and a random part: enough to look it up on the same machine.
"""

import fcntl
import os
import secrets
import weakref
from contextlib import suppress
from pathlib import Path

from ..domain.errors import StoreReadOnly

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_UNKNOWN = "0"


def engine_name() -> str:
    """A fresh name for an engine of this process: ``boot.namespace.pid.start.random``."""
    pid = os.getpid()
    return ".".join((_boot(), _namespace(), str(pid), _start_time(pid), secrets.token_hex(4)))


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


def _start_time(pid: int) -> str:
    """Clock ticks since boot at which the process began (proc(5), field 22 of stat)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _UNKNOWN
    return text.rpartition(")")[2].split()[19]


class LocalLiveness:
    """For stores that no other process can open: alive are the engines of this process."""

    _alive: set[str] = set()  # noqa: RUF012

    def __init__(self) -> None:
        self.name = engine_name()
        self._alive.add(self.name)

    def alive(self, engine: str) -> bool | None:
        """See `engine.ports.Liveness.alive`."""
        return engine in self._alive

    def leave(self) -> None:
        """See `engine.ports.Liveness.leave`."""
        self._alive.discard(self.name)


class ProcessLiveness(LocalLiveness):
    """For stores on a server: looks the process up where the name says it is on this machine."""

    def alive(self, engine: str) -> bool | None:
        """True or False on this machine, None where the process lives elsewhere."""
        if engine in self._alive:
            return True
        parts = engine.split(".")
        if len(parts) != 5 or parts[0] == _UNKNOWN:
            return None
        boot, namespace, pid, start, _ = parts
        if boot != _boot() or namespace != _namespace():
            return None
        if int(pid) == os.getpid():
            return False
        return _start_time(int(pid)) == start


class FileLiveness:
    """For SQLite: an engine locks ``<store>.engine-<name>``; the kernel drops the lock at death.

    Who finds the lock free deletes the file while holding it. A forked child closes its copy, which
    would keep a dead engine alive.
    """

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
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            path.unlink(missing_ok=True)
            return False
        finally:
            os.close(fd)

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
