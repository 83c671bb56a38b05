"""The secrets of one attempt: fetched for it, and struck out of all that comes of it."""

from logging import Logger, LoggerAdapter
from typing import Any

from ...engine.ports import Call
from .scrubbing import Scrubber
from .secrets import Secrets, SecretText, filled


class Vault:
    """What an attempt may have. Belongs to it alone."""

    __slots__ = ("_call", "_scrubber", "_secrets")

    def __init__(self, secrets: Secrets, call: Call) -> None:
        self._secrets = secrets
        self._call = call
        self._scrubber: Scrubber | None = None

    @property
    def scrubber(self) -> Scrubber:
        """Strikes out all that was fetched."""
        if self._scrubber is None:
            self._scrubber = Scrubber()
        return self._scrubber

    @property
    def used(self) -> Scrubber | None:
        """The same; None where there is nothing to strike out, as most often."""
        return self._scrubber

    def get(self, name: str) -> SecretText:
        """A secret for this attempt's executor and owner. Blocking. Raises `InvalidInput`."""
        call = self._call
        value = self._secrets.get(name, executor=call.executor, owner=call.owner)
        self.scrubber.add(value)
        return value

    def fill(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs with values in place of names. Blocking. Raises `InvalidInput`."""
        found: dict[str, Any] = filled(inputs, self.get)
        return found


class ScrubbedLog(LoggerAdapter[Logger]):
    """A logger of one attempt that writes no secret."""

    def __init__(self, logger: Logger, extra: dict[str, Any], scrubber: Scrubber) -> None:
        super().__init__(logger, extra)
        self._scrubber = scrubber

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """See `logging.LoggerAdapter`."""
        if self._scrubber and self.isEnabledFor(level):
            msg, args = self._scrubber.text(str(msg) % args if args else str(msg)), ()
            kwargs.pop("exc_info", None)
        super().log(level, msg, *args, **kwargs)
