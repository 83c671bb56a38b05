"""The tables of a store on SQLite: made once, brought up to date on opening."""

import sqlite3
from collections.abc import Sequence

from ..sql import script, statements

SCHEMA_VERSION = 3
"""As it stands in the file's ``user_version``."""

_STEPS = statements("sqlite_migrations")


def table_statements() -> list[str]:
    """What makes each table, index and view of ours that is missing."""
    return _parts(script("sqlite_schema"))


def make_schema(cursor: sqlite3.Cursor, found: int, create: Sequence[str]) -> None:
    """Lead a store from version ``found`` (0: there is none) to ours; ``create`` makes tables."""
    for version in range(found or SCHEMA_VERSION, SCHEMA_VERSION):
        for statement in _parts(getattr(_STEPS, f"from_{version}")):
            cursor.execute(statement)
    for statement in create:
        cursor.execute(statement)
    cursor.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _parts(text: str) -> list[str]:
    return [part for part in text.split(";\n") if part.strip()]
