"""Times as text: RFC 3339, UTC, always six decimals, so that text order is time order."""

from datetime import UTC, datetime


def to_text(seconds: float) -> str:
    """Seconds since the epoch as text, for example ``2026-01-31T09:00:00.000000Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def to_seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time with an offset. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs Z or an offset")
    return moment.timestamp()


def later(text: str, seconds: float) -> str:
    """The time so many seconds after ``text``."""
    return to_text(to_seconds(text) + seconds)
