"""The commands put together, and what the parser itself has to say."""

import importlib
import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

from .commands import app

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""The parser's own class for a wrong use; it has no public name that all versions share."""

INTERRUPTED = 130


def run(args: Sequence[str]) -> int:
    """Parse and perform; returns the exit code."""
    try:
        code = get_command(app).main(list(args), prog_name="apflow", standalone_mode=False)
    except UsageError as error:
        return _misused(error, args)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _misused(error: Exception, args: Sequence[str]) -> int:
    console = importlib.import_module(".console", __package__)
    if "--json" in args:
        console.Console(json=True).misuse(error.format_message())  # type: ignore[attr-defined]
    else:
        error.show(sys.stderr)  # type: ignore[attr-defined]
    return 2
