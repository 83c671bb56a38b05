"""`apflow serve`: the HTTP server, with the engine in it."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ...domain.errors import ApflowError, InvalidInput
from ..state import Record, Running
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
        self._folder = folder
        self._console = console
        self._desk = desk
        self._record: Record | None = None

    def begin(self, url: str) -> None:
        """It answers from here on."""
        running = Running(url, os.getpid(), self._desk.identity)
        self._record = Record(self._folder, running)
        if self._console.json:
            self._console.document(running)
            self._console.flush()
        self._console.say(f"serving {self._desk.place} on {url}; docs at {url}/docs")

    def end(self) -> None:
        """It does not answer any more."""
        if self._record is not None:
            self._record.end()
