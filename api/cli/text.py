"""How times, errors and results are put into words."""

from datetime import datetime
from typing import Final

import msgspec
from msgspec import Raw

from ...domain.specs import ErrorInfo
from .console import clean

SHOWN: Final = 2_000
"""So many characters of a result are shown to people; JSON output has it whole."""

LINE: Final = 200


def seconds(value: float) -> str:
    """A duration, as precise as it is of use."""
    if value < 10:
        return f"{value:.2f}s"
    if value < 100:
        return f"{value:.1f}s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m{rest:02}s" if hours else f"{minutes}m{rest:02}s"


def count(number: int, one: str, many: str = "") -> str:
    """``1 task``, ``2 tasks``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def error_line(error: ErrorInfo) -> str:
    """An error on one line."""
    return clean(f"{error.type}: {error.message}", LINE)


def result_text(result: Raw) -> str:
    """A result for people: indented, cut where it is long."""
    text = msgspec.json.format(bytes(result), indent=2).decode()
    return "\n".join(
        clean(line) for line in (text if len(text) <= SHOWN else _cut(text)).split("\n")
    )


def glimpse(raw: Raw, limit: int) -> str:
    """The beginning of a JSON value, on one line."""
    return clean(bytes(memoryview(raw)[: 4 * limit]).decode("utf-8", "ignore"), limit)


def _cut(text: str) -> str:
    return f"{text[:SHOWN]}\n… {len(text) - SHOWN} more characters; --json shows all"


def clock(at: str) -> str:
    """The day and time of a stored time, without its fraction of a second."""
    return f"{at[:10]} {at[11:19]}"


def elapsed(start: str, end: str) -> float:
    """Seconds between two stored times."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
