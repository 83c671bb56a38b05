"""What attempts of one engine share: connections that outlive each of them."""

from collections.abc import Callable
from typing import Protocol, TypeVar


class Closable(Protocol):
    """Something that has to be closed in the loop that it belongs to."""

    async def close(self) -> None:
        """Idempotent."""


C = TypeVar("C", bound=Closable)


class Shared:
    """Things by a key, made when first asked for. Belongs to one loop."""

    __slots__ = ("_things",)

    def __init__(self) -> None:
        self._things: dict[str, Closable] = {}

    def get(self, key: str, make: Callable[[], C]) -> C:
        """The one thing of this key."""
        found = self._things.get(key)
        if found is None:
            found = self._things[key] = make()
        return found  # type: ignore[return-value]  # what was made for this key

    async def close(self) -> None:
        """End all of them; what is asked for later is made anew."""
        things, self._things = self._things, {}
        for thing in things.values():
            await thing.close()
