"""The connection that writes, and what becomes of one that was lost in the middle of a commit."""

import select
import time
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, tuple_row

from ....domain.errors import StoreUnavailable
from ..sql import statements
from .connect import Datastore, query

END_TIMEOUT = 2000
"""Milliseconds for which a server process may take to end."""

_sql = statements("postgres_writer")
_more = statements("postgres")


class Writer:
    """A new connection where the server has ended the last.

    A server whose client was lost may carry out what it was sent all the same, and later. So before
    a connection follows on one that was given up `in_doubt`, that one's server process is ended:
    from then on a commit has happened, or never will. Not thread-safe.
    """

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore
        self._held: Connection[DictRow] | None = None
        self._identity: tuple[Any, ...] = ()
        self._doubtful: tuple[Any, ...] = ()

    def connection(self, *, until: float | None = None) -> Connection[DictRow]:
        """A connection that was alive a moment ago, outside any transaction.

        ``until``: when to give up on making a new one, by the monotonic clock.
        """
        if self._held is not None and is_lost(self._held):
            self.close()
        if self._held is None:
            self._held = self._connect(until)
        return self._held

    def _connect(self, until: float | None) -> Connection[DictRow]:
        # What waits for a lock is told by the server when its time is over: a second is for that.
        answer = self._datastore.lock_timeout + 1
        left = answer if until is None else min(answer, until - time.monotonic())
        made = self._datastore.connect(patience=None if until is None else left)
        made.patience = answer
        try:
            cursor = made.cursor(row_factory=tuple_row)
            self._end_doubtful(cursor)
            self._identity = cursor.execute(query(_sql.identity)).fetchone() or ()
        except BaseException:
            made.close()
            raise
        return made

    def _end_doubtful(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        if not self._doubtful:
            return
        cursor.execute(query(_sql.end_backend), (END_TIMEOUT, *self._doubtful))
        if (False,) in cursor.fetchall():
            raise StoreUnavailable(
                f"the store {self._datastore.label} has not ended the process of a lost commit "
                "yet. Try again."
            )
        self._doubtful = ()

    def in_doubt(self) -> bool:
        """After an error: whether what was sent may be carried out yet, or has been.

        Not so where the server answered, and waits for the next statement outside of a transaction.
        """
        held = self._held
        if held is None or held.info.transaction_status is TransactionStatus.IDLE:
            return False
        self._doubtful = self._identity
        self.close()
        return True

    def hash_at(self, tree: str, version: int, *, until: float) -> bytes | None:
        """The stored hash of one event, when no commit is under way that might still bring it."""
        cursor = self.connection(until=until).cursor(binary=True, row_factory=tuple_row)
        cursor.execute(query(_more.await_writer), prepare=True)
        row = cursor.execute(query(_more.hash_at), (tree, version)).fetchone()
        return None if row is None else row[0]

    def close(self) -> None:
        """Idempotent."""
        if self._held is not None:
            self._held.close()
            self._held = None


def is_lost(connection: Connection[Any]) -> bool:
    """Whether the server has ended an idle connection, found out without asking it."""
    if connection.closed or connection.info.transaction_status is not TransactionStatus.IDLE:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    try:
        while poll.poll(0):
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return False
