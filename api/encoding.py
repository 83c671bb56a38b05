"""From Python values that callers hand in to JSON."""

from typing import Any

import msgspec

from ..domain.errors import InvalidInput


def as_json(value: Any, what: str) -> bytes:
    """Raises `InvalidInput`, which names ``what`` and shows nothing of it."""
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"{what} is not JSON: {error}") from error
