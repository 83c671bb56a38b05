"""What is sent to a server, and what comes back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

T = TypeVar("T")


class Event(Struct, frozen=True):
    """What happened in a tree, in its envelope. ``version`` is dense from 1 in each tree."""

    position: int
    version: int
    type: str
    at: str
    by: str
    tree_id: str
    task_id: str | None = None
    attempt: int | None = None
    raw: Raw = Raw()
    """The document as it came."""

    @property
    def data(self) -> dict[str, Any]:
        """All of it as Python values, with what belongs to its type."""
        found: dict[str, Any] = msgspec.json.decode(self.raw)
        return found


class Some(Struct, Generic[T], frozen=True):
    """A page: some of many, and where to go on."""

    items: list[T]
    next: str | None = None


class Answer(Struct, frozen=True):
    """What a server said."""

    status: int
    media: str
    body: bytes
    retry_after: float | None = None


class Call(Struct, Generic[T], frozen=True, kw_only=True):
    """A request, and how its answer is read.

    ``repeatable``: it may be sent again where the answer was lost. ``takes``: the server may need
    so many seconds beyond the usual. ``fine``: statuses that are answers, not problems.
    """

    method: str
    path: str
    read: Callable[[bytes], T]
    params: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    repeatable: bool = False
    takes: float = 0.0
    fine: Sequence[int] = ()


def event_of(raw: Raw | bytes) -> Event:
    """An event from its document."""
    return msgspec.structs.replace(msgspec.json.decode(raw, type=Event), raw=Raw(bytes(raw)))
