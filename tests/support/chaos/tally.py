"""What was done and what was found, for the summary of pytest and the table of ``make chaos``."""

from collections import Counter
from collections.abc import Iterable
from threading import Lock


class Tally:
    """Counts by name, and everything that broke a promise. Any thread may add."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.notes: list[str] = []
        self._lock = Lock()

    def add(self, what: str, number: int = 1) -> None:
        """So many more of it."""
        with self._lock:
            self.counts[what] += number

    def violated(self, faults: Iterable[str], where: str = "") -> None:
        """Promises that were broken."""
        with self._lock:
            self.violations += [f"{where}: {fault}" if where else fault for fault in faults]

    def note(self, text: str) -> None:
        """Something to be told beside the counts."""
        with self._lock:
            self.notes.append(text)

    def take(self, other: "Tally") -> None:
        """Everything of another tally."""
        with self._lock:
            self.counts += other.counts
            self.violations += other.violations
            self.notes += other.notes

    def __str__(self) -> str:
        counts = ", ".join(f"{number:,} {what}" for what, number in self.counts.items())
        return "; ".join([counts or "nothing", *self.notes])
