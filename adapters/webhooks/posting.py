"""One event to one hook: the request, its signature, and what its answer means."""

from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import Final

from msgspec import Struct

from ...domain.errors import TargetRefused
from ...domain.webhooks import sign
from ...engine.ports import Clock
from ..net.http import Answer, Http, Unanswered
from .outbox import Claimed

MAX_AFTER: Final = 3_600.0
"""Seconds that a receiver may ask to be left alone."""
_LATER: Final = frozenset({408, 425, 429})
_GONE: Final = 410
_READ: Final = 64 << 10


class Taken(Struct, frozen=True):
    """A 2xx."""


class Refused(Struct, frozen=True):
    """It would be refused again: the event is given up."""

    problem: str


class Gone(Struct, frozen=True):
    """Nothing can be told to this hook any more."""

    problem: str


class Again(Struct, frozen=True):
    """It may be taken later, ``after`` so many seconds at the earliest."""

    problem: str
    after: float = 0.0


Outcome = Taken | Refused | Gone | Again
Post = Callable[[Claimed, int, bytes], Awaitable[Outcome]]
"""Tell a hook of the event of a version."""


class Poster:
    """`Post` over HTTP. ``agent`` is the name by which it introduces itself."""

    def __init__(self, http: Http, secret: bytes, clock: Clock, agent: str) -> None:
        self._http = http
        self._secret = secret
        self._clock = clock
        self._agent = agent

    async def __call__(self, claimed: Claimed, version: int, body: bytes) -> Outcome:
        """Redirects are not followed: what is signed goes where it was registered for."""
        hook = claimed.hook
        timestamp = int(self._clock.now())
        headers = {
            "user-agent": self._agent,
            "accept": "*/*",
            **hook.headers,
            "content-type": "application/json",
            "x-apflow-delivery": f"{claimed.id}-{version}",
            "x-apflow-timestamp": str(timestamp),
            "x-apflow-signature": sign(self._secret, timestamp, body),
        }
        try:
            answer = await self._http.call(
                hook.method, hook.url, headers=headers, content=body, seconds=hook.timeout,
                limit=_READ, redirects=0,
            )  # fmt: skip
        except TargetRefused as error:
            return Gone(str(error))
        except Unanswered as error:
            return Again(str(error))
        return outcome(answer, self._clock.now())


def outcome(answer: Answer, now: float) -> Outcome:
    """What an answer means."""
    status = answer.status
    said = f"the receiver answered {status}"
    if 200 <= status < 300:
        return Taken()
    if status == _GONE:
        return Gone(said)
    if status >= 500 or status in _LATER:
        return Again(said, retry_after(answer.headers.get("retry-after", ""), now))
    if 300 <= status < 400:
        said += ", a redirect, which is not followed: register the address it leads to"
    return Refused(said)


def retry_after(text: str, now: float) -> float:
    """Seconds, of a number or a date (RFC 9110, section 10.2.3); 0 where it says nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), MAX_AFTER)
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(0.0, moment - now), MAX_AFTER)
