"""What there is to type to steer trees that exist: each command's arguments and help."""

from typing import Annotated

import typer

from .looking import Id, Tree
from .options import Json, Server, Store, app, perform

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it stands in the history.")]


@app.command()
def cancel(
    id: Id,
    task: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only this task of the tree.")
    ] = None,
    reason: Reason = "",
    store: Store = None,
    server: Server = None,
    json: Json = False,
) -> int:
    """Cancel a tree, or one task.

    What is pending ends at once, what runs is told to end; results that it still reports count.
    """
    return perform(
        "steer:cancel", id=id, task=task, reason=reason, store=store, server=server, json=json
    )


@app.command()
def pause(
    id: Tree, reason: Reason = "", store: Store = None, server: Server = None, json: Json = False
) -> int:
    """Start nothing new of a tree; what runs goes on."""
    return perform("steer:pause", id=id, reason=reason, store=store, server=server, json=json)


@app.command()
def unpause(
    id: Tree, reason: Reason = "", store: Store = None, server: Server = None, json: Json = False
) -> int:
    """Let a paused tree go on."""
    return perform("steer:unpause", id=id, reason=reason, store=store, server=server, json=json)


@app.command()
def rerun(
    id: Tree,
    start: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="KEY", help="From this task on. Can be given repeatedly."),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every task.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would run and what is kept.")
    ] = False,
    reason: Reason = "",
    store: Store = None,
    server: Server = None,
    json: Json = False,
) -> int:
    """Run again what failed or was cancelled, or more.

    Completed tasks that are not named are kept. A tree that nobody runs then waits for a resume.
    """
    return perform(
        "steer:rerun",
        id=id, start=start, all_=all_, dry_run=dry_run, reason=reason, store=store,
        server=server, json=json,
    )  # fmt: skip


@app.command()
def signal(
    id: Tree,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What its task waits for.")],
    payload: Annotated[
        str | None, typer.Option(metavar="JSON", help="What the waiting task returns.")
    ] = None,
    signal_id: Annotated[
        str | None, typer.Option("--id", metavar="TEXT", help="Makes it count once.")
    ] = None,
    store: Store = None,
    server: Server = None,
    json: Json = False,
) -> int:
    """Tell a tree what a task of it waits for.

    A signal that comes before its task waits is kept for it.
    """
    return perform(
        "steer:signal",
        id=id, name=name, payload=payload, signal_id=signal_id, store=store, server=server,
        json=json,
    )  # fmt: skip
