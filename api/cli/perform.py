"""Performing a command: whatever happens becomes a message and an exit code, never a traceback."""

import importlib
import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from ...domain.errors import ApflowError
from ..problems import Exit
from .console import Console, clean

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
    console = Console(json=options.pop("json"))
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
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _hush()
        return console.code
    except ApflowError as error:
        return console.fail(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _hush() -> None:
    """Who read our output has enough: let nothing complain of it at the end of the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (OSError, ValueError):
            continue
