"""What came over a WebSocket: kept within bounds, shown as results show it."""

import base64
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ....domain.inputs import EmptyPointer, at_pointer
from .schemas import MAX_RESPONSES

MAX_KEPT: Final = 4 << 20
"""Bytes of all messages together that are kept: the newest."""
_NONE: Final = object()


class Received:
    """The newest messages, and how many there were. ``scrub`` strikes secrets out of bytes."""

    def __init__(self, scrub: Callable[[bytes], bytes]) -> None:
        self._scrub = scrub
        self._kept: deque[str | bytes] = deque()
        self._bytes = 0
        self.count = 0
        self.truncated = False

    def add(self, message: str | bytes) -> None:
        """Keep one more; the oldest go where it is too much."""
        self.count += 1
        self._kept.append(message)
        self._bytes += len(message)
        while self._bytes > MAX_KEPT or len(self._kept) > MAX_RESPONSES:
            self._bytes -= len(self._kept.popleft())
            self.truncated = True

    def shown(self, *, several: bool) -> dict[str, Any]:
        """As parts of a result: the last one, and all of them where ``several`` were asked for."""
        found: dict[str, Any] = {}
        if several:
            found["responses"] = [self._shown(message) for message in self._kept]
        if self._kept:
            last = self._shown(self._kept[-1])
            names = {"text": "response", "base64": "response_base64"}
            found |= {names.get(name, name): value for name, value in last.items()}
        if self.truncated:
            found["truncated"] = True
        return found

    def _shown(self, message: str | bytes) -> dict[str, Any]:
        """``{text, json?}`` or ``{base64}``."""
        if isinstance(message, bytes):
            return {"base64": base64.b64encode(self._scrub(message)).decode()}
        value = _json(message)
        return {"text": message} if value is _NONE else {"text": message, "json": value}


def matches(message: str | bytes, pointer: str, wanted: Any) -> bool:
    """Whether it is JSON that has this value at this place."""
    if isinstance(message, bytes):
        return False
    try:
        found = at_pointer(_json(message), "", pointer)
    except EmptyPointer:
        return False
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _NONE
