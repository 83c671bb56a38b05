"""A server from its settings: what is opened when it starts, and closed in good order."""

import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from ...domain.errors import InvalidInput, StoreError, StoreUnavailable
from ...engine.engine import Engine
from ...engine.lifecycle import resume
from ...engine.takeover import Watch
from ..settings import Settings
from ..state import TOKEN_FILE as TOKEN_FILE
from ..state import read_token
from ..stores import Store
from ..wiring.serving import tokens_of
from .access import Access, Known
from .boundary import names_of
from .hooks import check_webhooks, delivering
from .server import Server

log = logging.getLogger("aipartnerupflow.api")

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


def local_token(folder: Path) -> str:
    """The token of the first start, made if it is not there; only its owner can read it."""
    path = folder / TOKEN_FILE
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return read_token(path)
    except OSError as error:
        raise StoreUnavailable(
            f"the token cannot be written to {path}: {error.strerror}"
        ) from error
    with os.fdopen(descriptor, "w") as file:
        token = f"apflow_{secrets.token_urlsafe(32)}"
        file.write(token + "\n")
    return token


def access_of(settings: Settings, store: Store, token: str | None) -> Access:
    """Who may call, by settings and by the tokens in the store."""
    tokens = tokens_of(store)

    def find(hash: str) -> Known | None:
        found = tokens.find(hash, store.now())
        return None if found is None else Known(found.id, found.user, found.scopes)

    secret = settings.jwt_secret
    return Access(
        find,
        local=token,
        jwt_secret=None if secret is None else secret.get_secret_value(),
        jwt_audience=settings.jwt_audience,
        open=settings.auth == "none",
    )


def require_safe(settings: Settings, store: Store) -> None:
    """Raises `InvalidInput` where strangers could reach a server that nobody guards, and where
    webhooks would be signed with a key that may be guessed, or could not be sent.
    """
    check_webhooks(settings)
    if settings.host in LOOPBACK:
        return
    if settings.auth == "none":
        raise InvalidInput(
            f"auth is none, and {settings.host} can be reached by others. Listen on 127.0.0.1, or "
            "leave auth as it is."
        )
    if settings.jwt_secret is None and not tokens_of(store).any(store.now()):
        raise InvalidInput(
            f"{settings.host} can be reached by others, but nobody has a token yet. Make one with "
            "`apflow token create --user NAME --scopes read,submit`, or set jwt_secret."
        )


@asynccontextmanager
async def opened(
    settings: Settings,
    store: Store,
    token: str | None,
    *,
    engine: bool = True,
    paused: bool = False,
) -> AsyncIterator[Server]:
    """A server with its engine, which goes on with every interrupted tree, and with webhooks.

    On leaving, streams end, and the trees that still run are released: resumable at once.
    """
    async with AsyncExitStack() as stack:
        driving: Engine | None = None
        if engine:
            driving = await stack.enter_async_context(store.engine())
            if paused:
                driving.hold()
        server = Server(
            store, access_of(settings, store, token), engine=driving,
            max_streams=settings.max_streams,
        )  # fmt: skip
        await stack.enter_async_context(delivering(settings, store))
        stack.callback(server.hub.close)
        stack.callback(server.stopping.set)
        if driving is not None:
            _resume(driving)
        yield server


def _resume(engine: Engine) -> None:
    """Beside serving: whoever asks meanwhile is answered."""

    async def resuming() -> None:
        try:
            done = await resume(engine)
            for id, error in done.refused.items():
                log.warning("tree %s was left: %s", id, error)
        except StoreError as error:  # the watch will look again
            log.warning("open work could not be read at the start: %s", error)
        await Watch(engine).serve()

    engine.serve(resuming())


def hosts_of(settings: Settings) -> set[str]:
    """The names by which the server may be called."""
    return names_of(settings.host, settings.allowed_hosts)
