"""Which commands may be run. Off until the operator switches it on, and then only what is listed.

Settings: ``APFLOW_COMMAND_ENABLED`` (true or false) and ``APFLOW_COMMAND_ALLOW``, a JSON array of
patterns. A pattern is an array of strings and stands for whole commands, word by word: ``"*"`` is
exactly one argument, a last ``"..."`` any number of them, every other string is itself.

    [["uptime"], ["git", "-C", "*", "status"], ["echo", "..."]]

A word that stands for any argument stands for options as well: list ``["tar", "..."]`` and every
option of tar can be given.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from ...domain.errors import ExecutorDisabled, InvalidInput

ENABLED: Final = "APFLOW_COMMAND_ENABLED"
ALLOW: Final = "APFLOW_COMMAND_ALLOW"
ONE: Final = "*"
ANY: Final = "..."

_WORDS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("", "0", "false", "no", "off"), False),
}

Pattern = tuple[str, ...]


class CommandPolicy(Struct, frozen=True):
    """``max_timeout`` in seconds. ``max_output``: bytes kept of each stream."""

    enabled: bool = False
    allow: tuple[Pattern, ...] = ()
    max_timeout: float = 3600.0
    max_output: int = 1024 * 1024

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "CommandPolicy":
        """Read the two settings, as text or as values. Raises `InvalidInput`."""
        return cls(
            enabled=_flag(settings.get(ENABLED, False)), allow=_patterns(settings.get(ALLOW, ()))
        )

    def require(self, argv: Sequence[str]) -> None:
        """Raises `ExecutorDisabled` unless a pattern matches the whole of ``argv``."""
        if not self.enabled:
            raise ExecutorDisabled(
                f"commands are switched off. The operator sets {ENABLED}=true and lists the "
                f"allowed ones in {ALLOW}."
            )
        if not any(matches(pattern, argv) for pattern in self.allow):
            raise ExecutorDisabled(
                f"the command, of {len(argv)} words, is not on the allow-list. The operator adds "
                f'a pattern for the whole of it to {ALLOW}, such as ["echo", "*"].'
            )


def matches(pattern: Pattern, argv: Sequence[str]) -> bool:
    """Whether the pattern stands for exactly these words."""
    if pattern[-1] == ANY:
        pattern = pattern[:-1]
        argv = argv[: len(pattern)]
    return len(pattern) == len(argv) and all(
        word in (ONE, given) for word, given in zip(pattern, argv, strict=True)
    )


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _WORDS:
        raise InvalidInput(f"{ENABLED} is true or false")
    return _WORDS[word]


def _patterns(value: Any) -> tuple[Pattern, ...]:
    try:
        if isinstance(value, str):
            value = msgspec.json.decode(value) if value.strip() else ()
        patterns = msgspec.convert(value, tuple[Pattern, ...])
    except msgspec.MsgspecError:
        raise InvalidInput(
            f'{ALLOW} is a JSON array of arrays of strings, such as [["echo", "*"]]'
        ) from None
    for pattern in patterns:
        if not pattern or pattern[0] in (ONE, ANY, "") or ANY in pattern[:-1]:
            raise InvalidInput(
                f"{ALLOW}: each pattern begins with a program, written out, and has {ANY!r} "
                "only at its end"
            )
    return patterns
