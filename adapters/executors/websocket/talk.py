"""What a task wants of a WebSocket, put together from its inputs."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from websockets.exceptions import InvalidURI
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from ....domain.errors import InvalidInput, TargetRefused
from ..base import Inputs
from ..context import Context
from ..http_rules import merged, place
from ..secrets import holds_secret, plain, require_for
from .received import Received, matches
from .schemas import MAX_RESPONSES

DEFAULT_TIMEOUT: Final = 30.0
MAX_TIMEOUT: Final = 3600.0
RESERVED: Final = frozenset(
    {"connection", "content-length", "host", "origin", "transfer-encoding", "upgrade"}
)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]{0,8000}")


class Talk:
    """What a task's inputs ask for. Raises `InvalidInput`."""

    def __init__(self, inputs: Inputs, usual: Mapping[str, str], context: Context) -> None:
        self.given = inputs
        self.url = str(inputs.get("url", ""))
        self.place = place(inputs.get("url"), self.url)
        self.host, self.port, self.secure = _target(self.url)
        require_for(self.host, [inputs, usual], self.port)
        self.seconds = _timeout(inputs)
        self.headers = _headers(merged(usual, inputs.get("headers") or {}), context)
        names = inputs.get("subprotocols") or []
        if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
            raise InvalidInput("a subprotocol is a word, as HTTP writes them")
        self.subprotocols = [Subprotocol(str(name)) for name in names] or None
        self.origin = None if inputs.get("origin") is None else Origin(str(inputs["origin"]))
        if self.origin is not None and not _VALUE.fullmatch(self.origin):
            raise InvalidInput("origin is nothing that HTTP can carry")
        self.messages = _messages(inputs)
        self.waits, self._wanted, self._until = _waited_for(inputs)
        if not self.messages and not self.waits:
            raise InvalidInput("nothing is sent and nothing waited for: give `message`")
        self.several = self._until is not None or inputs.get("responses") is not None
        self._found = False

    def look_at(self, message: str | bytes) -> None:
        """Whether this is what `until` wants."""
        if self._until is not None and matches(message, *self._until):
            self._found = True

    def satisfied(self, received: Received) -> bool:
        """Whether all has come."""
        return self._found if self._until is not None else received.count >= self._wanted

    def fraction(self, received: Received) -> float:
        """How much of it; nobody knows when a match will come."""
        return 0.0 if self._until is not None else received.count / self._wanted

    def result(self, received: Received) -> dict[str, Any]:
        """What is said in any case."""
        found: dict[str, Any] = {"url": self.place, "wait_response": self.waits}
        for name in ("message", "messages"):
            if self.given.get(name) is not None and not holds_secret(self.given[name]):
                found["message_sent"] = self.given[name]
        return found | received.shown(several=self.several)


def _target(url: str) -> tuple[str, int, bool]:
    """Host, port, and whether by TLS."""
    try:
        uri = parse_uri(url)
    except (InvalidURI, ValueError) as error:
        raise TargetRefused("its URL is none of a WebSocket: ws://… or wss://…") from error
    if uri.user_info is not None or "@" in urlsplit(url).netloc:
        raise TargetRefused("its URL holds a user; credentials belong into `headers`")
    return uri.host, uri.port, uri.secure


def _headers(headers: dict[str, str], context: Context) -> dict[str, str]:
    if not any(name.lower() == "idempotency-key" for name in headers):
        headers["Idempotency-Key"] = context.idempotency_key
    for name, value in headers.items():
        if name.lower() in RESERVED or name.lower().startswith("sec-websocket-"):
            raise InvalidInput(f"the header {name} is not yours to set: it follows from the rest")
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidInput("a header has a name or a value that HTTP cannot carry")
    return headers


def _messages(inputs: Inputs) -> list[str]:
    one, many = inputs.get("message"), inputs.get("messages")
    if one is not None and many is not None:
        raise InvalidInput("give `message` or `messages`, not both")
    if many is None:
        many = [] if one is None else [one]
    return [_text(message) for message in many]


def _text(message: Any) -> str:
    if isinstance(message, str):
        return str(message)
    return msgspec.json.encode(message, enc_hook=plain).decode()


def _waited_for(inputs: Inputs) -> tuple[bool, int, tuple[str, Any] | None]:
    """Whether anything is, how many messages, and which one."""
    count, until = inputs.get("responses"), inputs.get("until")
    waits = inputs.get("wait_response", True)
    if not isinstance(waits, bool):
        raise InvalidInput("wait_response is true or false")
    if count is not None and until is not None:
        raise InvalidInput("give `responses` or `until`, not both")
    if not waits and (count is not None or until is not None):
        raise InvalidInput("`responses` and `until` wait, `wait_response: false` does not")
    if until is not None:
        return True, 0, (str(until["pointer"]), until["equals"])
    if count is not None and not (type(count) is int and 1 <= count <= MAX_RESPONSES):
        raise InvalidInput(f"responses is a number from 1 to {MAX_RESPONSES}")
    return waits, (count or 1) if waits else 0, None


def _timeout(inputs: Inputs) -> float:
    value = inputs.get("timeout", DEFAULT_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("timeout is a number of seconds")
    if not 0 < value <= MAX_TIMEOUT:
        raise InvalidInput(f"timeout is a number of seconds above 0, at most {MAX_TIMEOUT:g}")
    return float(value)
