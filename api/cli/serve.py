"""`apflow serve`: the HTTP server, with the engine in it."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ...domain.errors import ApflowError, InvalidInput, StoreUnavailable
from ..state import SERVER_FILE as SERVER_FILE
from .console import Console
from .desk import Desk, settle_in

GRACE: Final = 15
"""Seconds for requests that are under way when the server is told to stop."""


class MissingExtra(ApflowError):
    """Something is not installed."""


def main(
    console: Console,
    *,
    host: str | None,
    port: int | None,
    allow_hosts: Sequence[str] | None,
    store: str | None,
    imports: Sequence[str] | None,
    no_engine: bool,
    paused: bool,
) -> int:
    """Serve until told to stop."""
    flags = {"host": host, "port": port, "allowed_hosts": tuple(allow_hosts or ()) or None}
    settings = settle_in(imports, store, **flags)
    if no_engine and paused:
        raise InvalidInput("--paused holds an engine back, and --no-engine has none")
    desk = Desk(settings)
    try:
        from ..http.serving import serve  # noqa: PLC0415 - libraries of an extra
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"the server needs {error.name}: pip install 'aipartnerupflow[api]'"
        ) from error
    folder = settings.private_state_dir()
    record = _Record(folder, console, desk)
    try:
        asyncio.run(
            serve(settings, desk.store, record.begin, folder=folder, engine=not no_engine,
                  paused=paused)
        )  # fmt: skip
    finally:
        record.end()
    return 0


class _Record:
    """Tells people and other commands where the server is, as long as it runs."""

    def __init__(self, folder: Path, console: Console, desk: Desk) -> None:
        self._path = folder / SERVER_FILE
        self._console = console
        self._desk = desk
        self._written = False

    def begin(self, url: str) -> None:
        """It answers from here on."""
        known = {"url": url, "pid": os.getpid(), "store": self._desk.identity}
        temporary = self._path.with_suffix(f".{os.getpid()}")
        try:
            temporary.write_text(json.dumps(known) + "\n")
            os.replace(temporary, self._path)
        except OSError as error:
            raise StoreUnavailable(f"{self._path} cannot be written: {error.strerror}") from error
        self._written = True
        if self._console.json:
            self._console.document(known)
            self._console.flush()
        self._console.say(f"serving {self._desk.place} on {url}; docs at {url}/docs")

    def end(self) -> None:
        """It does not answer any more. Another server's record is left alone."""
        if self._written and _pid_in(self._path) == os.getpid():
            self._path.unlink(missing_ok=True)


def _pid_in(path: Path) -> int | None:
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    pid = found.get("pid") if isinstance(found, dict) else None
    return pid if isinstance(pid, int) else None
