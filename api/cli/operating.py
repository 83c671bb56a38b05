"""What there is to type to operate a server: each command's arguments and help."""

from typing import Annotated

import typer

from .options import Json, Store, app, perform


@app.command()
def token(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="create, list or revoke.")],
    id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Of the token to be revoked.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Whose it is.")] = None,
    scopes: Annotated[
        str, typer.Option(help="read, submit, operate or admin; each includes those before it.")
    ] = "read",
    name: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="A time, or after so long: 30d, 12h.")
    ] = None,
    store: Store = None,
    json: Json = False,
) -> int:
    """Make tokens for a server, list or revoke them.

    They stand in its store, as hashes: the text of a new one is shown once.
    """
    return perform(
        "token:main",
        action=action, id=id, user=user, scopes=scopes, name=name, expires=expires, store=store,
        json=json,
    )  # fmt: skip


@app.command()
def config(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="show.")] = "show",
    sources: Annotated[
        bool, typer.Option("--sources", help="And where each value comes from.")
    ] = False,
    json: Json = False,
) -> int:
    """Show every setting in force. Secrets are not shown."""
    return perform("config:main", action=action, sources=sources, json=json)
