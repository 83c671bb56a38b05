"""What stands beside the log of every store: tokens."""

from typing import Any

import pytest

from aipartnerupflow.adapters.journal.memory.recorder import MemoryRecorder
from aipartnerupflow.adapters.journal.postgres.recorder import PostgresRecorder
from aipartnerupflow.adapters.journal.side import MemorySide, PostgresSide, Side, SQLiteSide
from aipartnerupflow.adapters.journal.tokens import Token, Tokens
from tests.support.journals import Handle

NOW, LATER = "2026-01-31T09:00:00.000000Z", "2026-01-31T10:00:00.000000Z"
ANN = Token("t1", "ann", ("read", "submit"), "laptop", NOW)
SHORT = Token("t2", "bob", ("admin",), "for an hour", NOW, expires_at=LATER)


@pytest.fixture
def tokens(handle: Handle) -> Tokens:
    return Tokens(side(handle))


def side(handle: Handle) -> Side:
    recorder: Any = handle.recorder
    if isinstance(recorder, MemoryRecorder):
        return MemorySide()
    return (
        PostgresSide(recorder) if isinstance(recorder, PostgresRecorder) else SQLiteSide(recorder)
    )


def test_a_token_is_found_by_its_hash_only(tokens: Tokens) -> None:
    tokens.add(ANN, "hash of ann")
    assert tokens.find("hash of ann", NOW) == ANN
    assert tokens.find("hash of bob", NOW) is None
    assert tokens.find("t1", NOW) is None


def test_a_token_ends_when_it_expires(tokens: Tokens) -> None:
    tokens.add(SHORT, "hash")
    assert tokens.find("hash", NOW) == SHORT
    assert tokens.find("hash", LATER) is None
    assert tokens.any(NOW)
    assert not tokens.any(LATER)


def test_a_token_is_revoked_once_and_stays_in_the_list(tokens: Tokens) -> None:
    tokens.add(ANN, "hash")
    tokens.add(SHORT, "another")
    assert tokens.revoke("t1", LATER)
    assert not tokens.revoke("t1", LATER)
    assert not tokens.revoke("t9", LATER)
    assert tokens.find("hash", NOW) is None
    assert [(one.id, one.revoked_at) for one in tokens.all()] == [("t1", LATER), ("t2", None)]
