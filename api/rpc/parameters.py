"""Parameters by name, read with all that is wrong told at once, and never repeated."""

from collections.abc import Collection, Sequence
from heapq import nsmallest
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ...domain.specs import is_id
from ...domain.written import items_of as counted
from .envelope import first_of
from .errors import Code, RpcError, Wrong

MAX_IDS: Final = 1_000
"""Tasks in one call."""
MAX_SHOWN: Final = 10
"""So many names that are no parameters are shown."""
MAX_TEXT: Final = 255
MAX_BYTES: Final = 256 * 1024
"""Of any parameter but tasks."""
MAX_OWN: Final = 8 << 20
"""Of all parameters but tasks."""
T = TypeVar("T")

_members = msgspec.json.Decoder(dict[str, Raw])


class _Large(msgspec.Struct, gc=False):
    tasks: Raw | UnsetType = UNSET
    children: Raw | UnsetType = UNSET


_large = msgspec.json.Decoder(_Large)


class Given:
    """What a call gives. Readers return a default for what is wrong; `close` tells of it.

    A name may be given in several ways, of which the first one counts. ``null`` is as good as
    nothing.
    """

    def __init__(self, params: Raw | UnsetType) -> None:
        self._wrong: list[Wrong] = []
        self._asked: set[str] = set()
        self._members: dict[str, Raw] = {}
        if isinstance(params, UnsetType):
            return
        if is_array(params):
            raise RpcError.of(Code.INVALID_PARAMS, "", "this method takes its parameters by name")
        if len(memoryview(params)) > MAX_OWN:
            _require_few(params)
        self._members = _members.decode(params)

    def refuse(self, field: str, reason: str) -> None:
        """One more thing is wrong."""
        self._wrong.append({"field": field, "reason": reason})

    def close(self) -> None:
        """Raises `RpcError` with all that is wrong, what nobody asked for included."""
        if unknown := self._members.keys() - self._asked:
            self._refuse_unknown(unknown)
        if self._wrong:
            raise RpcError(Code.INVALID_PARAMS, sorted(self._wrong, key=lambda w: w["field"]))

    def _refuse_unknown(self, names: Collection[str]) -> None:
        """All in one: there may be millions of them."""
        shown = nsmallest(MAX_SHOWN, (n for n in names if n.isidentifier() and len(n) < 40))
        known = ", ".join(sorted(self._asked))
        if len(names) == 1:
            reason = f"it is no parameter of this method; there are {known}"
            self.refuse("".join(shown), reason)
            return
        some = f" ({', '.join(shown)}{', …' if len(names) > len(shown) else ''})" if shown else ""
        reason = f"{len(names)} names{some} are no parameters of this method; there are {known}"
        self.refuse("", reason)

    def raw(self, *names: str) -> Raw | None:
        """JSON as it came; None for nothing."""
        self._asked.update(names)
        found = (self._members.get(name) for name in names)
        return next((raw for raw in found if raw is not None and first_of(raw) != b"n"), None)

    def has(self, *names: str) -> bool:
        """Whether any of these is given."""
        return self.raw(*names) is not None

    def rest(self, *known: str) -> dict[str, Raw]:
        """All but these."""
        self._asked.update(self._members)
        return {name: raw for name, raw in self._members.items() if name not in known}

    def _value(self, names: Sequence[str], kind: type[T], reason: str) -> T | None:
        raw = self.raw(*names)
        if raw is None:
            return None
        if len(memoryview(raw)) > MAX_BYTES:
            self.refuse(names[0], f"it has more than {MAX_BYTES >> 10} KiB")
            return None
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError:
            self.refuse(names[0], reason)
            return None

    def id(self, *names: str) -> str:
        """The id of a task, which has to be there."""
        raw = self.raw(*names)
        if raw is None:
            self.refuse(names[0], "it is missing: the id of a task")
            return ""
        return self._value(names, str, "it is the id of a task, as a string") or ""

    def maybe_id(self, *names: str) -> str | None:
        """The same, where it may be left out."""
        return self.id(*names) if self.has(*names) else None

    def ids(self, *names: str) -> list[str] | None:
        """Ids as an array, or as text with commas between; None where they are not given."""
        raw = self.raw(*names)
        if raw is None:
            return None
        reason = "they are ids of tasks: an array, or a string with commas between"
        if is_array(raw):
            found = self._value(names, list[str], reason) or []
        else:
            text = self._value(names, str, reason) or ""
            found = [part.strip() for part in text.split(",") if part.strip()]
        if len(found) > MAX_IDS:
            self.refuse(names[0], f"at most {MAX_IDS} at once")
        return list(dict.fromkeys(found))

    def text(self, name: str, most: int = MAX_TEXT) -> str | None:
        """A short text."""
        found = self._value([name], str, "it is a string")
        if found is not None and (len(found) > most or "\0" in found):
            self.refuse(name, f"it has at most {most} characters, none of them NUL")
            return None
        return found

    def word(self, name: str, words: Sequence[str], default: T) -> str | T:
        """One of a few words."""
        reason = f"it is one of {', '.join(words)}"
        found = self._value([name], str, reason)
        if found is not None and found not in words:
            self.refuse(name, reason)
        return found if found in words else default  # type: ignore[return-value]

    def words(self, name: str, words: Sequence[str]) -> list[str]:
        """Some of a few words; all of them where none is given."""
        reason = f"it is an array of {', '.join(words)}"
        found = self._value([name], list[str], reason)
        if found is None:
            return list(words)
        if not set(found) <= set(words):
            self.refuse(name, reason)
        return [word for word in words if word in found]

    def flag(self, name: str, default: bool) -> bool:
        """Yes or no."""
        found = self._value([name], bool, "it is true or false")
        return default if found is None else found

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        reason = f"it is a whole number from {least} to {most}"
        found = self._value([name], int, reason)
        if found is None:
            return default
        if not least <= found <= most:
            self.refuse(name, reason)
            return default
        return found


def is_array(raw: Raw) -> bool:
    """Whether this JSON is an array."""
    return first_of(raw) == b"["


def _require_few(params: Raw) -> None:
    """What is large has large tasks, and not millions of names. Raises `RpcError`."""
    parts = _large.decode(params)
    own = len(memoryview(params))
    for part in (parts.tasks, parts.children):
        own -= 0 if isinstance(part, UnsetType) else len(memoryview(part))
    if own > MAX_OWN:
        reason = f"the parameters have more than {MAX_OWN >> 20} MiB beside their tasks"
        raise RpcError.of(Code.INVALID_PARAMS, "", reason)


def items_of(raw: Raw) -> list[Raw]:
    """The items of an array; whatever else it is, is the only one. Raises `InvalidGraph`."""
    return counted(raw) if is_array(raw) else [raw]


def usable(id: str) -> str:
    """For looking up: what can be no id finds nothing."""
    return id if is_id(id) else ""


def decoded(raw: Raw) -> Any:
    """As Python values."""
    return msgspec.json.decode(raw)
