"""Batched read models: they follow the log at their own pace, each with a position of its own.

Rows and position move in one transaction, so a projector can be stopped anywhere and goes on where
it was. Two runners may follow for the same rows: a batch counts only if the position is still the
one it was read from.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from ..domain.errors import StoreUnavailable
from ..domain.events import Recorded

C = TypeVar("C")
C_contra = TypeVar("C_contra", contravariant=True)

BATCH = 5_000
"""Events taken at a time."""


class Projector(Struct, Generic[C], frozen=True):
    """A read model as a function. When ``version`` rises its rows are made again from the start."""

    name: str
    version: int
    changes: Callable[[Sequence[Recorded]], C]


class Mark(Struct, frozen=True):
    """How far stored rows have come, and which version of their projector made them."""

    version: int
    position: int


class Log(Protocol):
    """Where events are read from."""

    def read_all(self, *, after: int = 0, limit: int | None = None) -> Iterator[Recorded]:
        """All events by position, from the first after ``after``."""


class RowStore(Protocol[C_contra]):
    """The rows of one projector with their mark. Blocking; any thread may call.

    Both writing methods lock first, then look whether the mark is still ``found``; where it is not
    they change nothing and return False.
    """

    def mark(self, name: str) -> Mark | None:
        """The stored mark; None before the first `reset`."""

    def reset(self, name: str, version: int, found: Mark | None) -> bool:
        """Delete all rows, and mark them as ``version`` at position 0."""

    def apply(self, name: str, found: Mark, changes: C_contra, position: int) -> bool:
        """Change the rows and move the mark to ``position``."""


class Runner(Generic[C]):
    """Brings the rows of one projector up to date. Holds no state: make one, or many, anywhere."""

    def __init__(
        self, log: Log, rows: RowStore[C], projector: Projector[C], *, batch: int = BATCH
    ) -> None:
        self._log = log
        self._rows = rows
        self._projector = projector
        self._batch = batch

    def step(self) -> bool:
        """Take in the next batch; False where there is none. Raises `StoreError`."""
        projector, rows = self._projector, self._rows
        found = self._mark()
        events = list(self._log.read_all(after=found.position, limit=self._batch))
        if not events:
            return False
        rows.apply(projector.name, found, projector.changes(events), events[-1].position)
        return True

    def catch_up(self) -> int:
        """Take in all there is; returns the position reached. Raises `StoreError`."""
        while self.step():
            pass
        return self._mark().position

    def rebuild(self) -> int:
        """Make all rows again from the first event; returns the position reached."""
        projector, reset = self._projector, self._rows.reset
        while not reset(projector.name, projector.version, self._stored()):
            pass
        return self.catch_up()

    def _mark(self) -> Mark:
        """The mark to go on from; rows of an older version are given up for it."""
        projector = self._projector
        while (found := self._stored()) is None or found.version < projector.version:
            self._rows.reset(projector.name, projector.version, found)
        return found

    def _stored(self) -> Mark | None:
        projector = self._projector
        found = self._rows.mark(projector.name)
        if found is not None and found.version > projector.version:
            raise StoreUnavailable(
                f"the read model {projector.name!r} was made by a later version of "
                "aipartnerupflow. Upgrade to bring it up to date; nothing was changed."
            )
        return found
