"""The commands put together, and what the parser itself has to say."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from . import commands, looking, operating, steering
from .options import app

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""The parser's own class for a wrong use; it has no public name that all versions share."""

INTERRUPTED = 130

COMMANDS = (commands, looking, steering, operating)
"""The modules that enter their commands into the application."""


def run(args: Sequence[str]) -> int:
    """Parse and perform; returns the exit code."""
    try:
        command, name, rest = _chosen(list(args))
        code = command.main(rest, prog_name=name, standalone_mode=False)
    except UsageError as error:
        return _misused(error, args)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except OSError as error:  # help that cannot be written; commands guard themselves
        sys.stderr.write(f"apflow: cannot write the output: {error.strerror}\n")
        return 1
    return code if isinstance(code, int) else 0


def _chosen(args: list[str]) -> tuple[Any, str, list[str]]:
    """A command that comes first is parsed alone: by way of its group a library of 0.2 s loads."""
    group = get_command(app)
    if isinstance(group, TyperGroup) and args and args[0] in group.commands:
        command = group.commands[args[0]]
        command.context_settings = {**group.context_settings, **command.context_settings}
        return command, f"apflow {args[0]}", args[1:]
    return group, "apflow", args


def _misused(error: Exception, args: Sequence[str]) -> int:
    console = importlib.import_module(".console", __package__)
    if "--json" in args:
        console.Console(json=True).misuse(error.format_message())  # type: ignore[attr-defined]
    else:
        error.show(sys.stderr)  # type: ignore[attr-defined]
    return 2
