"""Between events and stored rows: JSON by msgspec, explicit topics, a salted hash of each body.

A body is the event's JSON object with a random 16-byte ``salt`` in front, so that the hash of a
body that was erased betrays nothing of it. Topics come from a fixed register; what is stored never
chooses a class by import path.
"""

import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

import msgspec
from eventsourcing.persistence import (
    Cipher,
    Compressor,
    JSONTranscoder,
    Mapper,
    StoredEvent,
    Transcoder,
)

from ...domain.errors import NewerEvent, StoreCorrupt
from ...domain.events import EVENT_TYPES, AnyEvent, Event, Recorded

Upcast = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTS: Mapping[tuple[str, int], Upcast] = {}
"""From (topic, version) to the pure function that makes the next version's body of it."""


@dataclass(frozen=True)
class HashedEvent(StoredEvent):
    """A stored event that carries the SHA-256 of its body before compression and cipher."""

    body_hash: bytes


def topic_of(kind: type[Event]) -> str:
    """The stored topic: the short name, with ``/version`` from version 2 on."""
    return kind.topic if kind.version == 1 else f"{kind.topic}/{kind.version}"


_TOPICS = {kind: topic_of(kind) for kind in EVENT_TYPES}
_CURRENT = {kind.topic: kind for kind in EVENT_TYPES}
_DECODE = {topic: msgspec.json.Decoder(kind).decode for kind, topic in _TOPICS.items()}
_encode = msgspec.json.Encoder().encode
_new = object.__new__
_SALT = 16
"""Random bytes in front of each body."""


class StructMapper(Mapper[str]):
    """`eventsourcing`'s mapper for msgspec structs; works with its compressors and ciphers."""

    def __init__(
        self,
        transcoder: Transcoder | None = None,
        compressor: Compressor | None = None,
        cipher: Cipher | None = None,
    ) -> None:
        super().__init__(transcoder or JSONTranscoder(), compressor, cipher)
        self._plain = compressor is None and cipher is None

    def encode(self, tree: str, first: int, events: Sequence[AnyEvent]) -> list[HashedEvent]:
        """The rows of events that follow each other from version ``first`` on, not yet chained."""
        salts = os.urandom(_SALT * len(events)).hex().encode()
        rows = []
        for place, event in enumerate(events):
            salt = salts[2 * _SALT * place : 2 * _SALT * (place + 1)]
            body = b'{"salt":"%b",%b' % (salt, _encode(event)[1:])
            row: HashedEvent = _new(HashedEvent)
            row.__dict__.update(
                originator_id=tree,
                originator_version=first + place,
                topic=_TOPICS[type(event)],
                state=body if self._plain else self._pack(body),
                body_hash=sha256(body).digest(),
            )
            rows.append(row)
        return rows

    def decode(self, topic: str, state: bytes) -> AnyEvent:
        """The event of a row. Raises `NewerEvent` for what a later version wrote."""
        body = state if self._plain else self._unpack(state)
        decode = _DECODE.get(topic)
        if decode is None:
            return _decode_old(topic, body)
        try:
            return cast(AnyEvent, decode(body))
        except msgspec.MsgspecError as error:
            raise StoreCorrupt(f"a stored event {topic!r} cannot be read: {error}") from error

    def body_hash(self, state: bytes) -> bytes:
        """The SHA-256 of the body in a stored state; of nothing where it cannot be unpacked."""
        try:
            return sha256(state if self._plain else self._unpack(state)).digest()
        except StoreCorrupt:
            return sha256(b"").digest()

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """The library's name for `encode`; takes a `Recorded`."""
        return self.encode(domain_event.tree, domain_event.version, [domain_event.event])[0]

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """The library's name for `decode`; gives a `Recorded`."""
        return Recorded(
            str(stored_event.originator_id),
            stored_event.originator_version,
            self.decode(stored_event.topic, stored_event.state),
        )

    def _pack(self, body: bytes) -> bytes:
        if self.compressor:
            body = self.compressor.compress(body)
        return self.cipher.encrypt(body) if self.cipher else body

    def _unpack(self, state: bytes) -> bytes:
        try:
            body = self.cipher.decrypt(state) if self.cipher else state
            return self.compressor.decompress(body) if self.compressor else body
        except (ValueError, zlib.error) as error:
            raise StoreCorrupt(
                f"a stored event cannot be decrypted or decompressed ({error}). Check the key; "
                "`apflow doctor` tells more."
            ) from error


def _decode_old(topic: str, body: bytes) -> AnyEvent:
    """A topic that is not current: an older version to be upcast, or none that we know."""
    name, _, number = topic.partition("/")
    version = int(number) if number.isdigit() else 1
    kind = _CURRENT.get(name)
    if kind is None or version > kind.version:
        raise NewerEvent(name, version)
    try:
        fields: dict[str, Any] = msgspec.json.decode(body)
        for step in range(version, kind.version):
            fields = UPCASTS[name, step](fields)
        # By way of JSON: `msgspec.convert` cannot make a `Raw`.
        return cast(AnyEvent, msgspec.json.decode(_encode(fields), type=kind))
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(f"a stored event {topic!r} cannot be read: {error}") from error
