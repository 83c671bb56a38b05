"""`apflow version`: what is installed here."""

import importlib.metadata
import platform
import sqlite3

from ... import __version__
from .console import Console

LIBRARIES = ("eventsourcing", "msgspec", "pydantic-settings", "psycopg")


def main(console: Console) -> int:
    """One line for each part."""
    parts = {"aipartnerupflow": __version__, "python": platform.python_version()}
    parts |= {name: found for name in LIBRARIES if (found := _installed(name)) is not None}
    parts["sqlite"] = sqlite3.sqlite_version
    if console.json:
        console.document(parts)
    else:
        for name, version in parts.items():
            console.print(f"{name} {version}")
    return 0


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
