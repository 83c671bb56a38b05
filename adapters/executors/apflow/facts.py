"""Events of another instance: what is read of them."""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from .remote import Away

SETTLED: Final = "tree.settled"
TYPES: Final = f"task.completed,task.failed,task.cancelled,task.reopened,{SETTLED}"


class Fact(Struct, rename={"task": "task_id"}):
    """``blob`` is set where the result does not stand in its event."""

    type: str
    version: int
    task: str = ""
    result: Raw | UnsetType = UNSET
    blob: str | None = None
    error: dict[str, Any] | None = None
    status: str = ""


class _Page(Struct):
    items: list[Fact]


def fact_of(data: str) -> Fact:
    """One of a stream. Raises `Away` where it cannot be read."""
    try:
        return msgspec.json.decode(data.encode(), type=Fact)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Away("its stream cannot be read") from error


def facts_of(body: bytes) -> list[Fact]:
    """Those of a page of the history. Raises `Away` where it cannot be read."""
    try:
        return msgspec.json.decode(body, type=_Page).items
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Away("its history cannot be read") from error
