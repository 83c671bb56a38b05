"""HTTP requests to other services."""

import base64
import ssl
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from urllib.parse import urlencode, urlunsplit

import msgspec

from ....domain.errors import InvalidInput
from ...net.forms import multipart, pairs
from ...net.guard import Guard
from ...net.http import MAX_REDIRECTS, Answer, Http
from ...net.transport import trusted
from ...net.trust import CA_FILE
from ...net.waits import retry_after
from ..base import BaseTask, Inputs
from ..configured import with_attributes
from ..context import Context
from ..errors import TransientError
from ..http_rules import TRANSIENT, check_headers, in_clear, merged, place, port_of, split
from ..secrets import holds_secret, require_for
from .answer import shown
from .schemas import INPUTS, METHODS, OUTPUTS

DEFAULT_TIMEOUT: Final = 30.0
MAX_TIMEOUT: Final = 3600.0
MOST: Final = 256
"""Connections at once."""
EACH: Final = 64
"""Of these to one origin."""
SPARE: Final = 64
"""Of these for origins with none: some whose calls hang do not hold up the others."""
MAX_BODY: Final = 10 << 20
"""Bytes of an answer that are kept; base64 of that many still fits into a result."""
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""RFC 9110, section 9.2.2: methods that do the same when they are repeated."""

BODIES: Final = ("json", "data", "files")
WITHHELD: Final = (
    "it redirects elsewhere (`location` among its headers), which is not followed since the body "
    "of the request holds a secret"
)
"""A secret in a body does not go to wherever the target likes."""


class Refused(TransientError):
    """The target is busy or away, as it says itself."""


class RestExecutor(BaseTask):
    """Sends one request. What is not 2xx fails, unless the task's ``accept`` names the status."""

    id = "rest_executor"
    name = "REST"
    description = "Sends an HTTP request and returns the answer"
    tags = ("http",)
    cancelable = True
    examples = (
        {"url": "https://api.example.com/items", "params": {"page": "2"}},
        {
            "url": "https://api.example.com/items", "method": "POST", "json": {"name": "lamp"},
            "auth": {"type": "bearer", "token": {"$secret": "EXAMPLE_TOKEN"}},
        },
    )  # fmt: skip
    inputs_schema = INPUTS
    outputs_schema = OUTPUTS
    by_name: ClassVar[bool] = False

    guard: ClassVar[Guard] = Guard()

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        auth: Mapping[str, Any] | None = None,
        follow_redirects: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._usual = {"headers": dict(headers or {}), "auth": auth}
        self._follow = follow_redirects
        self.judge = self.guard
        self.tls: ssl.SSLContext | None = None

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Callable[..., "RestExecutor"]:
        """A factory whose executors reach what the operator allows."""
        guard = Guard(settings.get("APFLOW_PRIVATE_TARGETS", ()))
        tls = trusted(settings.get(CA_FILE))
        return with_attributes(cls, judge=guard, tls=tls)

    @classmethod
    def safe_to_repeat(cls, inputs: Inputs) -> bool:
        """As HTTP says of its methods."""
        return str(inputs.get("method", "GET")).upper() in SAFE

    def get_demo_result(self, task: Any, inputs: Inputs) -> dict[str, Any]:
        """An answer as a friendly service might give it."""
        return {
            "success": True, "status_code": 200, "url": "https://api.example.com/",
            "method": str(inputs.get("method", "GET")).upper(),
            "headers": {"content-type": "application/json"}, "body": '{"demo":true}',
            "json": {"demo": True},
        }  # fmt: skip

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """``{success, status_code, url, headers, method, body, json}``; see `OUTPUTS`."""
        method = str(inputs.get("method", "GET")).upper()
        if method not in METHODS:
            raise InvalidInput(f"method is one of {', '.join(METHODS)}")
        request = _Request(self._usual, inputs, self.context)
        follows = bool(inputs.get("follow_redirects", self._follow))
        withheld = follows and holds_secret([inputs.get(name) for name in BODIES])
        http = self.context.shared.get(
            "http", lambda: Http(self.judge, tls=self.tls, most=MOST, each=EACH, spare=SPARE)
        )
        answer = await http.call(
            method, request.url, headers=request.headers, content=request.content,
            seconds=_timeout(inputs), limit=MAX_BODY,
            redirects=MAX_REDIRECTS if follows and not withheld else 0, private=request.private,
            private_only=in_clear(split(request.url), [inputs]),
            once=not request.keyed and method not in SAFE,
        )  # fmt: skip
        result = self._result(method, answer, place(inputs.get("url"), answer.url))
        if withheld and 300 <= answer.status < 400 and "location" in answer.headers:
            result["error"] = f"the target answered {answer.status}: {WITHHELD}"
        return result

    def _result(self, method: str, answer: Answer, url: str) -> dict[str, Any]:
        good = 200 <= answer.status < 300 or answer.status in self.context.accept
        if answer.status in TRANSIENT and not good:
            raise Refused(f"the target answered {answer.status}", retry_after(answer.headers))
        result: dict[str, Any] = {
            "success": good, "status_code": answer.status, "url": url,
            "headers": answer.headers, "method": method,
        }  # fmt: skip
        return result | shown(answer, self.context.scrub)


