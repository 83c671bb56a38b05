"""`apflow config show`: the settings in force."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType
from pydantic import SecretStr

from ...domain.errors import InvalidInput
from ..documents import Page
from ..settings import load_settings
from ..settings_sources import KEYS
from .console import Console, clean
from .desk import without_password

HIDDEN: Final = "***"
DEFAULT: Final = "default"


class Shown(Struct, frozen=True, omit_defaults=True):
    """A setting; ``source`` only where it was asked for."""

    key: str
    value: Any
    source: str | UnsetType = UNSET


def main(console: Console, *, action: str, sources: bool) -> int:
    """Every setting with its value, and on demand where it comes from."""
    if action != "show":
        raise InvalidInput("settings can only be shown: apflow config show")
    settings = load_settings()
    found = [
        Shown(
            key,
            _value(getattr(settings, key)),
            settings.origins.get(key, DEFAULT) if sources else UNSET,
        )
        for key in KEYS
    ]
    if console.json:
        console.document(Page(found))
        return 0
    width = max(map(len, KEYS))
    for one in found:
        source = "" if one.source is UNSET else f"  ({clean(str(one.source))})"
        console.print(f"{one.key:<{width}}  {_text(one.value)}{source}")
    return 0


def _value(value: Any) -> Any:
    """As JSON, without what is secret."""
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, str):
        return without_password(value) if "://" in value else value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [_value(item) for item in value]
    return str(value)


def _text(value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list):
        return clean(", ".join(map(_text, value)))
    return clean(str(value).lower() if isinstance(value, bool) else str(value))
