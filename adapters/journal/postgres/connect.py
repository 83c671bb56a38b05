"""Connections to PostgreSQL: where to, and what each of ours must be set to."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, LiteralString, cast

import eventsourcing.postgres as library
import psycopg
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from ....domain.errors import InvalidInput
from ..sql import statements
from .arrays import clean, register
from .bounded import Bounded

LOCK_TIMEOUT = 10
"""Seconds to wait for another writer's transaction."""
STATEMENT_TIMEOUT = 60
IDLE_TIMEOUT = 2
"""Seconds for which an engine that stands still may hold a transaction, and all writers with it."""
CONNECT_TIMEOUT = 5
POOL_SIZE = 10

_DEFAULTS: Mapping[str, Any] = {
    "application_name": "aipartnerupflow",
    "connect_timeout": CONNECT_TIMEOUT,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What an address may set otherwise."""

_sql = statements("postgres")


def query(sql: Any) -> LiteralString:
    """A statement out of our ``.sql`` files, which is as good as a literal."""
    return cast(LiteralString, sql)


def storable(values: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any] | Mapping[str, Any]:
    """Parameters as PostgreSQL can hold them: a text with a NUL finds nothing and is no error."""
    if isinstance(values, Mapping):
        return {k: clean(v) if isinstance(v, str) else v for k, v in values.items()}
    return [clean(value) if isinstance(value, str) else value for value in values]


def parameters(dsn: str) -> dict[str, Any]:
    """The connection parameters in an address, ``postgresql://…`` or ``key=value …``.

    Raises `InvalidInput`, which does not repeat the address: it may hold a password.
    """
    scheme, slashes, rest = dsn.partition("://")
    if slashes:
        authority = rest.partition("?")[0].partition("/")[0]
        found = (
            None if authority.count("@") > 1 else _parsed(f"{scheme.partition('+')[0]}://{rest}")
        )
    else:
        found = _parsed(dsn)
    if found is None:
        raise InvalidInput(
            "the address of the PostgreSQL store cannot be read. Write "
            "postgresql://user:password@host:5432/database, and in the password %40 for @, %2F "
            "for / and so on."
        )
    return {**_DEFAULTS, **found, "client_encoding": "utf8"}


def _parsed(dsn: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = dict(conninfo_to_dict(dsn))
    except psycopg.Error:  # its text repeats what it could not read
        return None
    ports = str(found.get("port") or 0).split(",")
    return found if all(port.isdigit() for port in ports) else None


def label(parameters: Mapping[str, Any]) -> str:
    """The store's name for messages."""
    host, port = parameters.get("host"), parameters.get("port")
    where = f" at {host}" if host else ""
    return f"PostgreSQL {parameters.get('dbname', '')!r}{where}{f':{port}' if port else ''}"


class Datastore(library.PostgresDatastore):
    """The library's datastore with our settings; ids are text. Its pool serves the readers."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        *,
        durability: str = "power",
        schema: str = "",
        lock_timeout: int = LOCK_TIMEOUT,
        idle_timeout: float = IDLE_TIMEOUT,
        pool: Mapping[str, Any] | None = None,
        get_password: Callable[[], str] | None = None,
    ) -> None:
        self.parameters = dict(parameters)
        self.label = label(parameters)
        self.durability = durability
        self._get_password = get_password
        super().__init__(
            "", "", "", "", "",
            schema=schema,
            lock_timeout=lock_timeout or LOCK_TIMEOUT,
            idle_in_transaction_session_timeout=idle_timeout,
            originator_id_type="text",
        )  # fmt: skip
        self.pool = library.ConnectionPool(
            get_password_func=get_password,
            connection_class=Bounded[DictRow],
            kwargs={**self.parameters, "row_factory": dict_row},
            open=False,
            configure=self.after_connect_func(),
            num_workers=1,
            **{"min_size": 1, "max_size": POOL_SIZE, "timeout": LOCK_TIMEOUT, **(pool or {})},
        )

    def after_connect_func(self) -> Callable[[Connection[Any]], None]:
        """Sets a new connection; holds no reference to the datastore."""
        values = {
            "schema": '"' + self.schema.replace('"', '""') + '"',
            "synchronous_commit": "on" if self.durability == "power" else "off",
            "lock_timeout": f"{self.lock_timeout}s",
            "statement_timeout": f"{STATEMENT_TIMEOUT}s",
            "idle_timeout": f"{int(self.idle_in_transaction_session_timeout * 1000)}ms",
        }

        def after_connect(connection: Connection[Any]) -> None:
            connection.autocommit = True
            connection.execute(query(_sql.configure), values)

        return after_connect

    def register_type_adapters(self) -> None:
        """Nothing: the library would connect here, for a composite type that we do without."""

    def connect(self, *, patience: float | None = None) -> Bounded[DictRow]:
        """A connection that writes. Its statements find rows by key, however the tables look to the
        planner: a plan made while they were empty would scan them for ever.

        ``patience``: seconds for which the server may be silent, at least 2 for letting us in.
        """
        wanted = dict(self.parameters)
        if self._get_password is not None:
            wanted["password"] = self._get_password()
        if patience is not None:
            wanted["connect_timeout"] = max(2, int(patience))
        connection = Bounded[DictRow].connect(**wanted, row_factory=dict_row)
        if patience is not None:
            connection.patience = max(2.0, patience)
        try:
            self.after_connect_func()(connection)
            connection.execute(query(_sql.configure_writer))
            register(connection)
        except psycopg.Error:
            connection.close()
            raise
        return connection

    def hidden(self, text: str) -> str:
        """The text without the password, should it be in it."""
        password = self.parameters.get("password")
        return text.replace(password, "***") if password else text
