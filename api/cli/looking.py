"""What there is to type to look at trees: each command's arguments and help."""

from typing import Annotated

import typer

from .options import Import, Json, Server, Store, Timeout, app, perform

Id = Annotated[
    str, typer.Argument(metavar="ID", help="A tree, or the beginning of its id; or a task.")
]
Tree = Annotated[str, typer.Argument(metavar="TREE", help="A tree, or the beginning of its id.")]


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
    server: Server = None,
    json: Json = False,
) -> int:
    """List trees, newest first."""
    return perform(
        "show:trees",
        status=status, drafts=drafts, limit=limit, after=after, store=store, server=server,
        json=json,
    )  # fmt: skip


@app.command()
def get(
    id: Id,
    at: Annotated[
        str | None,
        typer.Option(metavar="VERSION|TIME", help="As it stood at a version, or a time."),
    ] = None,
    store: Store = None,
    server: Server = None,
    json: Json = False,
) -> int:
    """Show a tree with its tasks, or one task.

    --at takes a version of the tree, or a time such as 2026-01-31T09:00:00Z.
    """
    return perform("show:one", id=id, at=at, store=store, server=server, json=json)


@app.command()
def watch(
    id: Tree,
    after: Annotated[
        int, typer.Option(min=0, help="With --json: only events after this version.")
    ] = 0,
    timeout: Timeout = None,
    store: Store = None,
    server: Server = None,
    json: Json = False,
) -> int:
    """Follow a tree until it has settled.

    Goes on by itself when the server was away. Ends as run does: with 10 when the tree failed, 11
    when it was cancelled. --json: a line for each event.
    """
    return perform(
        "following:main",
        id=id, after=after, timeout=timeout, store=store, server=server, json=json,
    )  # fmt: skip


@app.command()
def history(
    id: Tree,
    task: Annotated[str | None, typer.Option(help="Only events of this task (key or id).")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only events after this version.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at most.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="And what comes, until the tree has settled.")
    ] = False,
    store: Store = None,
    server: Server = None,
    json: Json = False,
) -> int:
    """Show all that happened to a tree, in order."""
    return perform(
        "history:main",
        id=id, task=task, after=after, limit=limit, follow=follow, store=store, server=server,
        json=json,
    )  # fmt: skip


@app.command()
def why(
    id: Id,
    task: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only this task of the tree.")
    ] = None,
    store: Store = None,
    server: Server = None,
    imports: Import = None,
    json: Json = False,
) -> int:
    """Say why a task runs or does not.

    Of a tree, for each task that has not ended.
    """
    return perform(
        "why:main", id=id, task=task, store=store, server=server, imports=imports, json=json
    )


@app.command()
def executors(
    id: Annotated[str | None, typer.Argument(metavar="ID", help="One executor, in full.")] = None,
    server: Server = None,
    imports: Import = None,
    json: Json = False,
) -> int:
    """List the executors, or show one with its schema.

    Those of the server, if there is one; with --import those of this process.
    """
    return perform("executors:main", id=id, server=server, imports=imports, json=json)
