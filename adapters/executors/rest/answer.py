"""An answer as the result of `rest_executor` shows it, within what a result may have."""

import base64
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ...net.http import Answer
from ..results import too_deep

MAX_SHOWN: Final = 14 << 20
"""Bytes of JSON of all that is shown of a body."""
MAX_BOTH: Final = 1 << 20
"""Bytes of a body that is shown as text though it is shown as JSON as well."""
_TEXT: Final = ("text/", "application/json", "application/xml", "application/x-www-form-urlencoded")

Scrub = Callable[[bytes], bytes]


def shown(answer: Answer, scrub: Scrub) -> dict[str, Any]:
    """``body`` or ``body_base64``, and ``json`` where it is that. Secrets are struck out of what is
    cut or encoded here.
    """
    kind = answer.headers.get("content-type", "")
    found: dict[str, Any] = {}
    cut = answer.cut
    size = 0
    if "json" in kind and not cut:
        found, size = _json(answer.body, scrub)
        cut = size > MAX_SHOWN - MAX_BOTH
        if cut:
            found, size = {}, 0
    if not (kind.startswith(_TEXT) or "+json" in kind or not answer.body):
        found["body_base64"] = base64.b64encode(scrub(answer.body)).decode()
    elif "json" not in found or len(answer.body) <= MAX_BOTH:
        found["body"], short = _bounded(scrub(answer.body), MAX_SHOWN - size)
        cut = cut or short
    return found | {"truncated": True} if cut else found


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
