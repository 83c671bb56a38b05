"""Another instance: how it is called, and what its answers mean."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from ....domain.errors import InvalidInput
from ...net.http import Answer, Http
from ...net.sse import ServerEvent, read_events
from ...net.waits import retry_after
from ..base import Inputs
from ..context import Context
from ..errors import TransientError
from ..http_rules import TRANSIENT, check_headers, in_clear, merged, place, port_of, split
from ..secrets import SecretText, holds_secret, require_for

SECONDS: Final = 30.0
"""For one answer."""
SILENCE: Final = 45.0
"""Seconds after which a stream counts as dead: the other instance says something every 15."""
MAX_ANSWER: Final = 16 << 20
MAX_DETAIL: Final = 500
"""Characters of what the other instance says about a refusal."""
LAST: Final = 2.0
"""Seconds for an answer that is still under way when the task is to end."""
IN_A_ROW: Final = 10
IN_ALL: Final = 20
"""So many failures of following are borne, one after the other, and altogether."""
LONGEST_PAUSE: Final = 30.0
CONFLICT: Final = 409
_ESCAPED: Final = re.compile(r"\$remote_(?=.)")


class Away(TransientError):
    """The other instance is busy or away. What it runs goes on there."""


class RemoteRefused(Exception):
    """The other instance will not do it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RemoteTimeout(Exception):
    """The work took longer there than ``timeout`` allows. It says what became of it."""


class Remote:
    """Calls of one attempt to one instance."""

    def __init__(self, http: Http, inputs: Inputs, context: Context) -> None:
        self.base = _base(inputs.get("base_url"))
        self.shown = place(inputs.get("base_url"), self.base)
        self.context = context
        self._http = http
        self._parts = split(self.base)
        self._in_clear = in_clear(self._parts, [inputs])
        require_for(self._parts.hostname or "", [inputs], port_of(self._parts))
        self._headers = merged(inputs.get("headers") or {})
        _require_secret(inputs)
        if (token := inputs.get("auth_token")) is not None:
            self._headers = merged(self._headers, {"Authorization": f"Bearer {token}"})
        check_headers(self._headers)

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        seconds: float = SECONDS,
        limit: int = MAX_ANSWER,
        **headers: str,
    ) -> Answer:
        """One answer that is none of its refusals. Raises `Away`, `RemoteRefused`, `Unanswered`."""
        answer = await self.ask(method, path, body, seconds=seconds, limit=limit, **headers)
        self.judge(answer)
        return answer

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        seconds: float = SECONDS,
        limit: int = MAX_ANSWER,
        **headers: str,
    ) -> Answer:
        """One answer, whatever it says. Raises `Unanswered`."""
        return await self._http.call(
            method, self.base + path, headers=self._headed(body, headers), content=body,
            seconds=seconds, limit=limit, redirects=0, private_only=self._in_clear,
        )  # fmt: skip

    def judge(self, answer: Answer) -> None:
        """Raises `Away` for what passes by itself, `RemoteRefused` for every other refusal."""
        status = answer.status
        if status in TRANSIENT or (status == CONFLICT and "retry-after" in answer.headers):
            raise Away(f"the other instance answered {status}", retry_after(answer.headers))
        if not 200 <= status < 300:
            detail = self.context.scrub(_detail(answer))[:MAX_DETAIL]
            if 300 <= status < 400:
                detail = f"; it redirects: give the address it redirects to{detail}"
            raise RemoteRefused(f"the other instance answered {status}{detail}", status)

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[ServerEvent]]]:
        """The head of an answer, and its events if it is a stream. Raises `Unanswered`."""
        said = self._headed(body, {"Accept": "text/event-stream, application/json", **headers})
        async with self._http.stream(
            method,
            self.base + path,
            headers=said,
            content=body,
            silence=SILENCE,
            private_only=self._in_clear,
        ) as (head, parts):
            yield head, read_events(parts)

    def _headed(self, body: bytes | None, more: Mapping[str, str]) -> dict[str, str]:
        ours = {name.replace("_", "-"): value for name, value in more.items()}
        if body is not None:
            ours["Content-Type"] = "application/json"
        return merged(self._headers, ours)


class Patience:
    """Failures of following: borne with longer and longer pauses, but not for ever."""

    def __init__(self, pause: float) -> None:
        self.total = 0
        self.row = 0
        self._pause = pause

    def over(self) -> None:
        """It works again."""
        self.row = 0

    async def wait(self, error: Exception | None) -> None:
        """After one more failure. Raises `Away` where these are too many."""
        self.row += 1
        self.total += 1
        if self.row >= IN_A_ROW or self.total >= IN_ALL:
            message = "the other instance cannot be followed any more; what it runs goes on there"
            raise Away(message) from error
        asked = getattr(error, "retry_after", None) or 0.0
        pause = min(self._pause * 2 ** (self.row - 1), LONGEST_PAUSE)
        await asyncio.sleep(min(max(asked, pause), LONGEST_PAUSE))


def decoded(answer: Answer) -> Any:
    """The JSON of an answer. Raises `RemoteRefused` where it is none."""
    try:
        if not answer.cut:
            return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    raise RemoteRefused("what answers at base_url is no instance of this software", answer.status)


def outgoing(value: Any) -> Any:
    """Tasks as the other instance is to get them: ``$remote_secret`` is its ``$secret``.

    What begins with ``$`` means something here already; so one writes ``$remote_…`` for there.
    Raises `InvalidInput` where a secret of this instance is among them: it would be stored there.
    """
    if isinstance(value, SecretText):
        raise InvalidInput(
            "a secret of this instance may not stand in what another one stores. Name one of its "
            'own: {"$remote_secret": "NAME"}'
        )
    if isinstance(value, dict):
        return {_ESCAPED.sub("$", key, count=1) if key.startswith("$") else key: outgoing(item)
                for key, item in value.items()}  # fmt: skip
    return [outgoing(item) for item in value] if isinstance(value, list) else value


def _require_secret(inputs: Inputs) -> None:
    headers = {str(k).lower(): v for k, v in (inputs.get("headers") or {}).items()}
    for name, value in (("auth_token", inputs.get("auth_token")),
                        ("headers.authorization", headers.get("authorization"))):  # fmt: skip
        if value is not None and not holds_secret(value):
            raise InvalidInput(f'{name} is given as a secret only: {{"$secret": "NAME"}}')


def _base(url: Any) -> str:
    parts = split(url if isinstance(url, str) else "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput("base_url is the http or https address of another instance")
    if parts.username is not None or parts.query or parts.fragment:
        raise InvalidInput("base_url has no user, no query and no fragment")
    return str(url).rstrip("/")


def _detail(answer: Answer) -> str:
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    detail = found.get("detail") or found.get("title") if isinstance(found, dict) else None
    return f": {detail}" if isinstance(detail, str) and detail else ""


def seen(posting: "asyncio.Task[Any]") -> None:
    """Its error was looked at, even where nobody waited for it any more."""
    if not posting.cancelled():
        posting.exception()
