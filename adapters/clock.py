"""The clock of the machine."""

import time


class SystemClock:
    """`engine.ports.Clock` on the system's time."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()
