"""Requests and answers of JSON-RPC 2.0 (sections 4 to 6), without what they say."""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from .errors import Code, RpcError

MAX_BATCH: Final = 100
"""Requests in one batch."""
NULL: Final = Raw(b"null")

_encode = msgspec.json.Encoder(decimal_format="number").encode
_members = msgspec.json.Decoder(dict[str, Raw])
_raws = msgspec.json.Decoder(list[Raw])


class Request(Struct, frozen=True):
    """One call. ``id`` is JSON as it came; unset for a notification."""

    method: str
    params: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET

    @property
    def is_notification(self) -> bool:
        """Nobody waits for an answer."""
        return isinstance(self.id, UnsetType)


class Invalid(Struct, frozen=True):
    """What is no request; ``id`` as far as it can be told."""

    id: Raw
    error: RpcError


class Received(Struct, frozen=True):
    """All that one body asks."""

    items: list[Request | Invalid]
    is_batch: bool


def parse(body: bytes) -> Received:
    """Raises `RpcError` where the body is no JSON, or a batch that nobody answers."""
    try:
        msgspec.json.decode(body)  # all of it, also what is kept as it came
        if body.lstrip()[:1] != b"[":
            return Received([_request(Raw(body))], False)
        items = _raws.decode(body)
    except RecursionError as error:
        raise RpcError.of(Code.PARSE_ERROR, "", "it is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RpcError.of(Code.PARSE_ERROR, "", f"the body is not JSON: {error}") from error
    if not items:
        raise RpcError.of(Code.INVALID_REQUEST, "", "a batch has at least one request")
    if len(items) > MAX_BATCH:
        reason = f"a batch has at most {MAX_BATCH} requests; send the others in another one"
        raise RpcError.of(Code.INVALID_REQUEST, "", reason)
    return Received([_request(item) for item in items], True)


def _request(raw: Raw) -> Request | Invalid:
    try:
        members = _members.decode(raw)
    except msgspec.ValidationError:
        error = RpcError.of(Code.INVALID_REQUEST, "", "a request is an object")
        return Invalid(NULL, error)
    wrong: list[dict[str, Any]] = []

    def check(holds: bool, field: str, reason: str) -> None:
        if not holds:
            wrong.append({"field": field, "reason": reason})

    id = members.get("id")
    usable = id is None or _is_id(id)
    params = members.get("params")
    check(_text(members.get("jsonrpc")) == "2.0", "jsonrpc", 'it is "2.0"')
    method = _text(members.get("method"))
    check(method is not None, "method", "it is the name of a method, as a string")
    check(usable, "id", "it is a string, a number or null")
    check(
        params is None or bytes(params).lstrip()[:1] in (b"{", b"["),
        "params", "they are an object, or an array; leave them out where there are none",
    )  # fmt: skip
    if wrong or method is None:
        known = id if id is not None and usable else NULL
        return Invalid(known.copy(), RpcError(Code.INVALID_REQUEST, wrong))
    return Request(method, UNSET if params is None else params, UNSET if id is None else id.copy())


def _is_id(raw: Raw) -> bool:
    first = bytes(raw).lstrip()[:1]
    return first in (b'"', b"n", b"-") or first.isdigit()


def _text(raw: Raw | None) -> str | None:
    if raw is None or bytes(raw).lstrip()[:1] != b'"':
        return None
    return msgspec.json.decode(raw, type=str)


def result(id: Raw, value: Any) -> dict[str, Any]:
    """A good answer."""
    return {"jsonrpc": "2.0", "result": value, "id": id}


def failure(id: Raw, error: RpcError) -> dict[str, Any]:
    """A bad one."""
    return {"jsonrpc": "2.0", "error": error.document(), "id": id}


def encoded(answer: Any) -> bytes:
    """As it is sent."""
    return _encode(answer)
