"""From what an executor returned or raised to what the engine records."""

import re
from collections.abc import Collection
from math import inf
from typing import Any, Final

from msgspec import Raw, json

from ...domain.specs import MAX_JSON_DEPTH, MAX_SECONDS, ErrorInfo
from ...engine.ports import Outcome, Raised, Returned
from .scrubbing import Scrubber

MAX_RESULT: Final = 16 * 1024 * 1024
"""Bytes of JSON."""
MAX_MESSAGE: Final = 8 * 1024
"""Bytes of an error's message that are kept."""
MAX_DETAIL: Final = 64 * 1024
"""Bytes of a result that says ``success: false``; a longer one is cut down, see `_detail`."""
MAX_PART: Final = 8 * 1024
"""Characters that are kept of each text in one that is cut down: its end."""

UNSUCCESSFUL: Final = "unsuccessful"
TRANSIENT: Final = "TransientError"
"""Stands among the bases of what may pass by itself."""
CUT: Final = "_truncated"
"""Ends the name by which a result says that its text of that name is only the beginning; a mere
``truncated`` says it of all.
"""
LARGE: Final = 64 * 1024
"""Bytes of JSON from which on secrets are struck out in a thread."""
_CODES: Final = ("return_code", "exit_code", "status_code")
_COMMON: Final = (BaseException, object)
_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_TEXT = re.compile(rb'"[^"]*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b'"[]{}'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def _by_hook(value: Any) -> Any:
    """For what JSON does not know: pydantic models give their fields, secrets their text."""
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"a value of type {type(value).__name__} is not JSON")


_encode = json.Encoder(enc_hook=_by_hook).encode
_parts = json.Decoder(dict[str, Raw]).decode


def outcome_of(
    result: Any, accept: Collection[int] = (), scrubber: Scrubber | None = None
) -> Outcome:
    """`Returned` where ``result`` is JSON of a bearable size and not ``success: false``.

    That counts as success too where its status or exit code is one of ``accept``. Secrets are
    struck out by the ``scrubber`` before anything is cut.
    """
    encoded = encoded_of(result, scrubber)
    return encoded if isinstance(encoded, Raised) else judged(encoded, result, accept, scrubber)


def encoded_of(result: Any, scrubber: Scrubber | None = None) -> bytes | Raised:
    """JSON as it came, or why there is none."""
    try:
        return _encode(result)
    except Exception as error:  # noqa: BLE001 - asks foreign objects for their fields
        why = _text(error, scrubber or Scrubber())
        return _refused("result_not_json", f"the result is not JSON: {why}", "TypeError")


def judged(
    encoded: bytes, result: Any, accept: Collection[int] = (), scrubber: Scrubber | None = None
) -> Outcome:
    """The outcome for a ``result`` and its JSON. Calls no foreign code: a thread may do it."""
    fault = _unbearable(encoded)
    if fault is None and scrubber:
        encoded = _scrubbed(encoded, result, scrubber)
        fault = _unbearable(encoded)
    if fault is not None:
        return fault
    failed = isinstance(result, dict) and result.get("success") is False
    if failed and not (accept and _is_accepted(result, accept)):
        return Raised(
            ErrorInfo(
                UNSUCCESSFUL, _reason(result, scrubber or Scrubber()), detail=_detail(encoded)
            )
        )
    return Returned(Raw(encoded))


def _scrubbed(encoded: bytes, result: Any, scrubber: Scrubber) -> bytes:
    """Without secrets, nor their beginnings at the ends of texts that the result says are cut."""
    encoded = scrubber.json(encoded)
    if not isinstance(result, dict):
        return encoded
    cut = [
        name for name, value in result.items()
        if isinstance(value, str) and _is_cut(result, str(name))
    ]  # fmt: skip
    if not cut:
        return encoded
    parts = _parts(encoded)
    for name in cut:
        if name in parts:
            parts[name] = Raw(json.encode(scrubber.cut(json.decode(parts[name], type=str))))
    return json.encode(parts)


def _is_cut(result: dict[Any, Any], name: str) -> bool:
    return result.get("truncated") is True or result.get(f"{name}{CUT}") is True


