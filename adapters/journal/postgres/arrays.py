"""Columns of rows as PostgreSQL arrays, in the server's binary form.

psycopg's own list dumper looks at each element to find its type, which may be another one each
time, and with it another prepared statement. These know theirs.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any, ClassVar

from psycopg import Connection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = Struct(">iiIii").pack
"""Dimensions, whether NULL may occur, the elements' type, how many, the first one's index."""
_EMPTY = Struct(">iiI").pack
_LENGTH = Struct(">i").pack
_INT = Struct(">iq").pack
_FLOAT = Struct(">id").pack
_NULL = b"\xff\xff\xff\xff"
_BOOLS = {True: b"\0\0\0\1\1", False: b"\0\0\0\1\0", None: _NULL}
_LENGTHS = [_LENGTH(n) for n in range(256)]


class Column:
    """The values of one column; None stands for NULL."""

    __slots__ = ("values",)

    def __init__(self, values: Sequence[Any] = ()) -> None:
        self.values = values


class Texts(Column):
    """``text[]``. PostgreSQL has no NUL in texts: it becomes U+FFFD."""

    __slots__ = ()


class Bytes(Column):
    """``bytea[]``, without NULL."""

    __slots__ = ()


class Ints(Column):
    """``bigint[]``."""

    __slots__ = ()


class Floats(Column):
    """``double precision[]``."""

    __slots__ = ()


class Bools(Column):
    """``boolean[]``."""

    __slots__ = ()


class _ColumnDumper(Dumper):
    format = Format.BINARY
    element: ClassVar[int]
    nothing: ClassVar[bytes]

    def __init_subclass__(cls) -> None:
        cls.nothing = _EMPTY(0, 0, cls.element)

    def dump(self, obj: Column) -> Buffer:
        values = obj.values
        if not values:
            return self.nothing
        header = _HEADER(1, 1, self.element, len(values), 1)
        return header + b"".join(self.elements(values))

    def elements(self, values: Sequence[Any]) -> list[bytes]:
        raise NotImplementedError


class _TextsDumper(_ColumnDumper):
    oid, element = 1009, 25

    def elements(self, values: Sequence[Any]) -> list[bytes]:
        known: dict[str | None, bytes] = {None: _NULL}  # most columns repeat themselves
        parts = []
        for value in values:
            part = known.get(value)
            if part is None:
                part = known[value] = _text(value)
            parts.append(part)
        return parts


def _text(value: str) -> bytes:
    data = value.encode()
    if b"\0" in data:
        data = clean(value).encode()
    size = len(data)
    return (_LENGTHS[size] if size < 256 else _LENGTH(size)) + data


class _BytesDumper(_ColumnDumper):
    oid, element = 1001, 17

    def elements(self, values: Sequence[Any]) -> list[bytes]:
        parts = []
        for value in values:
            parts.append(_LENGTH(len(value)))
            parts.append(value)
        return parts


class _IntsDumper(_ColumnDumper):
    oid, element = 1016, 20

    def elements(self, values: Sequence[Any]) -> list[bytes]:
        return [_NULL if value is None else _INT(8, value) for value in values]


class _FloatsDumper(_ColumnDumper):
    oid, element = 1022, 701

    def elements(self, values: Sequence[Any]) -> list[bytes]:
        return [_NULL if value is None else _FLOAT(8, value) for value in values]


class _BoolsDumper(_ColumnDumper):
    oid, element = 1000, 16

    def elements(self, values: Sequence[Any]) -> list[bytes]:
        return [_BOOLS[value] for value in values]


def clean(text: str) -> str:
    """The text as PostgreSQL can hold it."""
    return text.replace("\0", "\ufffd")


def register(connection: Connection[Any]) -> None:
    """Let a connection take columns as parameters."""
    adapters = connection.adapters
    adapters.register_dumper(Texts, _TextsDumper)
    adapters.register_dumper(Bytes, _BytesDumper)
    adapters.register_dumper(Ints, _IntsDumper)
    adapters.register_dumper(Floats, _FloatsDumper)
    adapters.register_dumper(Bools, _BoolsDumper)
