"""What there is to type: each command's arguments and help.

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


def _perform(path: str, **options: Any) -> int:
    code: int = importlib.import_module(".perform", __package__).perform(path, options)
    return code


@app.command()
def demo(store: Store = None, imports: Import = None, json: Json = False) -> int:
    """Run a small tree that looks at this machine."""
    return _perform("demo:main", store=store, imports=imports, json=json)


@app.command()
def run(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A tree as JSON; - reads it from stdin.")
    ],
    store: Store = None,
    imports: Import = None,
    timeout: Timeout = None,
    json: Json = False,
) -> int:
    """Run the tree in FILE until it has settled.

    It runs in this process. FILE holds an array of tasks, a task with children, or
    {"name": …, "tasks": […]}. Ends with 0 when the tree completed, 10 when it failed, 11 when it
    was cancelled, 130 when it was interrupted.
    """
    return _perform("run:main", file=file, store=store, imports=imports, timeout=timeout, json=json)


@app.command()
def resume(
    trees: Annotated[
        list[str] | None,
        typer.Argument(metavar="TREE", help="Ids, or their beginnings; all if none is given."),
    ] = None,
    store: Store = None,
    imports: Import = None,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Take trees from engines that are alive, or may be."),
    ] = False,
    timeout: Timeout = None,
    json: Json = False,
) -> int:
    """Go on with every interrupted tree.

    They run in this process, which ends when they have settled. Trees of living engines are left.
    """
    return _perform(
        "resume:main",
        trees=trees, store=store, imports=imports, take_over=take_over, timeout=timeout, json=json,
    )  # fmt: skip


@app.command("list")
def list_(
    status: Annotated[
        str | None,
        typer.Option(help="pending, in_progress, completed, failed or cancelled."),
    ] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="Only what was not submitted.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 20,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on where a former list ended.")
    ] = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """List trees, newest first."""
    return _perform(
        "show:trees",
        status=status, drafts=drafts, limit=limit, after=after, store=store, json=json,
    )  # fmt: skip


@app.command()
def get(
    id: Annotated[
        str, typer.Argument(metavar="ID", help="A tree, or the beginning of its id; or a task.")
    ],
    store: Store = None,
    json: Json = False,
) -> int:
    """Show a tree with its tasks, or one task."""
    return _perform("show:one", id=id, store=store, json=json)


@app.command()
def history(
    id: Annotated[str, typer.Argument(metavar="ID", help="A tree, or the beginning of its id.")],
    task: Annotated[str | None, typer.Option(help="Only events of this task (key or id).")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only events after this version.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at most.")] = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Show all that happened to a tree, in order."""
    return _perform(
        "history:main", id=id, task=task, after=after, limit=limit, store=store, json=json
    )


@app.command()
def executors(
    id: Annotated[str | None, typer.Argument(metavar="ID", help="One executor, in full.")] = None,
    imports: Import = None,
    json: Json = False,
) -> int:
    """List the executors, or show one with its schema."""
    return _perform("executors:main", id=id, imports=imports, json=json)


@app.command()
def rebuild(
    check: Annotated[
        bool, typer.Option("--check", help="Only compare; change nothing. Ends with 1 if unequal.")
    ] = False,
    store: Store = None,
    json: Json = False,
) -> int:
    """Make the status rows again from the log.

    Says first what they have otherwise than the log.
    """
    return _perform("rebuild:main", check=check, store=store, json=json)


@app.command()
def doctor(
    full: Annotated[
        bool, typer.Option("--full", help="Check every tree; without it, only the newest.")
    ] = False,
    store: Store = None,
    imports: Import = None,
    json: Json = False,
) -> int:
    """Look for what is wrong, and say what to do.

    Looks at executors, store, history and interrupted work. Ends with 1 if there is a problem.
    """
    return _perform("doctor:main", full=full, store=store, imports=imports, json=json)


@app.command()
def version(json: Json = False) -> int:
    """Show the versions of this software and its base."""
    return _perform("version:main", json=json)
