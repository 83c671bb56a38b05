"""What the tasks of a tree on another instance came to: as much as is kept of it, by their ids."""

from collections.abc import Mapping
from typing import Final

from msgspec import Raw, UnsetType

MAX_RESULTS: Final = 8 << 20
"""Bytes of the results of all tasks that are kept."""
MAX_ERRORS: Final = 1 << 20
"""Bytes of all that is kept of why tasks failed."""


class Kept:
    """Nothing is kept of a task that is none of the tree's: the other instance may say what it
    likes. ``cut``: there was more than fits.
    """

    def __init__(self) -> None:
        self.keys: Mapping[str, str] = {}
        self.ended: dict[str, Raw | bool] = {}
        """The result; True where it has to be fetched, False where there is none or no room."""
        self.errors: dict[str, str] = {}
        self.cut = False
        self._results = 0
        self._errors = 0

    @property
    def room(self) -> int:
        """Bytes of results for which there is room."""
        return MAX_RESULTS - self._results

    def complete(self, id: str, result: Raw | UnsetType, *, fetch: bool) -> None:
        """``fetch``: its result does not stand in its event."""
        self.forget(id)
        self.ended[id] = fetch
        if fetch or isinstance(result, UnsetType):
            return
        size = len(bytes(result))
        if size > self.room:
            self.cut = True
            return
        self._results += size
        self.ended[id] = result

    def end(self, id: str, why: str | None = None) -> None:
        """It failed, or, without a reason, was cancelled."""
        self.forget(id)
        self.ended[id] = False
        if why is None:
            return
        size = len(why.encode())
        if self._errors + size > MAX_ERRORS:
            self.cut = True
            return
        self._errors += size
        self.errors[id] = why

    def forget(self, id: str) -> None:
        """It runs again."""
        result, why = self.ended.pop(id, None), self.errors.pop(id, None)
        if isinstance(result, Raw):
            self._results -= len(bytes(result))
        if why is not None:
            self._errors -= len(why.encode())

    def take(self, size: int) -> None:
        """Count a result that was fetched."""
        self._results += size

    def key_of(self, id: str) -> str:
        """As the tasks were submitted."""
        return self.keys.get(id, id)
