"""What both clients have: where they send, and how a call becomes a request."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from ... import __version__
from .target import Target, target_of
from .types import Call

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 45.0
"""A stream that says nothing for so long is cut: the server sends a comment every 15 s."""
PATIENCE: Final = 30.0


class Base:
    """``patience``: for so many seconds a server may be away."""

    def __init__(self, url: str | None, token: str | None, patience: float) -> None:
        self.patience = patience
        self._target: Target = target_of(url, token)

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._target.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def _options(self) -> dict[str, Any]:
        """For either of httpx's clients. No redirect is followed: the token is for this server."""
        headers = {"User-Agent": f"aipartnerupflow/{__version__}", "Accept-Encoding": "identity"}
        if self._target.token:
            headers["Authorization"] = f"Bearer {self._target.token}"
        return {
            "base_url": self.url, "headers": headers, "trust_env": not self._target.is_here,
            "follow_redirects": False,
        }  # fmt: skip


def request_of(call: Call[Any], *, stream: bool = False) -> Mapping[str, Any]:
    """The arguments for httpx."""
    answer = SILENCE_SECONDS if stream else ANSWER_SECONDS + call.takes
    return {
        "method": call.method, "url": call.path, "params": dict(call.params),
        "headers": dict(call.headers), "content": call.body,
        "timeout": httpx.Timeout(answer, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
    }  # fmt: skip
