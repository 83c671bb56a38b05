"""What the contract suite of all executors asks of each: inputs, and a far side that can be seen.

To have an executor held to the suite, write a `Case` and enter it in `tests/executors/conftest.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

CANARY = "canary-7f3a9c51e2"
"""The value of the secret ``CANARY``, which nothing that is kept may hold."""

Inputs = dict[str, Any]


class Case(ABC):
    """One executor with the service that it calls. ``folder`` is the test's own."""

    executor: ClassVar[str]
    label: ClassVar[str] = ""
    """What its tests are called after, where one executor has several cases."""
    reattaches: ClassVar[bool] = False
    """After a crash the work is found again, not begun anew."""
    notices: ClassVar[bool] = True
    """After a crash what is not found again ends: it dies with the engine, or notices its end."""
    secret_hosts: ClassVar[tuple[str, ...]] = ()
    policy: ClassVar[Inputs] = {}
    """Fields that every task of the suite gets beside its inputs, such as ``idempotent``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def open(self) -> Iterator[None]:
        """Start the far side; it ends with the block."""
        yield

    def settings(self) -> dict[str, Any]:
        """Settings of the operator, as in a settings file."""
        return {}

    @abstractmethod
    def works(self) -> Inputs:
        """Is done at once."""

    @abstractmethod
    def shows(self, result: Any) -> None:
        """Asserts that ``result`` is what `works` gives."""

    @abstractmethod
    def wrong(self) -> Sequence[Inputs]:
        """Refused before anything reaches the far side."""

    @abstractmethod
    def fails(self) -> Inputs:
        """The far side refuses it, and would do so again."""

    @abstractmethod
    def flaky(self) -> Inputs:
        """Fails once in a way that passes by itself, and then works."""

    @abstractmethod
    def hangs(self) -> Inputs:
        """Goes on until `let_go`, or for a minute."""

    @abstractmethod
    def running(self) -> int:
        """How many of `hangs` run on the far side now."""

    @abstractmethod
    def begun(self) -> int:
        """How many of `hangs` were ever begun there."""

    @abstractmethod
    def let_go(self) -> None:
        """Let `hangs` end well, now and from now on."""

    @abstractmethod
    def leaks(self) -> Inputs:
        """Sends ``{"$secret": "CANARY"}``; the far side repeats it in its answer."""

    @abstractmethod
    def floods(self) -> Inputs:
        """The far side says far more than is kept."""
