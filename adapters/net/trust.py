"""Whose certificates are trusted, and why one is not."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ...domain.errors import InvalidInput

CA_FILE: Final = "APFLOW_TLS_CA_FILE"
"""The setting of executors that names it."""
_OTHER_NAME: Final = frozenset({62, 64})
"""Codes of OpenSSL whose texts repeat the name or the address that was asked for."""


def trusting(
    file: Path | str | None, usual: Callable[[], ssl.SSLContext] = ssl.create_default_context
) -> ssl.SSLContext | None:
    """Trusts the authorities in ``file`` (PEM) besides the ``usual`` ones; None without a file: as
    the libraries do by themselves. Raises `InvalidInput` for a file that is none.
    """
    if file is None:
        return None
    context = usual()
    try:
        context.load_verify_locations(Path(file).expanduser())
    except OSError as error:  # an SSLError is one
        raise InvalidInput("tls_ca_file names no file of certificates in PEM") from error
    return context


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
