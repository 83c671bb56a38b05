"""Webhooks of a server: the key they are signed with, and their delivery as long as it serves."""

import asyncio
import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from ...domain.errors import InvalidInput, StoreUnavailable
from ..settings import Settings
from ..stores import Store
from ..webhook_bodies import Bodies
from ..wiring.deliveries import check_private, deliveries_of

log = logging.getLogger("aipartnerupflow.webhooks")

KEY_FILE: Final = "webhook.key"
SHORTEST: Final = 32
"""Characters of a key."""


def webhook_key(settings: Settings) -> bytes:
    """What webhooks are signed with: by settings, else a key that is made in the state directory.

    Raises `InvalidInput` for a key that others may read or guess.
    """
    secret = settings.webhook_secret
    if secret is None:
        return _kept(settings.private_state_dir() / KEY_FILE)
    text = secret.get_secret_value()
    if len(text) < SHORTEST:
        raise InvalidInput(f"webhook_secret has less than {SHORTEST} characters; take a longer one")
    return text.encode()


def _kept(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise StoreUnavailable(f"the key cannot be written to {path}: {error.strerror}") from error
    key = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
    return key.encode()


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            raise InvalidInput(f"others may read the key in {path}. chmod 600 {path}")
        key = path.read_text().strip()
    except OSError as error:
        raise StoreUnavailable(f"the key in {path} cannot be read: {error.strerror}") from error
    if len(key) < SHORTEST:
        raise InvalidInput(f"{path} holds no key. Delete it, and a new one is made.")
    return key.encode()


def check_webhooks(settings: Settings) -> None:
    """Raises `InvalidInput` for settings with which they could not be delivered."""
    webhook_key(settings)
    check_private(settings.private_targets, settings.tls_ca_file)


@asynccontextmanager
async def delivering(settings: Settings, store: Store) -> AsyncIterator[None]:
    """Webhooks of this store are delivered as long as the block. Raises `InvalidInput`."""
    deliveries = deliveries_of(
        store, secret=webhook_key(settings), private=settings.private_targets,
        ca_file=settings.tls_ca_file, body=Bodies(store.reads),
    )  # fmt: skip
    async with deliveries as service:
        task = asyncio.create_task(service.serve())
        task.add_done_callback(_ended)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("webhooks are not delivered any more: %s", error, exc_info=error)
