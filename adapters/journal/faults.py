"""From the databases' errors to ours, told so that an operator knows what to do."""

import sqlite3

from ...domain.errors import (
    IdTaken,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)


class VersionTaken(Exception):
    """The primary key refused an event: somebody else has written that version."""


def from_sqlite(error: sqlite3.Error, path: str) -> Exception:
    """The error to raise for ``error`` of the store at ``path``."""
    text = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        if "stored_events" in text:
            return VersionTaken(text)
        return IdTaken(()) if "task.id" in text or "tree.id" in text else StoreCorrupt(text)
    if "disk is full" in text:
        return StoreFull(
            f"no space left for the store {path}. What was acknowledged is kept; free some space."
        )
    if "readonly" in text:
        return StoreReadOnly(f"the store {path} cannot be written: check its owner and mode.")
    if "locked" in text:
        return StoreUnavailable(
            f"the store {path} is locked by another process for longer than the time allowed. "
            "Try again, or find that process."
        )
    if "unable to open" in text:
        return StoreUnavailable(
            f"the store {path} cannot be opened: check that its directory exists and is yours."
        )
    if isinstance(error, sqlite3.OperationalError) and "no such" not in text:
        return StoreError(f"the store {path} failed: {text}")
    return StoreCorrupt(
        f"the store {path} is damaged ({text}). Keep a copy; `apflow doctor` tells more."
    )
