"""What holds for every executor that speaks HTTP, whatever the library."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from ...domain.errors import InvalidInput, TargetRefused
from ..net.guard import Guard
from .secrets import SecretText, holds_secret

TRANSIENT: Final = frozenset({429, 502, 503, 504})
"""Statuses that pass by themselves."""
RESERVED: Final = frozenset(
    {"connection", "content-length", "host", "transfer-encoding", "upgrade", "keep-alive", "te"}
)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises `InvalidInput`, without repeating a value."""
    for name, value in headers.items():
        if name.lower() in RESERVED:
            raise InvalidInput(f"the header {name} is not yours to set: it follows from the rest")
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidInput("a header has a name or a value that HTTP cannot carry")


def merged(*given: Mapping[str, Any]) -> dict[str, str]:
    """Headers of which the later ones count, however their names are written."""
    found: dict[str, tuple[str, str]] = {}
    for headers in given:
        found |= {str(name).lower(): (str(name), str(value)) for name, value in headers.items()}
    return dict(found.values())


def split(url: str) -> SplitResult:
    """The parts of a URL, all of them readable. Raises `TargetRefused`, without repeating it."""
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        raise TargetRefused("its URL is none") from None
    return parts


def place(given: Any, url: str) -> str:
    """A URL as results show it: queries may hold keys, and one ``given`` as a secret is one."""
    if isinstance(given, SecretText):
        return repr(given)
    try:
        return urlsplit(url)._replace(query="", fragment="").geturl()
    except ValueError:
        return ""


async def require_sealed(guard: Guard, parts: SplitResult, values: Iterable[Any]) -> None:
    """Raises `InvalidInput` where a secret among ``values`` would cross a public net in clear."""
    if parts.scheme not in ("https", "wss") and parts.hostname:
        await require_private(guard, parts.hostname, port_of(parts), values)


async def require_private(guard: Guard, host: str, port: int, values: Iterable[Any]) -> None:
    """Raises `InvalidInput` where a secret is among ``values`` and the target a public one."""
    if holds_secret(list(values)) and not await guard.is_private(host, port):
        raise InvalidInput(
            "a secret is sent without TLS only to hosts that are not public and that the operator "
            "allows in private_targets: have it sent by TLS"
        )


def port_of(parts: SplitResult) -> int:
    """The port that a URL leads to."""
    usual = 443 if parts.scheme in ("https", "wss") else 80
    return usual if parts.port is None else parts.port
