"""Which source a command works with.

``--store``: that store. ``--server`` or the setting `server_url`: that server. Else the server
that runs on this state directory and has the store in question, if it answers; else that store.
"""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ...domain.errors import ApflowError, InvalidInput
from ..settings import FLAG, Settings, load_settings
from ..state import Running, running_on
from .desk import Desk, identity, settle_in
from .local import Local
from .source import Source

if TYPE_CHECKING:
    from .remote import Remote

ALIVE_SECONDS = 1.0


@contextmanager
def source_of(store: str | None, server: str | None) -> Iterator[Source]:
    """For commands that only look, or steer."""
    with _closing(server_of(store, server)) as remote:
        yield remote or Local(Desk(load_settings(database_url=store), make=False))


@contextmanager
def prepared_source_of(
    store: str | None, server: str | None, imports: Sequence[str] | None, *, make: bool = False
) -> Iterator[Source]:
    """For commands to which it matters what executors there are; ``make`` a store if need be."""
    with _closing(server_of(store, server)) as remote:
        yield remote or Local(Desk(settle_in(imports, store), make=make))


@contextmanager
def _closing(remote: "Remote | None") -> Iterator["Remote | None"]:
    try:
        yield remote
    finally:
        if remote is not None:
            remote.close()


def server_of(store: str | None, server: str | None) -> "Remote | None":
    """The server to talk to, if there is one. Raises `InvalidInput`."""
    if store is not None and server is not None:
        raise InvalidInput("--store and --server exclude each other: a server has its own store")
    if store is not None:
        return None
    settings = load_settings(server_url=server)
    url = settings.server_url
    if url is None:
        running = running_on(settings.state_dir)
        if running is None or not _serves(running, settings):
            return None
    target: Any = importlib.import_module("..client.target", __package__)
    token = settings.server_token
    found = target.found(
        url, None if token is None else token.get_secret_value(), settings.state_dir
    )
    remote: Remote = importlib.import_module(".remote", __package__).Remote(
        found, named=settings.origins.get("server_url") == FLAG
    )
    return remote


def _serves(running: Running, settings: Settings) -> bool:
    """Whether it has our store, and answers."""
    if running.store != identity(settings.store_url()):
        return False
    client: Any = importlib.import_module("..client", __package__)
    try:
        with client.Client(running.url, "", patience=ALIVE_SECONDS) as asking:
            asking.send(client.calls.alive())
    except ApflowError:
        return False
    return True