def _unbearable(encoded: bytes) -> Raised | None:
    if len(encoded) <= MAX_JSON_DEPTH:  # too short to be nested too deep
        return None
    if len(encoded) > MAX_RESULT:
        message = f"the result has {len(encoded)} bytes of JSON, at most {MAX_RESULT} are kept"
        return _refused("result_too_large", message, "ValueError")
    if too_deep(encoded):
        message = f"the result is nested deeper than {MAX_JSON_DEPTH} levels"
        return _refused("result_too_deep", message, "ValueError")
    return None


def raised(error: BaseException, scrubber: Scrubber | None = None) -> Raised:
    """The outcome of an attempt that ended with ``error``, without secrets."""
    return Raised(error_info(error, scrubber), _retry_after(error))


def error_info(error: BaseException, scrubber: Scrubber | None = None) -> ErrorInfo:
    """An exception as it is recorded: the names of its class and bases, and its message.

    `TRANSIENT` is among the bases where it says so itself, by a true attribute ``transient``, or
    is a lost connection or a timeout that does not deny it.
    """
    name = type(error).__name__
    bases = [base.__name__ for base in type(error).__mro__[1:] if base not in _COMMON]
    if TRANSIENT not in (name, *bases) and _is_transient(error):
        bases.append(TRANSIENT)
    return ErrorInfo(name, _text(error, scrubber or Scrubber()), tuple(bases))


def _is_transient(error: BaseException) -> bool:
    says = _attribute(error, "transient")
    if says is None or callable(says):
        return isinstance(error, ConnectionError | TimeoutError)
    return bool(says)


def _retry_after(error: BaseException) -> float | None:
    """Its attribute ``retry_after``, where that is a number of seconds; a year at most."""
    value = _attribute(error, "retry_after")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(value, MAX_SECONDS)) if 0 <= value < inf else None


def _attribute(error: BaseException, name: str) -> Any:
    try:
        return getattr(error, name, None)
    except Exception:  # noqa: BLE001 - foreign code
        return None


def _is_accepted(result: dict[Any, Any], accept: Collection[int]) -> bool:
    codes = (result.get(name) for name in _CODES)
    return any(type(code) is int and code in accept for code in codes)


def _refused(type: str, message: str, base: str) -> Raised:
    return Raised(ErrorInfo(type, message, bases=(base,)))


def _text(error: BaseException, scrubber: Scrubber) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - foreign code
        text = ""
    return _bounded(scrubber.text(text or type(error).__name__))


def _bounded(text: str) -> str:
    """At most `MAX_MESSAGE` bytes, and nothing that UTF-8 cannot say."""
    return text.encode("utf-8", "replace")[:MAX_MESSAGE].decode("utf-8", "ignore")


def _reason(result: dict[Any, Any], scrubber: Scrubber) -> str:
    error = result.get("error")
    if isinstance(error, str) and error:
        return _bounded(scrubber.text(str(error)))
    for name in _CODES:
        if isinstance(result.get(name), int):
            return f"{name} {result[name]}"
    return "the executor reported success: false"


def _detail(encoded: bytes) -> Raw:
    """The result; cut down, its short values, the ends of its long texts, and ``truncated``."""
    if len(encoded) <= MAX_DETAIL:
        return Raw(encoded)
    kept: dict[str, Any] = {}
    for name, value in json.decode(encoded).items():
        if isinstance(value, str):
            kept[name] = value[-MAX_PART:]
        elif not isinstance(value, dict | list):
            kept[name] = value
    shorter = json.encode(kept | {"truncated": True})
    return Raw(shorter if len(shorter) <= MAX_DETAIL else b'{"truncated":true}')


def too_deep(encoded: bytes) -> bool:
    """Whether brackets nest deeper than allowed; costs next to nothing where there are few."""
    if encoded.count(b"{") + encoded.count(b"[") <= MAX_JSON_DEPTH:
        return False
    if b"\\" in encoded:
        encoded = _ESCAPED.sub(b"", encoded)
    left = _TEXT.sub(b"", encoded.translate(_ONE_KIND, _NO_BRACKETS))
    for _ in range(MAX_JSON_DEPTH):  # each takes the innermost brackets away
        if not left:
            return False
        left = left.replace(b"[]", b"")
    return bool(left)
