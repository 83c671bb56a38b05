"""What those who look after a store ask of it: is it whole, is it writable, make its rows again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...projections.rebuild import StatusStore
from ...projections.runner import Runner
from .journal import EventJournal


class Care:
    """What holds for every store; the stores' own classes know more."""

    def __init__(self, journal: EventJournal) -> None:
        self.journal = journal

    @property
    def file(self) -> Path | None:
        """The store's file, where it is one."""
        return None

    def probe(self) -> None:
        """Take the writer's lock and write, then take that back. Raises `StoreError`."""

    def facts(self) -> Mapping[str, str]:
        """How the store is set, by the words of its database."""
        return {}

    def damage(self, *, full: bool) -> Sequence[str]:
        """What the database itself finds broken in its file; ``full`` looks at indexes too."""
        return ()

    def verify(self, tree: str) -> tuple[int, str] | None:
        """The first version of a tree whose hash does not hold, and why."""
        return self.journal.verify(tree)

    def status(self) -> StatusStore | None:
        """The status rows, where they can be made again."""
        return None

    def timeline(self) -> Runner[Any] | None:
        """The timeline's projector, where there is one."""
        return None
