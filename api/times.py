"""Times as clients write them."""

from datetime import UTC, datetime

from ..domain.errors import InvalidInput
from ..domain.time import to_text


def instant(text: str | None) -> str | None:
    """An RFC 3339 time with an offset, as it stands in events; None stays None.

    Raises `InvalidInput`.
    """
    if text is None:
        return None
    try:
        # In a query a plus sign comes as a space unless it was escaped.
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is None:
            raise ValueError
        return to_text(moment.astimezone(UTC).timestamp())
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            "a time is written as in RFC 3339, with Z or an offset: 2026-01-31T09:00:00Z"
        ) from error
