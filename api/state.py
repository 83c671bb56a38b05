"""What lies in the state directory for others to find: the first token, and where a server runs."""

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, structs

from ..domain.errors import InvalidInput, StoreUnavailable

TOKEN_FILE: Final = "token"
SERVER_FILE: Final = "server.json"
SHORTEST: Final = 32
OTHERS: Final = 0o077


class Running(Struct, frozen=True):
    """A server that runs on a state directory. ``store``: its path, or URL without password."""

    url: str
    pid: int
    store: str = ""


class Record:
    """Says where a server runs. It holds as long as the process that made it, by a lock on it: who
    reads it cannot be led to another process that has taken the address since.
    """

    def __init__(self, folder: Path, running: Running) -> None:
        self._path = folder / SERVER_FILE
        temporary = self._path.with_suffix(f".{running.pid}")
        try:
            self._descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._descriptor, json.dumps(structs.asdict(running)).encode() + b"\n")
            os.replace(temporary, self._path)
        except OSError as error:
            raise StoreUnavailable(f"{self._path} cannot be written: {error.strerror}") from error

    def end(self) -> None:
        """It does not run any more. Another server's record is left alone."""
        with suppress(FileNotFoundError):
            if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
                self._path.unlink()
        os.close(self._descriptor)


def running_on(folder: Path) -> Running | None:
    """The server whose record lies in ``folder``, if it is ours and its process lives."""
    try:
        with (folder / SERVER_FILE).open("rb") as file:
            own = os.fstat(file.fileno()).st_uid == os.getuid()
            found = msgspec.json.decode(file.read(), type=Running)
            return found if own and _is_held(file.fileno()) else None
    except (OSError, msgspec.MsgspecError):
        return None


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def read_token(path: Path) -> str:
    """The token in a file of its owner's only. Raises `InvalidInput`, `StoreUnavailable`."""
    try:
        if path.stat().st_mode & OTHERS:
            raise InvalidInput(f"others may read the token in {path}. chmod 600 {path}")
        token = path.read_text().strip()
    except OSError as error:
        raise StoreUnavailable(f"the token in {path} cannot be read: {error.strerror}") from error
    if len(token) < SHORTEST:
        raise InvalidInput(f"{path} holds no token. Delete it, and a new one is made.")
    return token
