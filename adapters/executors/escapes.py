"""What else a text looks like when somebody sends it back: encoded, or escaped for a format."""

import base64
import html
import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, quote_plus, urlsplit

_ENDS: Final = re.compile(r"[\r\n]+")
_OF_JSON: Final = re.compile(r"\\(?:u([0-9a-f]{4})|.)")
_OF_URL: Final = re.compile(r"%[0-9A-F]{2}")
_SPECIAL: Final = (re.compile("[<>&]"), re.compile("[<>&'+]"))
_APOSTROPHES: Final = ("&#39;", "&#039;", "&apos;", "'")
_IN_BROWSERS: Final = "!'()*"
"""What encodeURIComponent leaves as it is."""


def forms_of(value: str) -> Iterator[str]:
    """They may be few or many, and equal ones among them."""
    lines = [line.strip() for line in _ENDS.split(value)]
    if len(lines) > 1:
        yield from lines
    data = value.encode("utf-8", "replace")
    yield from _in_url(value)
    yield from _in_json(data.decode())
    yield from _in_html(value)
    yield from _in_base64(data)
    yield from (data.hex(), data.hex().upper())
    if "://" in value:
        yield from _of_url(value)


def _in_url(value: str) -> Iterator[str]:
    for form in (
        quote(value, safe="", errors="replace"),
        quote(value, errors="replace"),
        quote(value, safe=_IN_BROWSERS, errors="replace"),
        quote_plus(value, errors="replace"),
    ):
        yield form
        yield _OF_URL.sub(lambda found: found[0].lower(), form)


def _in_json(value: str) -> Iterator[str]:
    """As text within a text. Some escape what is not ASCII, in digits of either case; PHP the
    slash; Go, .NET and Rails what means something in HTML.
    """
    ascii = json.dumps(value)[1:-1]
    for form in (json.dumps(value, ensure_ascii=False)[1:-1], ascii, _raised(ascii)):
        yield form
        yield form.replace("/", "\\/")
    for special in _SPECIAL:
        safe = special.sub(lambda found: f"\\u{ord(found[0]):04x}", ascii)
        yield from (safe, _raised(safe))


def _raised(form: str) -> str:
    """With the digits of its escapes in upper case."""
    return _OF_JSON.sub(lambda found: f"\\u{found[1].upper()}" if found[1] else found[0], form)


def _in_html(value: str) -> Iterator[str]:
    yield html.escape(value, quote=False)
    whole = html.escape(value)
    for quoted in (whole, whole.replace("&quot;", "&#34;")):
        yield quoted
        yield from (quoted.replace("&#x27;", other) for other in _APOSTROPHES)


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
