"""Requests and answers of JSON-RPC 2.0 (sections 4 to 6), without what they say."""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from .errors import Code, RpcError

MAX_BATCH: Final = 100
"""Requests in one batch."""
LARGE: Final = 1 << 20
"""Bytes. What is larger comes alone, and from those who may submit: reading it costs memory."""
NULL: Final = Raw(b"null")
_IDS: Final = frozenset(bytes([byte]) for byte in b'"n-0123456789')
"""How strings, null and numbers begin."""

_encode = msgspec.json.Encoder(decimal_format="number").encode
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


class _Members(Struct, gc=False):
    jsonrpc: Raw | UnsetType = UNSET
    method: Raw | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET


_members = msgspec.json.Decoder(_Members)


class Received(Struct, frozen=True):
    """All that one body asks."""

    items: list[Request | Invalid]
    is_batch: bool


def parse(body: bytes) -> Received:
    """Raises `RpcError` where the body is no JSON, or a batch that nobody answers."""
    try:
        if len(body) <= LARGE:
            msgspec.json.decode(body)  # all of it, also what is kept as it came
        if body.lstrip()[:1] != b"[":
            return Received([_request(Raw(body))], False)
        if len(body) > LARGE:
            reason = f"a batch has at most {LARGE >> 20} MiB; send large requests alone"
            raise RpcError.of(Code.INVALID_REQUEST, "", reason)
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
        return Invalid(NULL, RpcError.of(Code.INVALID_REQUEST, "", "a request is an object"))
    method = _text(members.method)
    has_id = first_of(members.id) in _IDS
    wrong = [
        {"field": field, "reason": reason}
        for holds, field, reason in (
            (_text(members.jsonrpc) == "2.0", "jsonrpc", 'it is "2.0"'),
            (method is not None, "method", "it is the name of a method, as a string"),
            (has_id or members.id is UNSET, "id", "it is a string, a number or null"),
            (
                members.params is UNSET or first_of(members.params) in (b"{", b"["),
                "params", "they are an object, or an array; leave them out where there are none",
            ),
        )
        if not holds
    ]  # fmt: skip
    id = members.id.copy() if isinstance(members.id, Raw) else UNSET
    if wrong or method is None:
        known = id if isinstance(id, Raw) and has_id else NULL
        return Invalid(known, RpcError(Code.INVALID_REQUEST, wrong))
    return Request(method, members.params, id)


def first_of(raw: Raw | UnsetType) -> bytes:
    """The first byte of JSON, which tells its kind."""
    return b"" if isinstance(raw, UnsetType) else bytes(memoryview(raw)[:1])


def _text(raw: Raw | UnsetType) -> str | None:
    if isinstance(raw, UnsetType) or first_of(raw) != b'"':
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
