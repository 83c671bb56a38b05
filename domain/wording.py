"""What messages repeat of what was given: names, not too long, and no values."""

import re
from typing import Final

MAX_TOLD: Final = 100
"""So many characters of a name stand in a message."""
_ENUM: Final = "Invalid enum value "
_PLACE: Final = re.compile(r"(?: - at (?:`key` in )?`\$[\w.\[\]]*`)?\Z")


def cut(name: str) -> str:
    """The name, or how it begins."""
    return name if len(name) <= MAX_TOLD else f"{name[: MAX_TOLD - 1]}…"


def quoted(name: str) -> str:
    """The same in quotes."""
    return repr(cut(name))


def misfit(error: Exception) -> str:
    """Why JSON is not what it has to be, from what msgspec says of it, which may repeat values."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = str(error)
    place = _PLACE.search(text)
    where = place[0] if place is not None else ""
    what = text.removesuffix(where)
    if what.startswith(_ENUM):
        what = "not one of the values that are allowed"
    return f"{what[: 2 * MAX_TOLD]}{where}"
