"""Looking after a store on PostgreSQL: its server looks after the rest."""

from typing import Any

from ....projections.rebuild import StatusStore
from ....projections.runner import Runner
from ....projections.timeline import TIMELINE
from ..care import Care
from .projections import PostgresStatus, timeline_rows
from .recorder import PostgresRecorder


class PostgresCare(Care):
    """See `Care`."""

    @property
    def recorder(self) -> PostgresRecorder:
        """The store's recorder."""
        assert isinstance(self.journal.recorder, PostgresRecorder)
        return self.journal.recorder

    def status(self) -> StatusStore:
        """See `Care.status`."""
        return PostgresStatus(self.recorder, self.journal.mapper)

    def timeline(self) -> Runner[Any]:
        """See `Care.timeline`."""
        return Runner(self.journal, timeline_rows(self.recorder), TIMELINE)
