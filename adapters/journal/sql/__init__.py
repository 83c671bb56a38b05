"""SQL lives in ``.sql`` files; this reads the named statements out of them, once."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace

_HERE = Path(__file__).parent
_NAME = "-- name: "


def script(name: str) -> str:
    """The text of a whole ``.sql`` file, by its name without the suffix."""
    return (_HERE / f"{name}.sql").read_text(encoding="utf-8")


@cache
def statements(name: str) -> SimpleNamespace:
    """The statements of a file, each under the name that the comment above it gives."""
    found = {}
    for block in script(name).split(_NAME)[1:]:
        title, _, text = block.partition("\n")
        found[title.strip()] = text.strip()
    return SimpleNamespace(**found)
