"""What several commands share: the application, their options, and how they are performed.

The work is done elsewhere and loaded when a command is performed, so that help comes at once.
"""

import importlib
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="apflow",
    help="Run trees of tasks and keep every fact: restart them anywhere, ask them anything.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Store = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The store: sqlite:///path.db, a path, or postgresql://…  [default: as in settings]",
    ),
]
Server = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The server to ask.  [default: as in settings, or the local]"),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout; problems as JSON on stderr.")]
Import = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="MODULE",
        help="A module that registers executors; looked for in the working directory too. "
        "Can be given several times.",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(min=0.001, metavar="SECONDS", help="Stop after so long; what is left can resume."),
]


def perform(path: str, **options: Any) -> int:
    """Perform the command at ``module:function``; returns its exit code."""
    code: int = importlib.import_module(".perform", __package__).perform(path, options)
    return code
