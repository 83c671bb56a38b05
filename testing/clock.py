"""A clock that stands still until it is told to move."""

from ..domain.time import to_text

NEW_YEAR_2026 = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""


class VirtualClock:
    """An `engine.ports.Clock` for tests: the same run always sees the same times."""

    def __init__(self, start: float = NEW_YEAR_2026) -> None:
        self._now = start

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return self._now

    def text(self) -> str:
        """The present as it stands in the ``at`` of an event."""
        return to_text(self._now)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError("time does not pass backwards; jump() sets the clock")
        self._now += seconds

    def jump(self, seconds: float) -> None:
        """Set the clock, forward or back, as an administrator or a time server may do."""
        self._now += seconds
