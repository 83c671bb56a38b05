"""What lies in the state directory for others to find: the first token, and where a server runs."""

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

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


def running_on(folder: Path) -> Running | None:
    """The server whose record lies in ``folder``, if its process lives and nobody else wrote it."""
    path = folder / SERVER_FILE
    try:
        if path.stat().st_uid != os.getuid():
            return None
        found = msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if _lives(found.pid) else None


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process
        return True
    return True


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
