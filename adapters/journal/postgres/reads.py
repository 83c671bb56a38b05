"""The read models on PostgreSQL."""

from collections.abc import Sequence
from typing import Any

from ..mapper import StructMapper
from ..sql import statements
from ..sql_reads import Source, SQLReads


class PostgresReads(SQLReads):
    """`projections.views.ReadModel` on PostgreSQL."""

    def __init__(self, recorder: Source, mapper: StructMapper) -> None:
        super().__init__(statements("postgres_reads"), recorder, mapper)

    def _ids(self, ids: Sequence[str]) -> dict[str, Any]:
        return {"ids": [id for id in ids if "\0" not in id]}
