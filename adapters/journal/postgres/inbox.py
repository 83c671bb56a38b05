"""The inbox of a store on PostgreSQL. Each call is one statement, and may be carried out twice."""

from collections.abc import Sequence

from msgspec import Raw

from ....engine.ports import Answered, Command
from ..sql import statements
from .recorder import PostgresRecorder

_sql = statements("postgres_inbox")


class PostgresInbox:
    """See `engine.ports.Inbox`. It wakes whoever listens on ``apflow_inbox``."""

    def __init__(self, recorder: PostgresRecorder) -> None:
        self._recorder = recorder

    def send(self, command: Command) -> None:
        """See `Inbox.send`."""
        self._recorder.query(
            _sql.send,
            {
                "id": command.id,
                "tree": command.tree,
                "name": command.name,
                "arguments": bytes(command.arguments).decode(),
                "by": command.by,
                "at": command.at,
            },
        )

    def pending(self, engine: str) -> Sequence[Command]:
        """See `Inbox.pending`."""
        return [
            Command(id, tree, name, Raw(arguments.encode()), by, at)
            for id, tree, name, arguments, by, at in self._recorder.query(_sql.pending, (engine,))
        ]

    def refuse(self, answer: Answered) -> None:
        """See `Inbox.refuse`. Wakes those who wait for the outcome."""
        self._recorder.query(_sql.refuse, {"id": answer.id, "outcome": answer.outcome.decode()})

    def outcome(self, id: str) -> bytes | None:
        """See `Inbox.outcome`."""
        rows = self._recorder.query(_sql.outcome, (id,))
        return rows[0][0].encode() if rows and rows[0][0] is not None else None

    def find(self, id: str) -> Command | None:
        """See `Inbox.find`."""
        for found, tree, name, arguments, by, at in self._recorder.query(_sql.find, (id,)):
            return Command(found, tree, name, Raw(arguments.encode()), by, at)
        return None
