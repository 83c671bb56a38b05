"""Who calls, and what they may do.

Every route of every transport states its `Scope` by a dependency of the kind `Needs`; routes that
state none are refused when the application is put together, unless `app.PUBLIC` names them.
"""

import asyncio
import hmac
import importlib
import secrets
import time
from collections.abc import Callable
from enum import IntEnum
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct
from starlette.requests import HTTPConnection

from ...domain.errors import InvalidInput, StoreError
from ..problems import Forbidden as Forbidden
from ..problems import Unauthenticated as Unauthenticated

BEARER: Final = "bearer "
JWT_ALGORITHMS: Final = ("HS256",)
JWT_SECRET_BYTES: Final = 32
TICKET_SECONDS: Final = 30.0
CACHED_SECONDS: Final = 10.0
"""So long a token that was revoked elsewhere may still be honoured."""
MAX_CACHED: Final = 10_000


class Scope(IntEnum):
    """What a caller may do; each includes those before it."""

    READ = 1
    SUBMIT = 2
    OPERATE = 3
    ADMIN = 4


def scope_of(names: tuple[str, ...] | list[str]) -> Scope | None:
    """The widest of the scopes named; None where none is one."""
    found = [Scope[name.upper()] for name in names if name.upper() in Scope.__members__]
    return max(found, default=None)


class Caller(Struct, frozen=True):
    """Who calls. ``token`` tells callers apart for limits, and is no secret.

    ``hash`` is that of a token in the store, ``until`` when a JSON Web Token expires (Unix time):
    by them it is seen later whether it still holds.
    """

    user: str | None
    scope: Scope
    token: str
    hash: str | None = None
    until: float | None = None

    @property
    def sees_all(self) -> bool:
        """Whether others' trees, and those without an owner, are theirs to see."""
        return self.scope >= Scope.ADMIN

    def may_see(self, owner: str | None) -> bool:
        """Whether a tree of this owner exists for them."""
        return self.sees_all or (owner is not None and owner == self.user)


class Known(Struct, frozen=True):
    """What is stored of a token."""

    id: str
    user: str
    scopes: tuple[str, ...]


Find = Callable[[str], Known | None]
"""Finds a valid token by the SHA-256 of its text, in hex. Blocking."""


