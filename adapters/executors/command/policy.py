"""Which commands may be run. Off until the operator switches it on, and then only what is listed.

Settings: ``APFLOW_COMMAND_ENABLED`` (true or false) and ``APFLOW_COMMAND_ALLOW``, a JSON array of
patterns; beside them ``…_ROOTS``, ``…_ENV`` and ``…_MEMORY``, see `CommandPolicy`. A pattern is an
array of strings and stands for whole commands, word by word: ``"*"`` is exactly one argument, a
last ``"..."`` any number of them, every other string is itself.

    [["uptime"], ["git", "-C", "*", "status"], ["echo", "..."]]

A word that stands for any argument stands for options as well: list ``["tar", "..."]`` and every
option of tar can be given.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from ....domain.errors import ExecutorDisabled, InvalidInput

ENABLED: Final = "APFLOW_COMMAND_ENABLED"
ALLOW: Final = "APFLOW_COMMAND_ALLOW"
ROOTS: Final = "APFLOW_COMMAND_ROOTS"
ENV: Final = "APFLOW_COMMAND_ENV"
MEMORY: Final = "APFLOW_COMMAND_MEMORY"
ONE: Final = "*"
ANY: Final = "..."

_WORDS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("", "0", "false", "no", "off"), False),
}

Pattern = tuple[str, ...]


class CommandPolicy(Struct, frozen=True):
    """``roots`` are folders in which a command may work, ``env`` names of variables that a task
    may set, ``memory`` bytes of address space. ``max_timeout`` in seconds. ``max_output``: bytes
    kept of each stream.
    """

    enabled: bool = False
    allow: tuple[Pattern, ...] = ()
    roots: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    memory: int | None = None
    max_timeout: float = 3600.0
    max_output: int = 1024 * 1024

    @property
    def advice(self) -> str:
        """How to have commands run."""
        return f"{ENABLED}=true, and {ALLOW} with the commands that may be run"

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "CommandPolicy":
        """Read the settings, as text or as values. Raises `InvalidInput`."""
        return cls(
            enabled=_flag(settings.get(ENABLED, False)),
            allow=_patterns(settings.get(ALLOW, ())),
            roots=tuple(settings.get(ROOTS, ())),
            env=tuple(settings.get(ENV, ())),
            memory=settings.get(MEMORY),
        )

    def require_folder(self, cwd: str) -> str:
        """The folder without links, if it lies in one of the roots. Raises `ExecutorDisabled`."""
        real = os.path.realpath(cwd)
        roots = [os.path.realpath(root) for root in self.roots]
        if not os.path.isabs(cwd) or not any(
            os.path.commonpath([real, root]) == root for root in roots
        ):
            raise ExecutorDisabled(
                f"the working directory is in none of the folders that are allowed. The operator "
                f"lists them in {ROOTS}; name it with its absolute path."
            )
        return real

    def require_variables(self, names: Iterable[str]) -> None:
        """Raises `ExecutorDisabled` for a variable that a task may not set."""
        for name in names:
            if name not in self.env:
                raise ExecutorDisabled(
                    f"a variable is set that no task may set, since programs obey them. The "
                    f"operator lists the names that are harmless in {ENV}."
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
