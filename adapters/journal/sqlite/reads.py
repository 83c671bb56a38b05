"""The read models on SQLite."""

from ..mapper import StructMapper
from ..sql import statements
from ..sql_reads import SQLReads
from .recorder import SQLiteRecorder


class SQLiteReads(SQLReads):
    """`projections.views.ReadModel` on SQLite."""

    def __init__(self, recorder: SQLiteRecorder, mapper: StructMapper) -> None:
        super().__init__(statements("sqlite_reads"), recorder, mapper)
