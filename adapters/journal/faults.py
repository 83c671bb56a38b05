"""From the databases' errors to ours, told so that an operator knows what to do."""

import os
import sqlite3
from pathlib import Path
from shlex import quote
from urllib.parse import unquote, urlsplit

from ...domain.errors import (
    IdTaken,
    KeyTaken,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)

OWNER = "check its owner and mode."
DIRECTORY = "check that its directory exists and is yours."


class VersionTaken(Exception):
    """The primary key refused an event: somebody else has written that version."""


def place_of(name: str) -> Path:
    """The file that a database's name, maybe a URI, stands for."""
    return Path(unquote(urlsplit(name).path) if name.startswith("file:") else name)


def from_sqlite(error: sqlite3.Error, name: str) -> Exception:
    """The error to raise for ``error`` of the store whose database has this name."""
    path = place_of(name)
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        if "stored_events" in text:
            return VersionTaken(text)
        if "tree.request" in text:
            return KeyTaken("")
        if "task.id" in text or "tree.id" in text:
            return IdTaken(())
        return StoreCorrupt(
            f"the status rows of the store {path} do not fit its log ({text}); nothing was "
            "written. `apflow rebuild` makes them again."
        )
    if "disk is full" in text:
        return StoreFull(
            f"no space left for the store {path}. What was acknowledged is kept; free some space."
        )
    if "readonly" in text:
        return StoreReadOnly(f"the store {path} cannot be written: {_barred(path) or OWNER}")
    if "locked" in text:
        return StoreUnavailable(
            f"the store {path} is locked by another process for longer than the time allowed. "
            "Try again, or find that process."
        )
    if "unable to open" in text:
        return StoreUnavailable(f"the store {path} cannot be opened: {_barred(path) or DIRECTORY}")
    if isinstance(error, sqlite3.OperationalError) and "no such" not in text:
        return StoreError(f"the store {path} failed: {text}")
    if "not a database" in text:
        return StoreCorrupt(
            f"the store {path} is not a SQLite database. Name another file with --store; "
            "if it was one, its beginning is damaged: keep a copy, then restore a backup."
        )
    return StoreCorrupt(
        f"the store {path} is damaged ({text}). Keep a copy, then restore a backup; or get what "
        "can be read with SQLite's `.recover`, and make the rows again with `apflow rebuild`."
    )


def _barred(path: Path) -> str:
    """What keeps us from writing there, and what to do; empty where nothing is seen to."""
    folder = path.parent
    try:
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return "its file system is read-only. Mount it writable, or copy the store elsewhere."
        may = os.access(path, os.R_OK | os.W_OK) if path.exists() else True
    except OSError:
        return ""
    if not may:
        mend = f"chmod 600 {quote(str(path))}"
        return f"you may not read and write the file. Check its owner and mode: {mend}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return (
            f"you may not write to the directory {folder}, and SQLite needs to write beside the "
            f"file. Check its owner and mode: chmod 700 {quote(str(folder))}"
        )
    return ""
