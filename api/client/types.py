"""What is sent to a server, and what comes back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


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
