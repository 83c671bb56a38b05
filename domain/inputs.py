"""What an executor receives: what dependencies give, overridden by what was written explicitly.

References are data, not a language: ``{"$from": "<key>", "pointer": "/items/0"}`` stands for what a
dependency returned, or for a part of it (JSON Pointer, RFC 6901). Nothing is evaluated.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from msgspec import Raw, json

from .specs import EMPTY_OBJECT, ErrorInfo
from .wording import quoted

JsonValue = Any
"""What JSON can hold: None, bool, int, float, str, list of these, dict of str to these."""

REFERENCE = "$from"
_MARK = b'"$from"'
_ESCAPE = b"\\u00"
_BAD_TILDE = re.compile("~(?![01])")
_MISSING = object()


class EmptyPointer(Exception):
    """A pointer found nothing that fits. Not retryable: it would find nothing again."""

    def __init__(self, key: str, pointer: str, wanted: str = "nothing") -> None:
        super().__init__(
            f"{{{REFERENCE!r}: {quoted(key)}}}: the result has {wanted} at pointer "
            f"{quoted(pointer)}"
        )

    def as_error(self) -> ErrorInfo:
        """The form in which it enters the log."""
        return ErrorInfo("empty_pointer", str(self), bases=("ValueError",))


def effective(
    written: Raw,
    dependencies: Sequence[tuple[str, Callable[[], JsonValue]]],
    declared: Sequence[str] | None,
    *,
    by_key: bool = False,
) -> dict[str, JsonValue]:
    """The inputs of one attempt, made afresh, so that an executor may do with them as it likes.

    ``dependencies`` are the completed ones in their written order, as (key, how to get the
    result). ``declared`` are the top-level properties of the input schema, None where there is
    none. With ``by_key`` every result is given by its key, whatever is declared. Raises
    `EmptyPointer`.
    """
    explicit: dict[str, JsonValue] = {} if written is EMPTY_OBJECT else json.decode(written)
    if explicit and _may_refer(written):
        resolved = _resolve(explicit, _Results(dependencies, _references(explicit)))
        if not isinstance(resolved, dict):  # the inputs as a whole were a reference
            raise EmptyPointer(explicit[REFERENCE], explicit.get("pointer", ""), "no object")
        explicit = resolved
    given: dict[str, JsonValue] = {}
    if declared is None or by_key:
        given = {key: result() for key, result in dependencies}
    if declared is not None:
        for _, result in dependencies:
            value = result()
            for name in declared:
                found = _property(value, name)
                if found is not _MISSING and name not in given:
                    given[name] = found
    return given | explicit


def references(written: Raw) -> Iterator[str]:
    """The keys that ``$from`` names anywhere in ``written``."""
    if _may_refer(written):
        yield from _references(json.decode(written))


def _may_refer(written: Raw) -> bool:
    """Cheap: whether decoding can bring a reference to light (JSON may escape any character)."""
    text = bytes(written)
    return _MARK in text or _ESCAPE in text


def _references(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        if _is_reference(value):
            yield value[REFERENCE]
        else:
            for item in value.values():
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _is_reference(value: dict[str, JsonValue]) -> bool:
    return (
        isinstance(value.get(REFERENCE), str)
        and isinstance(value.get("pointer", ""), str)
        and value.keys() <= {REFERENCE, "pointer"}
    )


class _Results:
    """Results by key, each had once however many ``references`` there are to it: these get copies
    of their parts then, so that none sees what is done with another.
    """

    def __init__(
        self,
        dependencies: Sequence[tuple[str, Callable[[], JsonValue]]],
        references: Iterable[str],
    ) -> None:
        self._results = dict(dependencies)
        self._times = Counter(references)
        self._kept: dict[str, JsonValue] = {}

    def part(self, key: str, pointer: str) -> JsonValue:
        """Raises `EmptyPointer`."""
        result = self._results.get(key)
        if result is None:
            raise EmptyPointer(key, pointer)
        if self._times[key] == 1:
            return at_pointer(result(), key, pointer)
        if key not in self._kept:
            self._kept[key] = result()
        return _copied(at_pointer(self._kept[key], key, pointer))


def _copied(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def _resolve(value: JsonValue, results: _Results) -> JsonValue:
    if isinstance(value, dict):
        if _is_reference(value):
            return results.part(value[REFERENCE], value.get("pointer", ""))
        return {name: _resolve(item, results) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, results) for item in value]
    return value


def at_pointer(value: JsonValue, key: str, pointer: str) -> JsonValue:
    """The value at a JSON Pointer (RFC 6901); raises `EmptyPointer` where there is none."""
    if (pointer and not pointer.startswith("/")) or _BAD_TILDE.search(pointer):
        raise EmptyPointer(key, pointer)
    for part in pointer.split("/")[1:]:
        token = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and _is_index(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            raise EmptyPointer(key, pointer)
    return value


def _is_index(token: str) -> bool:
    """RFC 6901: digits without a leading zero; no list has an index of more than 18."""
    digits = token.isascii() and token.isdigit() and len(token) <= 18
    return digits and (len(token) == 1 or token[0] != "0")


def _property(value: JsonValue, name: str) -> JsonValue:
    """Property ``name`` of a result, or of the object under its key ``result``."""
    if isinstance(value, dict):
        if name in value:
            return value[name]
        inner = value.get("result")
        if isinstance(inner, dict) and name in inner:
            return inner[name]
    return _MISSING
