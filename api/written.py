"""A tree as its caller wrote it: what stands around its tasks, and what may stand there."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ..domain.errors import InvalidInput
from ..domain.specs import MAX_NAME, TreeOptions
from ..domain.wording import misfit
from ..domain.written import items_of
from .webhooks import WrittenHook

HOOKS_BYTES = 256 * 1024
"""Bytes of the webhooks that are written with a tree."""
HOOKS_NEED_A_SERVER: Final = (
    "webhooks are delivered by a server, and here is none. Leave them out, or give the tree to "
    "one: `apflow serve`, then `apflow submit`."
)
MAX_FIELD: Final = 40
"""No name of a field is sought that is longer."""

T = TypeVar("T", str, str | None)


class Written(Struct, forbid_unknown_fields=True):
    """A tree as its caller wrote it; its tasks are JSON. ``start`` false: it stays a draft.
    ``demo``: executors give results for show instead of working.
    """

    tasks: Sequence[Raw | bytes]
    name: str | None = None
    limit: int | None = None
    start: bool = True
    demo: bool = False
    webhooks: Sequence[WrittenHook] = ()


FIELDS: Final = Written.__struct_fields__
SHAPE: Final = 'an array of tasks, a task with "children", or an object with ' + ", ".join(
    f'"{name}"' for name in FIELDS
)


class _Wrapped(Written, forbid_unknown_fields=True):
    tasks: Raw  # type: ignore[assignment]


class _Outline(Struct):
    tasks: Raw | UnsetType = UNSET
    webhooks: Raw | UnsetType = UNSET


_outline = msgspec.json.Decoder(_Outline)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]*)`\Z")


def parse(data: bytes) -> Written:
    """An array of tasks, a task with children, or an object with ``tasks``, as `Written` has it.

    Raises `InvalidInput`, without repeating what was given, or `InvalidGraph`. What has too many
    parts is refused before anything is made of them.
    """
    try:
        if data.lstrip()[:1] == b"[":
            return Written(items_of(data))
        outline = _outline.decode(data)
        if isinstance(outline.tasks, UnsetType):
            return Written([data])
        tasks = tasks_of(outline.tasks)
        hooks = outline.webhooks
        if not isinstance(hooks, UnsetType) and len(memoryview(hooks)) > HOOKS_BYTES:
            raise InvalidInput(f"`webhooks` has more than {HOOKS_BYTES >> 10} KiB")
        rest = msgspec.json.decode(data, type=_Wrapped)
        return Written(tasks, rest.name, rest.limit, rest.start, rest.demo, rest.webhooks)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        unknown = _UNKNOWN.match(str(error))
        hint = "" if unknown is None else f". {meant(unknown[1])}"
        raise InvalidInput(f"a tree is {SHAPE}: {misfit(error)}{hint}") from error


def tasks_of(tasks: Raw) -> list[Raw]:
    """An array of tasks, or a single one with its children. Raises as `items_of` does."""
    return [tasks] if bytes(memoryview(tasks)[:1]) == b"{" else items_of(tasks)


def meant(field: str, fields: Sequence[str] = FIELDS) -> str:
    """Which field an unknown one may have been meant to be, or which there are."""
    close = get_close_matches(field, fields, n=1) if len(field) <= MAX_FIELD else []
    return f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(fields)}."


def options(limit: int | None, demo: bool = False) -> TreeOptions:
    """Raises `InvalidInput`."""
    if limit is not None and limit < 1:
        raise InvalidInput("limit is how many tasks of the tree may run at once: 1 or more")
    return TreeOptions(limit, demo)


def named(name: T, what: str = "the name of the tree") -> T:
    """What stands beside the tasks is bound as their names are. Raises `InvalidInput`."""
    given: str | None = name
    if given is not None and not _is_name(given):
        raise InvalidInput(
            f"{what} has at most {MAX_NAME} characters, none of them NUL or half of a pair"
        )
    return name


def _is_name(text: str) -> bool:
    """No store takes lone surrogates."""
    lone = any("\ud800" <= letter <= "\udfff" for letter in text[:MAX_NAME])
    return len(text) <= MAX_NAME and "\0" not in text and not lone
