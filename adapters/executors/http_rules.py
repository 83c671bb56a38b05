"""What holds for every executor that speaks HTTP, whatever the library."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from ...domain.errors import InvalidInput, TargetRefused
from .secrets import SecretText, holds_secret

TRANSIENT: Final = frozenset({429, 502, 503, 504})
"""Statuses that pass by themselves."""
RESERVED: Final = frozenset(
    {"connection", "content-length", "host", "transfer-encoding", "upgrade", "keep-alive", "te"}
)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]{0,8192}")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises `InvalidInput`, without repeating a value."""
    for name, value in headers.items():
        if name.lower() in RESERVED:
            raise InvalidInput(f"the header {name} is not yours to set: it follows from the rest")
        if not _NAME.fullmatch(name):
            raise InvalidInput("a header has a name that HTTP cannot carry")
        if not _VALUE.fullmatch(value):
            raise InvalidInput(
                f"the header {name} has a value that HTTP cannot carry: it is of ASCII, in one "
                "line, and has at most 8192 characters"
            )
        if value != value.strip(" \t"):
            raise InvalidInput(f"the value of the header {name} begins or ends with a blank")


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


def in_clear(parts: SplitResult, values: Iterable[Any]) -> bool:
    """Whether a secret among ``values`` would go without TLS: then to private places only."""
    return parts.scheme not in ("https", "wss") and holds_secret(list(values))


def port_of(parts: SplitResult) -> int:
    """The port that a URL leads to."""
    usual = 443 if parts.scheme in ("https", "wss") else 80
    return usual if parts.port is None else parts.port
