"""Webhooks: whom to tell of a tree's events, and how what is told is signed."""

import hashlib
import hmac
from typing import Final, Literal

from msgspec import Struct

MAX_HOOKS: Final = 10
"""So many open hooks a tree may have."""
TOLERANCE: Final = 300
"""Seconds by which a signature may be old, or ahead."""


class Hook(Struct, frozen=True):
    """Whom to tell. ``events`` are types such as ``task.completed`` or ``task.*``; none: all.

    ``shape`` is what the body looks like: an event of ours, or that of the JSON-RPC protocol.
    ``timeout`` (seconds) bounds one request; after ``retries`` more an event is given up.
    """

    url: str
    events: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    method: Literal["POST", "PUT"] = "POST"
    timeout: float = 10.0
    retries: int = 9
    shape: Literal["event", "jsonrpc"] = "event"

    def wants(self, topic: str) -> bool:
        """Whether it is to be told of events of this type."""
        return not self.events or any(
            topic == each or (each.endswith("*") and topic.startswith(each[:-1]))
            for each in self.events
        )


def sign(secret: bytes, timestamp: int, body: bytes) -> str:
    """The signature of a body that is sent at ``timestamp`` (seconds since the epoch)."""
    digest = hmac.new(secret, b"%d." % timestamp + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def is_signed(
    secret: bytes, timestamp: str, body: bytes, signature: str, *, now: float, tolerance: float
) -> bool:
    """Whether ``signature`` is that of the body, and fresh. Takes the same time for any."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    sent = int(timestamp)
    right = hmac.compare_digest(sign(secret, sent, body).encode(), signature.strip().encode())
    return right and abs(now - sent) <= tolerance
