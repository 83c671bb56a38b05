"""Times as text: RFC 3339, UTC, always six decimals, so that text order is time order."""

from datetime import UTC, datetime


def to_text(seconds: float) -> str:
    """Seconds since the epoch as text, for example ``2026-01-31T09:00:00.000000Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
