"""From Python values that callers hand in to JSON, and JSON onto one line."""

from typing import Any

import msgspec

from ..domain.errors import InvalidInput


def as_json(value: Any, what: str) -> bytes:
    """Raises `InvalidInput`, which names ``what`` and shows nothing of it."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{what} is not JSON: {error}") from error


def one_line(data: bytes) -> bytes:
    """JSON without ends of lines: users' own JSON is kept as they wrote it, also over many lines.

    Where they are no escapes they stand between its parts only, and mean nothing.
    """
    return data.translate(None, b"\r\n") if b"\n" in data or b"\r" in data else data
