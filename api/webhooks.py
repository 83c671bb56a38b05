"""Webhooks as clients write them, registered so that no submitted tree can lose one."""

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Raw, Struct

from ..domain.errors import (
    ApflowError,
    CommitUnknown,
    IdTaken,
    InvalidGraph,
    InvalidInput,
    Released,
)
from ..domain.specs import Request
from ..domain.webhooks import MAX_HOOKS, TOLERANCE, Hook, is_signed
from ..domain.wording import misfit
from ..projections.views import TreeView
from .problems import TimedOut
from .stores import Store
from .wiring.serving import outbox_of

MAX_URL: Final = 2_048
MAX_HEADERS: Final = 20
MAX_HEADER: Final = 4_096
MAX_TYPES: Final = 50
_RESERVED: Final = frozenset(
    {
        "connection", "content-length", "content-type", "expect", "host", "keep-alive",
        "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
        "x-apflow-delivery", "x-apflow-signature", "x-apflow-timestamp",
    }
)  # fmt: skip
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_TYPE: Final = re.compile(r"(?:[a-z_]{1,40}\.)?(?:[a-z_]{1,40}|\*)")


MAY_BE_DONE: Final = (CommitUnknown, TimedOut, Released)
"""Errors behind which what was asked for may still happen."""


class Registration(Struct, frozen=True):
    """Hooks of a tree that were not open before, and when they were registered."""

    ids: tuple[str, ...]
    at: str


class WrittenHook(Struct, forbid_unknown_fields=True, frozen=True):
    """Of ``webhooks``: where events are sent; which types (all if none are named); more headers."""

    url: str
    events: tuple[str, ...] = ()
    headers: dict[str, str] = {}


class _Config(Struct, frozen=True):
    """``webhook_config`` of the JSON-RPC protocol. What else stands in it says nothing."""

    url: str
    headers: dict[str, str] | None = None
    method: Literal["POST", "PUT"] | None = None
    timeout: float | None = None
    max_retries: int | None = None


def hooks_of(written: Sequence[WrittenHook]) -> tuple[Hook, ...]:
    """Those of a REST request. Raises `InvalidInput`."""
    if len(written) > MAX_HOOKS:
        raise InvalidInput(f"a tree may have {MAX_HOOKS} webhooks, not more")
    return tuple(_hook(n, each) for n, each in enumerate(written))


def _hook(n: int, written: WrittenHook) -> Hook:
    where = f"webhooks[{n}]"
    if len(written.events) > MAX_TYPES or not all(map(_TYPE.fullmatch, written.events)):
        raise InvalidInput(
            f"{where}.events holds at most {MAX_TYPES} types of events, such as task.completed "
            "or tree.*"
        )
    return Hook(
        _url(where, written.url), tuple(dict.fromkeys(written.events)),
        _headers(where, written.headers),
    )  # fmt: skip


def hook_of_config(config: Any) -> Hook:
    """That of a ``webhook_config`` (JSON as Python values, or `Raw`). Raises `InvalidInput`."""
    where = "webhook_config"
    try:
        if isinstance(config, Raw | bytes):
            config = msgspec.json.decode(config)
        read = msgspec.convert(config, _Config)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{where} does not fit: {misfit(error)}") from error
    timeout = 30.0 if read.timeout is None else read.timeout
    retries = 3 if read.max_retries is None else read.max_retries
    if not 0 < timeout <= 60:
        raise InvalidInput(f"{where}.timeout is more than 0 and at most 60 seconds")
    if not 0 <= retries <= 20:
        raise InvalidInput(f"{where}.max_retries is 0 to 20")
    return Hook(
        _url(where, read.url), (), _headers(where, read.headers or {}), read.method or "POST",
        timeout, retries, "jsonrpc",
    )  # fmt: skip


def _url(where: str, text: str) -> str:
    plain = len(text) <= MAX_URL and text.isascii() and text.isprintable() and " " not in text
    parts = _split(text) if plain else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(
            f"{where}.url is an http or https URL of at most {MAX_URL} printable ASCII characters"
        )
    if "@" in parts.netloc:
        raise InvalidInput(f"{where}.url holds no user or password; put them into a header")
    return text.partition("#")[0]


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        return None if parts.port == 0 else parts
    except ValueError:
        return None


def _headers(where: str, headers: Mapping[str, str]) -> dict[str, str]:
    if len(headers) > MAX_HEADERS or len({name.lower() for name in headers}) != len(headers):
        raise InvalidInput(f"{where}.headers holds at most {MAX_HEADERS}, each name once")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidInput(f"{where}.headers: a name is made of letters, digits and hyphens")
        if name.lower() in _RESERVED:
            raise InvalidInput(f"{where}.headers: {name.lower()} is set by the server itself")
        if len(value) > MAX_HEADER or not _HEADER_VALUE.fullmatch(value):
            raise InvalidInput(
                f"{where}.headers: a value is one line of at most {MAX_HEADER} ASCII characters"
            )
    return dict(headers)


async def register(store: Store, view: TreeView, hooks: Sequence[Hook]) -> Registration | None:
    """Tell these of what happens in an existing tree from now on, until it settles (again).

    Durable when it returns: call it before the commit of what they are to hear of. The same hook
    again changes nothing. Raises `InvalidInput` where there would be too many.
    """
    if not hooks:
        return None
    at = store.now()
    add = partial(outbox_of(store).add, view.id, hooks, seen=view.version, at=at)
    return Registration(await asyncio.to_thread(add), at)


@asynccontextmanager
async def registered(store: Store, view: TreeView, hooks: Sequence[Hook]) -> AsyncIterator[None]:
    """The same for what the block does to the tree; taken back where that is refused."""
    made = await register(store, view, hooks)
    try:
        yield
    except ApflowError as error:
        if made is not None and not isinstance(error, MAY_BE_DONE):
            await asyncio.to_thread(outbox_of(store).withdraw, made.ids, made.at)
        raise


@asynccontextmanager
async def announced(
    store: Store, hooks: Sequence[Hook], request: Request | None
) -> AsyncIterator[Request | None]:
    """Registers hooks for the tree that is made in the block by the request that this gives.

    They are durable before the tree is, and find it by its request even if this process ends in
    between. Where the tree is refused they are taken back.
    """
    if not hooks:
        yield request
        return
    made = request or Request(secrets.token_hex(32), hashlib.sha256(b"").hexdigest())
    outbox = outbox_of(store)
    ids = await asyncio.to_thread(outbox.add, "", hooks, at=store.now(), request=made)
    try:
        yield made
    except (InvalidGraph, InvalidInput, IdTaken):
        await asyncio.to_thread(outbox.remove, ids)
        raise
    view = await asyncio.to_thread(store.reads.tree_of_request, made.key)
    if view is not None:
        await asyncio.to_thread(outbox.bind, made, view.id)


def verify_webhook(
    secret: str | bytes,
    timestamp: str,
    body: bytes,
    signature: str,
    tolerance: float = TOLERANCE,
) -> bool:
    """For receivers: whether a webhook came from who knows the secret, and came just now.

    ``timestamp`` and ``signature`` are the headers ``X-Apflow-Timestamp`` and
    ``X-Apflow-Signature``, ``body`` the bytes as they came; ``tolerance`` is in seconds.
    """
    key = secret.encode() if isinstance(secret, str) else secret
    return is_signed(key, timestamp, body, signature, now=time.time(), tolerance=tolerance)
