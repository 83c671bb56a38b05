"""Looking after a store on SQLite."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ....projections.rebuild import StatusStore
from ....projections.runner import Runner
from ....projections.timeline import TIMELINE
from ..care import Care
from ..faults import place_of
from ..sql import statements
from .projections import SQLiteStatus, timeline_rows
from .recorder import SQLiteRecorder

FOUND: Final = 20
"""So many damages are named."""

_sql = statements("sqlite_care")


class _TakenBack(Exception):
    """Ends a transaction of which nothing is to stay."""


class SQLiteCare(Care):
    """See `Care`."""

    @property
    def recorder(self) -> SQLiteRecorder:
        """The store's recorder."""
        assert isinstance(self.journal.recorder, SQLiteRecorder)
        return self.journal.recorder

    @property
    def file(self) -> Path | None:
        """See `Care.file`."""
        return place_of(self.recorder.path)

    def probe(self) -> None:
        """See `Care.probe`."""
        with suppress(_TakenBack), self.recorder.exclusive() as cursor:
            cursor.execute(_sql.probe)
            raise _TakenBack

    def facts(self) -> Mapping[str, str]:
        """See `Care.facts`."""
        return {name: str(value) for name, value in self.recorder.query(_sql.facts)}

    def damage(self, *, full: bool) -> Sequence[str]:
        """See `Care.damage`."""
        sql = _sql.integrity_check if full else _sql.quick_check
        found = [text for (text,) in self.recorder.query(sql, (FOUND,))]
        return () if found == ["ok"] else found

    def status(self) -> StatusStore:
        """See `Care.status`."""
        return SQLiteStatus(self.recorder, self.journal.mapper)

    def timeline(self) -> Runner[Any]:
        """See `Care.timeline`."""
        return Runner(self.journal, timeline_rows(self.recorder), TIMELINE)
