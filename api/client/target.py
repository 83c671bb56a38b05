"""Which server a client talks to, and with which token."""

import importlib
import ipaddress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from ...domain.errors import InvalidInput
from ..problems import Unreachable
from ..state import TOKEN_FILE, read_token, running_on


class Target(Struct, frozen=True):
    """A server's address, without a slash at its end, and the token that it is shown."""

    url: str
    token: str | None

    def __repr__(self) -> str:
        return f"Target({self.url!r})"

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, so that no proxy lies between."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def target_of(url: str | None, token: str | None) -> Target:
    """As given, else by the settings, else the server that runs on the state directory.

    Raises `InvalidInput`, and `Unreachable` where there is none.
    """
    if url is not None and token is not None:
        return Target(checked(url), usable(token))
    settings: Any = importlib.import_module("..settings", __package__).load_settings()
    if token is None and settings.server_token is not None:
        token = settings.server_token.get_secret_value()
    return found(url or settings.server_url, token, settings.state_dir)


def found(url: str | None, token: str | None, folder: Path) -> Target:
    """The server at ``url``, else the one whose record lies in ``folder``.

    The token that lies there is for that server: it is shown to no other.
    """
    running = running_on(folder)
    if url is None:
        if running is None:
            raise Unreachable(
                "no server is named, and none runs on this state directory. Start one with "
                "`apflow serve`, or name one: APFLOW_URL=http://host:port"
            )
        url = running.url
    url = checked(url)
    path = folder / TOKEN_FILE
    if token is None and running is not None and checked(running.url) == url and path.exists():
        token = read_token(path)
    return Target(url, None if token is None else usable(token))


def usable(token: str) -> str:
    """The token, if it can stand in a header. Raises `InvalidInput`, which does not show it."""
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidInput(
            "the token holds what no token can: it is one word of ASCII. Copy it again, as "
            "`apflow token create` has shown it."
        )
    return token


def checked(url: str) -> str:
    """The address, if it is one. Raises `InvalidInput`, which does not repeat it."""
    if not _is_usable(url):
        raise InvalidInput(
            "the server's address is http:// or https://, a host, and a port unless it is the "
            "usual one; nothing else. A token goes into APFLOW_TOKEN."
        )
    return url.rstrip("/")


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        return False
    more = parts.query or parts.fragment or parts.username is not None
    return parts.scheme in ("http", "https") and bool(parts.hostname) and has_port and not more