class _Request:
    """What is sent, put together from a task's inputs."""

    def __init__(self, usual: Mapping[str, Any], inputs: Inputs, context: Context) -> None:
        self._context = context
        self.headers = merged(usual["headers"], inputs.get("headers") or {})
        query = pairs(inputs.get("params") or {}, "params")
        auth = inputs.get("auth") or usual["auth"] or {}
        parts = split(str(inputs.get("url", "")))
        require_for(parts.hostname or "", [inputs], port_of(parts))
        self._authorize(auth, query)
        self.keyed = any(name.lower() == "idempotency-key" for name in self.headers)
        """Of a key of theirs they know that the target looks at it, of ours nobody does."""
        if not self.keyed:
            self.headers["Idempotency-Key"] = context.idempotency_key
        check_headers(self.headers)
        self.private = frozenset(
            name.lower() for name, value in self.headers.items() if context.scrub(value) != value
        )
        self.content = self._body(inputs)
        more = urlencode(query)
        joined = "&".join(part for part in (parts.query, more) if part)
        self.url = urlunsplit(parts._replace(query=joined, fragment=""))

    def _authorize(self, auth: Mapping[str, Any], query: list[tuple[str, str]]) -> None:
        match auth.get("type"):
            case None if not auth:
                return
            case "bearer":
                self._set("Authorization", f"Bearer {_text(auth, 'token')}")
            case "basic":
                pair = f"{_text(auth, 'username')}:{_text(auth, 'password')}"
                encoded = base64.b64encode(pair.encode()).decode()
                if holds_secret(list(auth.values())):
                    self._context.conceal(encoded)
                self._set("Authorization", f"Basic {encoded}")
            case "apikey":
                key, value = _text(auth, "key"), _text(auth, "value")
                if auth.get("location", "header") == "query":
                    query.append((key, value))
                else:
                    self._set(key, value)
            case _:
                raise InvalidInput("auth.type is bearer, basic or apikey")

    def _body(self, inputs: Inputs) -> bytes | None:
        given = [name for name in BODIES if inputs.get(name) is not None]
        if "json" in given and len(given) > 1:
            raise InvalidInput("give one of `json`, `data` and `files`; the last two go together")
        if not given:
            return None
        if "json" in given:
            self._kind("application/json")
            return msgspec.json.encode(inputs["json"], enc_hook=str)
        if "files" in given:
            kind, content = multipart(inputs.get("data") or {}, inputs["files"])
            self._kind(kind)
            return content
        data = inputs["data"]
        if isinstance(data, str):
            return data.encode()
        self._kind("application/x-www-form-urlencoded")
        return urlencode(pairs(data, "data")).encode()

    def _set(self, name: str, value: str) -> None:
        self.headers = merged(self.headers, {name: value})

    def _kind(self, kind: str) -> None:
        if not any(name.lower() == "content-type" for name in self.headers):
            self.headers["Content-Type"] = kind


def _text(auth: Mapping[str, Any], name: str) -> str:
    value = auth.get(name)
    if not isinstance(value, str):
        raise InvalidInput(f"auth.{name} is missing, or no text")
    return value


def _timeout(inputs: Inputs) -> float:
    value = inputs.get("timeout", DEFAULT_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("timeout is a number of seconds")
    if not 0 < value <= MAX_TIMEOUT:
        raise InvalidInput(f"timeout is a number of seconds above 0, at most {MAX_TIMEOUT:g}")
    return float(value)
