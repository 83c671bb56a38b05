"""`apflow token`: who may call the server of a store."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

from msgspec import Struct

from ...domain.errors import InvalidInput, NotFound
from ...domain.time import to_text
from ..documents import Page
from ..settings import load_settings
from ..times import instant
from ..wiring import new_id
from ..wiring.serving import Token, Tokens, tokens_of
from .console import Console, clean
from .desk import Desk
from .text import clock

SCOPES: Final = ("read", "submit", "operate", "admin")
_SPAN: Final = re.compile(r"(\d{1,5})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
MAX_USER: Final = 255


class Made(Struct, frozen=True):
    """A new token; ``token`` is its text, which nobody can find out later."""

    id: str
    token: str
    user: str
    scopes: tuple[str, ...]
    name: str
    created_at: str
    expires_at: str | None


def main(
    console: Console,
    *,
    action: str,
    id: str | None,
    user: str | None,
    scopes: str,
    name: str,
    expires: str | None,
    store: str | None,
) -> int:
    """Make, list or revoke."""
    if action not in ("create", "list", "revoke"):
        raise InvalidInput("a token is to be made, listed or revoked: create, list or revoke")
    if (action == "revoke") != (id is not None):
        raise InvalidInput("apflow token revoke takes the id of a token, and nothing else does")
    wanted = _scopes(scopes)
    until = _until(expires)
    desk = Desk(load_settings(database_url=store), make=action == "create")
    tokens, now = tokens_of(desk.store), desk.store.now()
    if action == "create":
        if not user or len(user) > MAX_USER:
            raise InvalidInput("a token belongs to somebody: --user NAME")
        return _create(console, tokens, Token(new_id(), user, wanted, name, now, until))
    if id is not None:
        return _revoke(console, tokens, id, now)
    return _list(console, tokens, now)


def _create(console: Console, tokens: Tokens, made: Token) -> int:
    text = f"apflow_{secrets.token_urlsafe(32)}"
    tokens.add(made, sha256(text.encode()).hexdigest())
    if console.json:
        console.document(
            Made(made.id, text, made.user, made.scopes, made.name, made.created_at, made.expires_at)
        )
        return 0
    console.print(text)
    console.flush()
    console.say(f"id {made.id}. It is not shown again: keep it now.")
    return 0


def _list(console: Console, tokens: Tokens, now: str) -> int:
    found = tokens.all()
    if console.json:
        console.document(Page(list(found)))
        return 0
    for one in found:
        words = [one.id, f"{_state(one, now):<8}", ",".join(one.scopes), clean(one.user, 40)]
        if one.expires_at is not None:
            words.append(f"until {clock(one.expires_at)}")
        console.print("  ".join([*words, clean(one.name, 60)] if one.name else words))
    if not found:
        console.say("no token yet; the one of the first start lies in the state directory")
    return 0


def _state(token: Token, now: str) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at is not None and token.expires_at <= now else "valid"


def _revoke(console: Console, tokens: Tokens, id: str, now: str) -> int:
    if not tokens.revoke(id, now):
        raise NotFound("token", id)
    if console.json:
        console.document({"id": id, "revoked_at": now})
        return 0
    console.print(
        f"token {id} revoked; servers that run honour it for 10 s at most, streams for 20 s"
    )
    return 0


def _scopes(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or not set(names) <= set(SCOPES):
        raise InvalidInput(f"--scopes takes {', '.join(SCOPES)}, with commas between")
    return names


def _until(text: str | None) -> str | None:
    """A time in the future."""
    if text is None:
        return None
    now = datetime.now(UTC)
    span = _SPAN.fullmatch(text)
    if span is not None:
        until = to_text((now + timedelta(**{_UNITS[span[2]]: int(span[1])})).timestamp())
    else:
        until = instant(text) or ""
    if until <= to_text(now.timestamp()):
        raise InvalidInput("--expires takes a time that is to come, or a span such as 30d")
    return until
