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


async def json_body(request: Request, limit: int) -> bytes:
    """The body, whose size the boundary has bounded. Raises `NotJson`, `InvalidInput`."""
    media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media != JSON and not media.endswith("+json"):
        raise NotJson(f"send {JSON}")
    try:
        parts = [part async for part in request.stream()]
    except ClientDisconnect as error:
        raise InvalidInput("the connection ended within the body") from error
    body = b"".join(parts)
    if not body.strip():
        raise InvalidInput("the body is empty; this needs JSON")
    return body


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
    if request.headers.get("content-length") == "0" or (
        "content-length" not in request.headers and "transfer-encoding" not in request.headers
    ):
        return decoded(b"{}", kind)
    return decoded(await json_body(request, 1 << 20), kind)
