"""The inbox of a store on SQLite. Owners find what is sent by looking: see `adapters.feed`."""

from collections.abc import Sequence

from msgspec import Raw

from ....engine.ports import Answered, Command
from ..sql import statements
from .recorder import SQLiteRecorder

_sql = statements("sqlite_inbox")


class SQLiteInbox:
    """See `engine.ports.Inbox`."""

    def __init__(self, recorder: SQLiteRecorder) -> None:
        self._recorder = recorder

    def send(self, command: Command) -> None:
        """See `Inbox.send`."""
        with self._recorder.exclusive() as cursor:
            cursor.execute(_sql.sweep, (command.id,))
            cursor.execute(
                _sql.send,
                (command.id, command.tree, command.name, bytes(command.arguments).decode(),
                 command.by, command.at),
            )  # fmt: skip

    def pending(self, engine: str) -> Sequence[Command]:
        """See `Inbox.pending`."""
        return [
            Command(id, tree, name, Raw(arguments.encode()), by, at)
            for id, tree, name, arguments, by, at in self._recorder.query(_sql.pending, (engine,))
        ]

    def refuse(self, answer: Answered) -> None:
        """See `Inbox.refuse`."""
        with self._recorder.exclusive() as cursor:
            cursor.execute(_sql.refuse, (answer.outcome.decode(), answer.id))

    def outcome(self, id: str) -> bytes | None:
        """See `Inbox.outcome`."""
        rows = self._recorder.query(_sql.outcome, (id,))
        return rows[0][0].encode() if rows and rows[0][0] is not None else None

    def find(self, id: str) -> Command | None:
        """See `Inbox.find`."""
        for found, tree, name, arguments, by, at in self._recorder.query(_sql.find, (id,)):
            return Command(found, tree, name, Raw(arguments.encode()), by, at)
        return None
