"""Tokens of the server: only hashes are kept of them."""

from collections.abc import Sequence

from msgspec import Struct, json

from .side import Row, Side


class Token(Struct, frozen=True):
    """What is kept of a token. Times as in events; ``scopes`` are names."""

    id: str
    user: str
    scopes: tuple[str, ...]
    name: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None


class Tokens:
    """All tokens of one store. Blocking; any thread may call."""

    def __init__(self, side: Side) -> None:
        self._side = side

    def add(self, token: Token, hash: str) -> None:
        """Keep a new one. ``hash`` is the SHA-256 of its text, in hex."""
        self._side.write(
            "add_token",
            {
                "id": token.id, "hash": hash, "owner": token.user, "name": token.name,
                "scopes": json.encode(token.scopes).decode(), "created_at": token.created_at,
                "expires_at": token.expires_at,
            },
        )  # fmt: skip

    def find(self, hash: str, now: str) -> Token | None:
        """The token of this hash, unless it has expired or was revoked."""
        rows = self._side.read("find_token", {"hash": hash, "now": now})
        return _token(rows[0]) if rows else None

    def all(self) -> Sequence[Token]:
        """Every token, also those that do not hold any more, oldest first."""
        return [_token(row) for row in self._side.read("list_tokens", {})]

    def revoke(self, id: str, now: str) -> bool:
        """Whether there was one to be revoked."""
        return bool(self._side.write("revoke_token", {"id": id, "now": now}))

    def any(self, now: str) -> bool:
        """Whether any token holds."""
        return any(
            token.revoked_at is None and (token.expires_at is None or token.expires_at > now)
            for token in self.all()
        )


def _token(row: Row) -> Token:
    id, owner, scopes, name, created_at, expires_at, revoked_at = row
    names = json.decode(scopes, type=tuple[str, ...])
    return Token(id, owner, names, name, created_at, expires_at, revoked_at)
