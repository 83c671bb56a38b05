"""Signals: how one that is sent again is told from another one with its id."""

import hashlib
from decimal import Decimal
from math import isinf
from typing import Any, Final

from msgspec import Raw, UnsetType, ValidationError, json

_EXACT: Final = 2.0**53


def _number(text: str) -> Any:
    """1.0 and 1e0 are 1."""
    number = float(text)
    if isinf(number):
        return Decimal(text)
    return int(number) if abs(number) < _EXACT and number.is_integer() else number


_decode: Final = json.Decoder(float_hook=_number).decode
_encode: Final = json.Encoder(order="sorted", decimal_format="number").encode


def mark_of(name: str, payload: Raw | UnsetType | None) -> bytes:
    """The same for the same name and payload, as JSON is the same; nothing is null."""
    said = bytes(payload) if isinstance(payload, Raw) else b"null"
    try:
        plain = _encode(_decode(said))
    except (ValidationError, RecursionError):  # a number beyond all others, or nested too deeply
        plain = said
    return hashlib.sha256(name.encode() + b"\0" + plain).digest()
