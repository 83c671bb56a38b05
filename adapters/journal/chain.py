"""The hash chain: each stored event vouches for all before it in its tree.

The fields "apflow/1", tree, version (as decimal text), topic, hash of the event before (32 zero
bytes for the first) and body hash are written one after the other, each behind its length in 4
bytes, big-endian; the SHA-256 of that is the event's ``hash``.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256

from msgspec import Struct

from .mapper import HashedEvent

START = bytes(32)
_PREFIX = b"\x00\x00\x00\x08apflow/1"
_DIGEST = b"\x00\x00\x00\x20"


class Head(Struct, gc=False):
    """The end of a stream as last committed: its version, its hash, its tree's row number."""

    version: int
    hash: bytes
    num: int


def _prefixed(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text


def link(tree: str, version: int, topic: str, previous: bytes, body_hash: bytes) -> bytes:
    """The hash of one event."""
    return sha256(
        b"%b%b%b%b%b%b%b%b"
        % (
            _PREFIX,
            _prefixed(tree.encode()),
            _prefixed(b"%d" % version),
            _prefixed(topic.encode()),
            _DIGEST,
            previous,
            _DIGEST,
            body_hash,
        )
    ).digest()


def links(stored: Sequence[HashedEvent], previous: bytes) -> list[bytes]:
    """The hashes of events that follow each other in one stream, after ``previous``.

    `link` for each of them, with what they share computed once.
    """
    if not stored:
        return []
    start = _PREFIX + _prefixed(str(stored[0].originator_id).encode())
    hashes = []
    for event in stored:
        version = _decimal(event.originator_version)
        topic = _topic(event.topic)
        parts = (start, version, topic, _DIGEST, previous, _DIGEST, event.body_hash)
        previous = sha256(b"".join(parts)).digest()
        hashes.append(previous)
    return hashes


@lru_cache(maxsize=4096)
def _decimal(version: int) -> bytes:
    return _prefixed(b"%d" % version)


@lru_cache(maxsize=256)
def _topic(topic: str) -> bytes:
    return _prefixed(topic.encode())


def first_broken(
    tree: str, rows: Iterable[tuple[int, str, bytes, bytes, bytes]]
) -> tuple[int, str] | None:
    """The first version that does not hold, and what is wrong with it; None where all do.

    Rows are (version, topic, the body's hash as computed now, the stored body hash, the stored
    hash), in order.
    """
    previous = START
    for expected, (version, topic, computed, body_hash, hash) in enumerate(rows, start=1):
        if version != expected:
            return expected, f"missing: the next stored version is {version}"
        if computed != body_hash:
            return version, "the body is not the one that was written"
        previous = link(tree, version, topic, previous, body_hash)
        if previous != hash:
            return version, "the hash does not follow from the events before it"
    return None
