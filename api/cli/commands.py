"""What there is to type to run trees and to care for a store: each command's arguments and help."""

from typing import Annotated

import typer

from .options import Import, Json, Server, Store, Timeout, app, perform


@app.command()
def demo(store: Store = None, imports: Import = None, json: Json = False) -> int:
    """Run a small tree that looks at this machine."""
    return perform("demo:main", store=store, imports=imports, json=json)


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
    return perform("run:main", file=file, store=store, imports=imports, timeout=timeout, json=json)


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
    return perform(
        "resume:main",
        trees=trees, store=store, imports=imports, take_over=take_over, timeout=timeout, json=json,
    )  # fmt: skip


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Where to listen.  [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0: any.  [default: 8000]")
    ] = None,
    allow_hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A further name it goes by."),
    ] = None,
    store: Store = None,
    imports: Import = None,
    no_engine: Annotated[
        bool, typer.Option("--no-engine", help="Run nothing here; other engines do.")
    ] = False,
    paused: Annotated[
        bool, typer.Option("--paused", help="Start nothing; what runs is left.")
    ] = False,
    json: Json = False,
) -> int:
    """Serve the REST API, and run what is submitted.

    Goes on with every interrupted tree of the store. Ends on Ctrl-C or SIGTERM in good order.
    """
    return perform(
        "serve:main",
        host=host, port=port, allow_hosts=allow_hosts, store=store, imports=imports,
        no_engine=no_engine, paused=paused, json=json,
    )  # fmt: skip


@app.command()
def submit(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A tree as JSON; - reads it from stdin.")
    ],
    key: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The same key again makes no second tree.")
    ] = None,
    store: Store = None,
    server: Server = None,
    imports: Import = None,
    json: Json = False,
) -> int:
    """Submit the tree in FILE, and return.

    To the server, if there is one; else into the store, where an engine takes it up. FILE as for
    run; "start": false makes it a draft.
    """
    return perform(
        "submit:main",
        file=file, key=key, store=store, server=server, imports=imports, json=json,
    )  # fmt: skip


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
    return perform("rebuild:main", check=check, store=store, json=json)


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
    return perform("doctor:main", full=full, store=store, imports=imports, json=json)


@app.command()
def version(json: Json = False) -> int:
    """Show the versions of this software and its base."""
    return perform("version:main", json=json)
