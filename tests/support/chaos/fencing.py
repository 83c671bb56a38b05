"""For programs on PostgreSQL that are to lose trees: short leases, and a stand at a bad time."""

import time
from collections.abc import Callable
from typing import Any

from psycopg.pq import TransactionStatus

from aipartnerupflow.adapters import liveness
from aipartnerupflow.adapters.journal.journal import EventJournal
from aipartnerupflow.adapters.journal.postgres import leases as postgres_leases
from aipartnerupflow.api.stores import Store

STANDS, MOMENT = 50, 1.0
"""After so many commits it stands, for so many seconds."""


def shorten_leases(seconds: float) -> None:
    """Engines made from here on count as dead after so many seconds of silence."""
    liveness.LEASE = postgres_leases.LEASE = seconds
    liveness.ProcessLiveness.beat_every = seconds * 0.3


def stand_in_transaction(store: Store, say: Callable[[], None]) -> None:
    """In the middle of some commit: say so, and give who hears it the time to do something."""
    assert isinstance(store.journal, EventJournal)
    recorder: Any = store.journal.recorder
    send, left = recorder._send, [STANDS]

    def standing(connection: Any, *more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0 and connection.info.transaction_status is TransactionStatus.INTRANS:
            recorder._send = send
            say()
            time.sleep(MOMENT)
        elif left[0] < 0:
            recorder._heads.clear()  # so that the next commit takes more than one statement
        return send(connection, *more)

    recorder._send = standing
