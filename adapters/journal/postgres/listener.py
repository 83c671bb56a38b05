"""Hears what PostgreSQL tells of commits and of letters, whoever made them."""

import logging
import select
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
from psycopg import Connection

from ..sql import statements
from .connect import Datastore, query

EVENTS, LETTERS = b"stored_events", b"apflow_inbox"

FIRST, LAST = 0.1, 5.0
"""Seconds before the first try to connect again, and at most: twice as long each time."""
PATIENCE = 5.0
"""Seconds for which the server may be silent while it is asked to tell."""
REST = 0.005
"""Seconds after a message in which others gather: many commits wake us a few times only."""

_sql = statements("postgres_listener")

log = logging.getLogger("aipartnerupflow.postgres")


class PostgresListener:
    """See `adapters.feed.Listener`. ``hear`` is told whether there are events, and letters."""

    def __init__(self, datastore: Datastore, hear: Callable[[bool, bool], None]) -> None:
        self.up = False
        self._datastore = datastore
        self._hear = hear
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._ours, self._theirs = socket.socketpair()
        """Data in the second ends the thread's sleep."""

    def start(self) -> None:
        """See `Listener.start`."""
        with self._lock:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="apflow-listener", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """See `Listener.close`. Waits for the thread, which may be about to connect."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
        self._ours.close()
        if self._thread is not None:
            self._thread.join()
        self._theirs.close()

    def _run(self) -> None:
        pause = FIRST
        while not self._closed.is_set():
            try:
                with closing(self._connect()) as connection:
                    pause = FIRST
                    self._turn(up=True)
                    self._listen(connection)
            except psycopg.Error as error:
                log.info("%s is not heard: %s", self._datastore.label, self._text(error))
            finally:
                self._turn(up=False)
            self._closed.wait(pause)
            pause = min(2 * pause, LAST)

    def _connect(self) -> Connection[Any]:
        connection = self._datastore.connect(patience=PATIENCE)
        try:
            connection.execute(query(_sql.listen))
        except BaseException:
            connection.close()
            raise
        return connection

    def _turn(self, *, up: bool) -> None:
        """Nobody knows what was told in between, and how often to look is another matter now."""
        if up is not self.up:
            self.up = up
            self._hear(True, True)

    def _listen(self, connection: Connection[Any]) -> None:
        sockets = select.poll()
        sockets.register(connection.fileno(), select.POLLIN)
        sockets.register(self._theirs, select.POLLIN)
        while True:
            sockets.poll()
            if self._closed.is_set():
                return
            connection.pgconn.consume_input()
            channels = set()
            while (told := connection.pgconn.notifies()) is not None:
                channels.add(told.relname)
            if channels:
                self._hear(EVENTS in channels, LETTERS in channels)
                self._closed.wait(REST)

    def _text(self, error: psycopg.Error) -> str:
        return " ".join(self._datastore.hidden(str(error)).split())
