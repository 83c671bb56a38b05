"""An answer as the result of `rest_executor` shows it, within what a result may have."""

import base64
import re
from collections.abc import Callable
from encodings.aliases import aliases
from typing import Any, Final

import msgspec

from ...net.http import Answer
from ...net.unpacking import stays_packed
from ..results import too_deep

MAX_SHOWN: Final = 14 << 20
"""Bytes of JSON of all that is shown of a body."""
MAX_BOTH: Final = 1 << 20
"""Bytes of a body that is shown as text though it is shown as JSON as well."""
_TEXT: Final = frozenset(
    f"application/{name}"
    for name in ("xml", "x-www-form-urlencoded", "x-ndjson", "ndjson", "jsonl", "json-seq")
)
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)
_KNOWN: Final = frozenset(aliases) | frozenset(aliases.values()) | {"koi8_u", "cp874"}
"""Only these are looked up: Python keeps each name that it has ever been asked for."""

Scrub = Callable[[bytes], bytes]


def shown(answer: Answer, scrub: Scrub) -> dict[str, Any]:
    """``body`` or ``body_base64``, and ``json`` where it is that. Secrets are struck out of what is
    cut or encoded here.
    """
    said = answer.headers.get("content-type", "")
    kind = said.partition(";")[0].strip().lower()
    packing = answer.headers.get("content-encoding", "").strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if answer.body and stays_packed(packing):
        found, cut = _bytes(answer, scrub) | {"packed": packing}, answer.cut
    elif is_json or kind.startswith("text/") or kind in _TEXT or not answer.body:
        found, cut = _text(_utf8(answer.body, said), answer.cut, is_json, scrub)
    else:
        found, cut = _bytes(answer, scrub), answer.cut
    return found | {"truncated": True} if cut else found


def _bytes(answer: Answer, scrub: Scrub) -> dict[str, Any]:
    return {"body_base64": base64.b64encode(scrub(answer.body)).decode()}


def _text(body: bytes, cut: bool, is_json: bool, scrub: Scrub) -> tuple[dict[str, Any], bool]:
    """It, and whether that is not all."""
    found: dict[str, Any] = {}
    size = 0
    if is_json and not cut:
        found, size = _json(body, scrub)
        cut = size > MAX_SHOWN - MAX_BOTH
        if cut:
            found, size = {}, 0
    if "json" not in found or len(body) <= MAX_BOTH:
        found["body"], short = _bounded(scrub(body), MAX_SHOWN - size)
        cut = cut or short
    return found, cut


def _utf8(body: bytes, kind: str) -> bytes:
    """A text in UTF-8, though its content type names another charset that Python knows.

    To replace what a charset lacks takes up to 0.3 s for 1 MiB: larger ones have to fit.
    """
    named = _CHARSET.search(kind)
    name = named[1].lower().replace("-", "_") if named else ""
    if name not in _KNOWN or name in ("utf_8", "utf8"):
        return body
    try:
        text = body.decode(name, "replace" if len(body) <= MAX_BOTH else "strict")
    except (LookupError, UnicodeError):  # it is no charset, or not that of this body
        return body
    return text.encode("utf-8", "replace")


def _json(body: bytes, scrub: Scrub) -> tuple[dict[str, Any], int]:
    """It, and how many bytes it will have in the result."""
    try:
        value = msgspec.json.decode(body)
        encoded = msgspec.json.encode({"json": value})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"json_error": "the body is not JSON, whatever its content type says"}, 0
    if too_deep(encoded):
        return {"json_error": "the body is nested deeper than a result may be"}, 0
    return {"json": value}, len(scrub(encoded))


def _bounded(body: bytes, room: int) -> tuple[str, bool]:
    """The beginning of a text that has at most so many bytes of JSON; whether that is not all."""
    text = whole = body.decode("utf-8", "replace")
    while (size := len(msgspec.json.encode(text))) > room:
        text = text[: len(text) * room // size]
    return text, len(text) < len(whole)
