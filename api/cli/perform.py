"""Performing a command: whatever happens becomes a message and an exit code, never a traceback."""

import importlib
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from ...domain.errors import ApflowError
from ..problems import Exit
from .console import Console, Unwritable, clean, hush

log = logging.getLogger("aipartnerupflow")


class Warnings(logging.Handler):
    """What our own code warns of, a line each, without tracebacks."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Say it where people read."""
        self._console.say(f"apflow: {record.levelname.lower()}: {clean(record.getMessage())}")


def perform(path: str, options: Mapping[str, Any]) -> int:
    """Call the function that ``module:name`` stands for, in this folder; returns its exit code."""
    options = dict(options)
    closed = _fill_closed()
    console = Console(json=options.pop("json"))
    if closed:
        return console.fail(Unwritable("it is closed"))
    warnings = Warnings(console)
    log.addHandler(warnings)
    try:
        return _guarded(console, path, options)
    finally:
        log.removeHandler(warnings)


def _guarded(console: Console, path: str, options: Mapping[str, Any]) -> int:
    name, _, function = path.partition(":")
    try:
        module = importlib.import_module(f".{name}", __package__)
        code: int = getattr(module, function)(console, **options)
        console.flush()
        return code
    except BrokenPipeError:
        hush(sys.stdout, sys.stderr)
        return console.code
    except ApflowError as error:
        return console.fail(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _fill_closed() -> bool:
    """Streams that were closed before we began lead nowhere; returns whether stdout was.

    Else what is opened next takes their numbers. ``sys.stdin`` stays None, for who wants to read.
    """
    closed = sys.stdout is None
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    return closed
