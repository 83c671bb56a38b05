"""Names of images taken apart as the container engine does, and the patterns that allow them."""

from fnmatch import fnmatchcase
from typing import Final

ALL: Final = "*"


def split(image: str) -> tuple[str, str]:
    """The registry, empty where the name has none, and the rest."""
    first, slash, rest = image.partition("/")
    # The engine takes a first part with capitals for a host as well: no repository has any.
    is_host = any(c in first for c in ".:") or first == "localhost" or first != first.lower()
    return (first, rest) if slash and is_host else ("", image)


def allows(pattern: str, image: str) -> bool:
    """Whether the pattern matches: the registry by the registry, the rest part by part.

    `*` stays within its part; alone at the end, after a `/`, it stands for any number of them.
    """
    registry, rest = split(image)
    wanted, path = split(pattern)
    if bool(wanted) != bool(registry) or not fnmatchcase(registry, wanted):
        return False
    parts, patterns = rest.split("/"), path.split("/")
    if patterns[-1] == ALL and "/" in pattern and len(parts) >= len(patterns):
        patterns.pop()
        parts = parts[: len(patterns)]
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))
