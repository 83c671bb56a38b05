"""Secrets are struck out of all that an attempt says, in the forms in which they come back."""

import base64
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus, urlsplit

import msgspec

from .secrets import MIN_LENGTH, STRUCK, SecretText

_ENDS: Final = re.compile(r"[\r\n]+")


class Scrubber:
    """Strikes secrets out of what an attempt says. Whoever cuts a text has it struck out before:
    half a secret would not be found.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        """Longest first: one that begins another must not leave that one's tail."""

    def __bool__(self) -> bool:
        return bool(self._known)

    def add(self, secret: SecretText) -> None:
        """From here on this one is struck out, as a whole, line by line, and encoded."""
        instead = STRUCK.format(secret.label)
        for form in (str(secret), *_forms(str(secret))):
            if len(form) >= MIN_LENGTH:
                self._known.setdefault(form, instead)
        self._known = dict(sorted(self._known.items(), key=lambda item: -len(item[0])))

    def text(self, text: str) -> str:
        """The text without them."""
        for value, instead in self._known.items():
            text = text.replace(value, instead)
        return text

    def raw(self, data: bytes) -> bytes:
        """Bytes without them: before these are shown as base64."""
        for value, instead in self._known.items():
            data = data.replace(value.encode("utf-8", "surrogatepass"), instead.encode())
        return data

    def json(self, encoded: bytes) -> bytes:
        """JSON without them, in whatever way they were escaped."""
        if not self._occur(encoded):
            return encoded
        return msgspec.json.encode(self._without(msgspec.json.decode(encoded)))

    def _occur(self, encoded: bytes) -> bool:
        return b"\\" in encoded or any(
            value.encode("utf-8", "surrogatepass") in encoded for value in self._known
        )

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


def _forms(value: str) -> Iterator[str]:
    """What else a secret looks like when it comes back."""
    lines = [line.strip() for line in _ENDS.split(value)]
    if len(lines) > 1:
        yield from lines
    yield quote(value, safe="", errors="replace")
    yield quote(value, errors="replace")
    yield quote_plus(value, errors="replace")
    yield msgspec.json.encode(value.encode("utf-8", "replace").decode())[1:-1].decode()
    yield from _in_base64(value.encode("utf-8", "replace"))
    if "://" in value:
        yield from _of_url(value)


def _in_base64(data: bytes) -> Iterator[str]:
    """The digits that stand for it alone, wherever it lies in what was encoded."""
    for before in range(3):
        digits = base64.b64encode(bytes(before) + data)
        within = digits[-(-before * 8 // 6) : (before + len(data)) * 8 // 6].decode()
        yield within
        yield within.replace("+", "-").replace("/", "_")


def _of_url(url: str) -> Iterator[str]:
    """A URL that is a secret: what results, logs and targets show of it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    bare = parts._replace(query="", fragment="").geturl()
    yield from (bare, bare.rstrip("/"), parts._replace(fragment="").geturl())
    path = parts.path.rstrip("/")
    yield from (path, f"{parts.path}?{parts.query}", parts.query)
