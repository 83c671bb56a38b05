"""Events as stored bodies: salt, topics, compression, encryption, older and newer versions."""

from typing import Any

import msgspec
import pytest
from eventsourcing.compressor import ZlibCompressor
from eventsourcing.persistence import Cipher
from eventsourcing.utils import Environment

from aipartnerupflow.adapters.journal import mapper as module
from aipartnerupflow.adapters.journal.mapper import StructMapper
from aipartnerupflow.domain import events as e
from aipartnerupflow.domain.errors import NewerEvent, StoreCorrupt
from tests.support.facts import AT, MARKERS, one_of_each

EVENTS = [event for append in one_of_each("a", "b") for event in append.events]


class Rot13(Cipher):
    """Keeps nothing secret, but refuses what it did not make."""

    def __init__(self) -> None:
        """No key is needed."""

    def encrypt(self, plaintext: bytes) -> bytes:
        return b"rot" + bytes((byte + 13) % 256 for byte in plaintext)

    def decrypt(self, ciphertext: bytes) -> bytes:
        if not ciphertext.startswith(b"rot"):
            raise ValueError("damaged")
        return bytes((byte - 13) % 256 for byte in ciphertext[3:])


def aes() -> Cipher:
    pytest.importorskip("cryptography")
    cryptography = pytest.importorskip("eventsourcing.cryptography")
    key = cryptography.AESCipher.create_key(32)
    cipher: Cipher = cryptography.AESCipher(Environment(env={"CIPHER_KEY": key}))
    return cipher


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.topic)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"compressor": ZlibCompressor()},
        {"cipher": Rot13()},
        {"compressor": ZlibCompressor(), "cipher": Rot13()},
    ],
    ids=["plain", "compressed", "encrypted", "both"],
)
def test_what_is_encoded_is_decoded(event: e.AnyEvent, settings: dict[str, Any]) -> None:
    mapper = StructMapper(**settings)
    (row,) = mapper.encode("a", 7, [event])
    assert (row.originator_id, row.originator_version, row.topic) == ("a", 7, event.topic)
    assert mapper.decode(row.topic, row.state) == event
    assert mapper.body_hash(row.state) == row.body_hash


def test_the_library_s_aes_cipher_works() -> None:
    mapper = StructMapper(compressor=ZlibCompressor(), cipher=aes())
    (row,) = mapper.encode("a", 1, EVENTS[:1])
    assert b"tree" not in row.state
    assert mapper.decode(row.topic, row.state) == EVENTS[0]
    assert mapper.body_hash(row.state) == row.body_hash


def test_a_body_is_the_event_s_json_behind_a_salt() -> None:
    event = e.TaskCompleted(at=AT, task="a", result=MARKERS)
    one, two = StructMapper().encode("t", 1, [event, event])
    body = msgspec.json.decode(one.state)
    assert list(body)[0] == "salt"  # noqa: RUF015
    salt = body.pop("salt")
    assert len(bytes.fromhex(salt)) == 16
    assert body == msgspec.json.decode(msgspec.json.encode(event))
    assert one.state != two.state
    assert one.body_hash != two.body_hash


@pytest.mark.parametrize("settings", [{"compressor": ZlibCompressor()}, {"cipher": Rot13()}])
def test_a_body_that_cannot_be_unpacked_is_told(settings: dict[str, Any]) -> None:
    mapper = StructMapper(**settings)
    with pytest.raises(StoreCorrupt, match="Check the key"):
        mapper.decode("task.saved", b"nonsense")
    (row,) = mapper.encode("a", 1, EVENTS[:1])
    assert mapper.body_hash(b"nonsense") != row.body_hash


def test_a_body_that_is_no_event_is_told() -> None:
    for body in (b"", b"{", b"[]", b'{"at":1}'):
        with pytest.raises(StoreCorrupt, match=r"'task\.saved' cannot be read"):
            StructMapper().decode("task.saved", body)


@pytest.mark.parametrize("topic", ["task.saved/2", "task.saved/17", "task.unheard", "no such/1"])
def test_what_a_later_version_wrote_is_refused(topic: str) -> None:
    with pytest.raises(NewerEvent, match="Upgrade aipartnerupflow"):
        StructMapper().decode(topic, b"{}")


def test_what_an_older_version_wrote_is_brought_up_to_date(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Later(e.TaskSaved, frozen=True, kw_only=True, omit_defaults=True, gc=False):
        version = 3

    steps = {
        ("task.saved", 1): lambda body: {**body, "task": body.pop("name")},
        ("task.saved", 2): lambda body: {**body, "attempt": 5},
    }
    monkeypatch.setitem(module._CURRENT, "task.saved", Later)
    monkeypatch.setattr(module, "UPCASTS", steps)
    monkeypatch.setattr(module, "_DECODE", {})
    body = b'{"salt":"00","at":"2026","name":"a","checkpoint":{"n":1}}'
    event = StructMapper().decode("task.saved", body)
    assert isinstance(event, Later)
    assert (event.task, event.attempt, bytes(event.checkpoint)) == ("a", 5, b'{"n":1}')


def test_the_library_s_own_names_work() -> None:
    mapper = StructMapper()
    recorded = e.Recorded("t", 3, EVENTS[0])
    assert mapper.to_domain_event(mapper.to_stored_event(recorded)) == recorded
