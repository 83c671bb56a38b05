"""A store that is ill for a while."""

from collections.abc import Sequence

from aipartnerupflow.domain.errors import ApflowError, CommitUnknown
from aipartnerupflow.engine.ports import Append, Unit
from aipartnerupflow.testing.fakes import FakeJournal


class SickJournal(FakeJournal):
    """`FakeJournal` that refuses every append as long as it has an ``illness``.

    With ``silent`` it stores what it is given, but nobody can tell: `CommitUnknown`, until it is
    given the same again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.illness: ApflowError | None = None
        self.silent = False
        self.tries = 0
        self._untold: list[Append] = []

    def append(self, units: Sequence[Unit]) -> int:
        """See `Journal.append`."""
        self.tries += 1
        if self.illness is not None:
            raise self.illness
        appends = [append for unit in units for append in unit]
        new = [append for append in appends if append not in self._untold]
        if new:
            super().append([new])
        if self.silent:
            self._untold.extend(new)
            raise CommitUnknown("the connection was lost")
        return len(self.log)
