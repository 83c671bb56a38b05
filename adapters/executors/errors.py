"""What executors may raise to say more than that they failed."""

from typing import ClassVar


class TransientError(Exception):
    """It may work another time: the target was busy, away, or too slow.

    ``retry_after`` is for how many seconds it asks to be left alone. Executors may as well raise
    errors of their own that have these attributes.
    """

    transient: ClassVar[bool] = True

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
