"""What holds for every executor that speaks HTTP, whatever the library."""

import re
from collections.abc import Mapping
from typing import Final

from ...domain.errors import InvalidInput

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
