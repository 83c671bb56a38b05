"""Whose certificates are trusted, and why one is not."""

import ssl
from collections.abc import Iterator
from typing import Final

_OTHER_NAME: Final = frozenset({62, 64})
"""Codes of OpenSSL whose texts repeat the name or the address that was asked for."""


def distrust(error: BaseException) -> str | None:
    """Why a certificate was refused, in a few words without anything of the request; None where
    ``error`` comes of something else.
    """
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in _OTHER_NAME:
                return "it is for another name"
            return cause.verify_message
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it comes of, also where a library raises it ``from None``."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
