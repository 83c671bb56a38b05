"""Bodies of requests: read with a limit, and only as JSON."""

from typing import Final, TypeVar

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect

from ...domain.errors import InvalidInput
from ...domain.wording import misfit
from .answers import NotJson

JSON: Final = "application/json"
T = TypeVar("T")


class TooLarge(InvalidInput):
    """A body over the limit of its route; the rest of it was not read."""


async def json_body(request: Request, limit: int) -> bytes:
    """The body, of at most ``limit`` bytes. Raises `NotJson`, `TooLarge`, `InvalidInput`."""
    body = await _read(request, limit)
    if not body.strip():
        raise InvalidInput("the body is empty; this needs JSON")
    return body


async def _read(request: Request, limit: int) -> bytes:
    media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media != JSON and not media.endswith("+json"):
        raise NotJson(f"send {JSON}")
    parts: list[bytes] = []
    left = limit
    try:
        async for part in request.stream():
            left -= len(part)
            if left < 0:
                raise TooLarge(
                    f"the body is larger than {limit >> 20} MiB, which is the limit here"
                )
            parts.append(part)
    except ClientDisconnect as error:
        raise InvalidInput("the connection ended within the body") from error
    return b"".join(parts)


def decoded(body: bytes, kind: type[T]) -> T:
    """The body as ``kind``. Raises `InvalidInput`, without repeating what was given."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the body does not fit: {misfit(error)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInput("the body is nested too deeply") from error


async def optional(request: Request, kind: type[T]) -> T:
    """The body as ``kind``; an empty one stands for ``{}``."""
    length = request.headers.get("content-length")
    if length == "0" or (length is None and "transfer-encoding" not in request.headers):
        return decoded(b"{}", kind)
    body = await _read(request, 1 << 20)
    return decoded(body or b"{}", kind)