class Access:
    """Tells who calls, by token, JSON Web Token, or one-use ticket.

    ``local`` is the token of this server's first start. ``open``: no authentication at all, for
    loopback only; whoever comes is an admin.
    """

    def __init__(
        self,
        find: Find,
        *,
        local: str | None = None,
        jwt_secret: str | None = None,
        jwt_audience: str = "apflow",
        open: bool = False,
    ) -> None:
        if jwt_secret is not None and len(jwt_secret.encode()) < JWT_SECRET_BYTES:
            raise InvalidInput(
                f"jwt_secret has fewer than {JWT_SECRET_BYTES} bytes. Make one with "
                "`openssl rand -base64 32`."
            )
        self._find = find
        self._local = None if local is None else hash_of(local)
        self._secret = jwt_secret
        self._audience = jwt_audience
        self._jwt: Any = None
        if jwt_secret is not None:  # with its cryptography it takes 0.2 s, which most can save
            self._jwt = importlib.import_module("jwt")
        self._open = open
        self._cache: dict[str, tuple[float, Caller]] = {}
        self._tickets: dict[str, tuple[float, Caller]] = {}

    async def caller(self, connection: HTTPConnection, *, ticket: bool = False) -> Caller:
        """Who calls; ``ticket``: one will do. Raises `Unauthenticated`."""
        if self._open:
            return Caller("local", Scope.ADMIN, "open")
        header = connection.headers.get("authorization", "")
        if not header:
            given = connection.query_params.get("ticket") if ticket else None
            if given is not None:
                return await self._redeemed(given)
            raise Unauthenticated("this needs a token: send `Authorization: Bearer …`")
        if not header[: len(BEARER)].lower() == BEARER:
            raise Unauthenticated("Authorization has to be `Bearer`, followed by a token")
        return await self._known(header[len(BEARER) :].strip())

    async def _known(self, token: str) -> Caller:
        digest = hash_of(token)
        if self._local is not None and hmac.compare_digest(digest, self._local):
            return Caller("local", Scope.ADMIN, "local")
        if token.count(".") == 2:
            return self._signed(token)
        return await self._stored(digest)

    async def _stored(self, digest: str) -> Caller:
        cached = self._cache.get(digest)
        if cached is not None and cached[0] > time.monotonic():
            return cached[1]
        known = await asyncio.to_thread(self._find, digest)
        scope = None if known is None else scope_of(known.scopes)
        if known is None or scope is None:
            raise Unauthenticated("the token is unknown, expired or revoked")
        caller = Caller(known.user, scope, known.id, digest)
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[digest] = (time.monotonic() + CACHED_SECONDS, caller)
        return caller

    def _signed(self, token: str) -> Caller:
        if self._secret is None:
            raise Unauthenticated("this server takes no JSON Web Tokens: jwt_secret is not set")
        try:
            claims = self._jwt.decode(
                token, self._secret, algorithms=list(JWT_ALGORITHMS), audience=self._audience,
                options={"require": ["exp", "aud", "sub"]},
            )  # fmt: skip
        except self._jwt.PyJWTError as error:
            raise Unauthenticated(f"the JSON Web Token does not hold: {error}") from error
        roles = claims.get("roles", [])
        scope = scope_of(
            [r for r in roles if isinstance(r, str)] if isinstance(roles, list) else []
        )
        if scope is None or not isinstance(claims["sub"], str) or not claims["sub"]:
            raise Unauthenticated("the JSON Web Token names no user, or no scope among its roles")
        return Caller(claims["sub"], scope, f"jwt:{claims['sub']}", until=float(claims["exp"]))

    async def holds(self, caller: Caller) -> bool:
        """Whether the token by which they came still does; as long as the store cannot tell, yes:
        then it tells them nothing else either.
        """
        if caller.until is not None:
            return time.time() < caller.until
        if caller.hash is None:
            return True
        try:
            await self._stored(caller.hash)
        except Unauthenticated:
            return False
        except StoreError:
            return True
        return True

    def forget(self) -> None:
        """A token was revoked here: look each of them up again."""
        self._cache.clear()

    # -- tickets, since browsers cannot send headers with an event stream or a WebSocket

    def ticket(self, caller: Caller) -> str:
        """Good for one stream within `TICKET_SECONDS`, instead of a token in an address."""
        now = time.monotonic()
        for old in [t for t, (until, _) in self._tickets.items() if until < now]:
            del self._tickets[old]
        made = secrets.token_urlsafe(32)
        self._tickets[made] = (now + TICKET_SECONDS, caller)
        return made

    async def _redeemed(self, ticket: str) -> Caller:
        until, caller = self._tickets.pop(ticket, (0.0, None))
        if caller is None or until < time.monotonic() or not await self.holds(caller):
            raise Unauthenticated("the ticket was used, or has expired; ask for another one")
        return caller


class Needs:
    """The dependency by which a route says which scope it needs; gives the `Caller`.

    ``ticket``: it is a stream, for which a one-use ticket will do.
    """

    def __init__(self, scope: Scope, *, ticket: bool = False) -> None:
        self.scope = scope
        self.ticket = ticket

    async def __call__(self, connection: HTTPConnection) -> Caller:
        """Raises `Unauthenticated`, `Forbidden`."""
        access: Access = connection.app.state.server.access
        caller = await access.caller(connection, ticket=self.ticket)
        if caller.scope < self.scope:
            raise Forbidden(
                f"this needs the scope {self.scope.name.lower()}; the token has "
                f"{caller.scope.name.lower()}"
            )
        connection.scope["apflow.caller"] = caller
        return caller


def hash_of(token: str) -> str:
    """What is kept of a token."""
    return sha256(token.encode()).hexdigest()
