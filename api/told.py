"""Events as their documents tell them: to those who have no log at hand."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..domain.events import Recorded
from .documents import event_document

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Event(Struct, frozen=True):
    """What happened in a tree. ``version`` is dense from 1 in it, ``position`` rises in a store."""

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


def event_of(raw: Raw | bytes) -> Event:
    """An event from its document."""
    return msgspec.structs.replace(msgspec.json.decode(raw, type=Event), raw=Raw(bytes(raw)))


def event(recorded: Recorded) -> Event:
    """An event as it is read back from its document."""
    return event_of(_encode(event_document(recorded)))
