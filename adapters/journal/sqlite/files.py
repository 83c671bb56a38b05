"""The files of stores on SQLite: whether they are there, and how they are made."""

import os
from pathlib import Path

from ....domain.errors import StoreUnavailable


def store_exists(path: Path) -> bool:
    """Whether there is something at ``path``. Raises `StoreUnavailable` where that is hidden."""
    try:
        return path.exists()
    except OSError as error:
        raise StoreUnavailable(
            f"the store {path} cannot be reached: {error.strerror}. Check the name, and the owner "
            f"and mode of {path.parent}, or name another place with --store."
        ) from error


def make_private(path: Path) -> None:
    """Make the file, readable by its owner only. Its directory has to be there."""
    if store_exists(path):
        if path.is_dir():
            raise StoreUnavailable(f"the store {path} is a directory; name a file in it")
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except FileNotFoundError as error:
        raise StoreUnavailable(
            f"the store {path} cannot be made: the directory {path.parent} does not exist. "
            "Make it, or name another place with --store."
        ) from error
    except OSError as error:
        raise StoreUnavailable(
            f"the store {path} cannot be made: {error.strerror}. Name another place with --store."
        ) from error
