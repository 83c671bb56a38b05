"""Secrets are struck out of all that an attempt says, in the forms in which they come back."""

import re
from typing import Any, Final

import msgspec

from .escapes import forms_of
from .secrets import MIN_LENGTH, STRUCK, SecretText

MIN_BEGINNING: Final = 4
"""Characters of a secret at the end of a text that is cut; fewer are left there."""
_PLAIN: Final = (
    (b"\\\\", b"\xff"), (b'\\"', b"\xfe"),
    (b"\\n", b"\n"), (b"\\r", b"\r"), (b"\\t", b"\t"), (b"\\b", b"\b"), (b"\\f", b"\f"),
    *((b"\\u%04x" % code, bytes([code])) for code in range(32) if code not in b"\n\r\t\b\f"),
)  # fmt: skip
"""Each escape in the JSON of msgspec, and a byte that is nowhere else in it: without a backslash
nothing can be taken for another thing, and a quotation mark always ends a text or begins one."""
_OUTSIDE: Final = re.compile(rb"[\[\]{},:0-9.eE+\-truefalsn ]+")
"""What can stand in JSON between two texts."""
_NOT_OURS: Final = re.compile(rb"[\x00-\x1f\xfe\xff]")
"""JSON that somebody else has written may be in lines."""


class Scrubber:
    """Strikes secrets out of what an attempt says. Whoever cuts a text has it struck out before:
    half a secret would not be found. What was cut before it came is `cut`'s.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        """Longest first: one that begins another must not leave that one's tail."""
        self._bytes: list[tuple[bytes, bytes]] = []
        """The same for bytes,"""
        self._in_json: list[tuple[bytes, bytes]] = []
        """and for JSON without its escapes."""

    def __bool__(self) -> bool:
        return bool(self._known)

    def add(self, secret: SecretText) -> None:
        """From here on this one is struck out, as a whole, line by line, and encoded."""
        instead = STRUCK.format(secret.label)
        for form in (str(secret), *forms_of(str(secret))):
            if len(form) >= MIN_LENGTH:
                self._known.setdefault(form, instead)
        self._known = dict(sorted(self._known.items(), key=lambda item: -len(item[0])))
        self._bytes = [
            (form.encode("utf-8", "surrogatepass"), told.encode())
            for form, told in self._known.items()
        ]
        self._in_json = [
            (_quoted(form), _quoted(told)) for form, told in self._known.items() if _is_text(form)
        ]

    def text(self, text: str) -> str:
        """The text without them."""
        for value, instead in self._known.items():
            text = text.replace(value, instead)
        return text

    def cut(self, text: str) -> str:
        """The same for the beginning of a longer text: its end may be the beginning of a secret."""
        text = self.text(text)
        end = text.rstrip("\ufffd")  # a character may be cut too
        starts = {_start(end, form): told for form, told in reversed(self._known.items())}
        first = min(starts, default=len(end))
        return text if first == len(end) else text[:first] + starts[first]

    def raw(self, data: bytes) -> bytes:
        """Bytes without them: before these are shown as base64."""
        for value, instead in self._bytes:
            data = data.replace(value, instead)
        return data

    def json(self, encoded: bytes) -> bytes:
        """JSON without them, in whatever way they were escaped.

        Its texts are not looked at one by one, as there may be millions.
        """
        plain = _unescaped(encoded)
        if b"\\" in plain or _NOT_OURS.search(encoded):
            encoded = msgspec.json.encode(msgspec.json.decode(encoded))
            plain = _unescaped(encoded)
        there = [pair for pair in self._in_json if pair[0] in plain]
        if not there:
            return encoded
        if any(_OUTSIDE.fullmatch(form) for form, _ in there):
            return msgspec.json.encode(self._without(msgspec.json.decode(encoded)))
        for form, instead in there:
            plain = plain.replace(form, instead)
        return _escaped(plain)

    def _without(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): self._without(item) for key, item in value.items()}
            case list():
                return [self._without(item) for item in value]
            case int() | float() if not isinstance(value, bool):
                return self._number(value)
            case _:
                return value

    def _number(self, value: Any) -> Any:
        """A secret of digits comes back as a number now and then."""
        whole = isinstance(value, float) and value.is_integer()
        text = str(abs(int(value) if whole else value))
        return self._known.get(text, value)


def _start(text: str, form: str) -> int:
    """Where at its end the text begins to say the form; its length where it does not."""
    at = text.find(form[:MIN_BEGINNING], max(0, len(text) - len(form) + 1))
    while at >= 0:
        if form.startswith(text[at:]):
            return at
        at = text.find(form[:MIN_BEGINNING], at + 1)
    return len(text)


def _is_text(form: str) -> bool:
    """Whether JSON can say it."""
    return not any("\ud800" <= character <= "\udfff" for character in form)


def _quoted(text: str) -> bytes:
    return _unescaped(msgspec.json.encode(text)[1:-1])


def _unescaped(encoded: bytes) -> bytes:
    """JSON with a byte of its own for each escape; a backslash stays where it is none of ours."""
    for escape, byte in _PLAIN:
        if b"\\" not in encoded:
            break
        encoded = encoded.replace(escape, byte)
    return encoded


def _escaped(plain: bytes) -> bytes:
    for escape, byte in _PLAIN:
        plain = plain.replace(byte, escape)
    return plain
