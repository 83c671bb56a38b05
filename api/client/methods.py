"""From a call or a flow to the method of each client: typed alike, written once."""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from . import flows
from .types import Call, Some

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=Callable[..., Any])


class Blocking(Protocol):
    """A client that waits itself."""

    patience: float

    def run(self, flow: flows.Flow[T]) -> T:
        """Go through a flow."""


class Awaiting(Protocol):
    """A client that lets others work while it waits."""

    patience: float

    async def run(self, flow: flows.Flow[T]) -> T:
        """Go through a flow."""


def blocking(make: Callable[P, Call[T]]) -> Callable[Concatenate[Any, P], T]:
    """Sends the call."""

    def method(self: Blocking, /, *args: P.args, **given: P.kwargs) -> T:
        return self.run(flows.ask(self.patience, make(*args, **given)))

    return _as(method, make)


def awaiting(
    make: Callable[P, Call[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Sends the call."""

    async def method(self: Awaiting, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.run(flows.ask(self.patience, make(*args, **given)))

    return _as(method, make)


def blocking_flow(
    make: Callable[Concatenate[float, P], flows.Flow[T]],
) -> Callable[Concatenate[Any, P], T]:
    """Goes through the flow, which is given the client's patience."""

    def method(self: Blocking, /, *args: P.args, **given: P.kwargs) -> T:
        return self.run(make(self.patience, *args, **given))

    return _as(method, make, without=1)


def awaiting_flow(
    make: Callable[Concatenate[float, P], flows.Flow[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Goes through the flow, which is given the client's patience."""

    async def method(self: Awaiting, /, *args: P.args, **given: P.kwargs) -> T:
        return await self.run(make(self.patience, *args, **given))

    return _as(method, make, without=1)


def blocking_pages(make: Callable[P, Call[Some[T]]]) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """Iterates over all pages; ``page`` is how much is asked for at once."""

    def method(self: Blocking, /, *args: P.args, **given: P.kwargs) -> Iterator[T]:
        while True:
            found = self.run(flows.ask(self.patience, make(*args, **given)))
            yield from found.items
            if found.next is None:
                return
            given["after"] = found.next

    return _as(method, make)


def awaiting_pages(
    make: Callable[P, Call[Some[T]]],
) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    """Iterates over all pages; ``page`` is how much is asked for at once."""

    async def method(self: Awaiting, /, *args: P.args, **given: P.kwargs) -> AsyncIterator[T]:
        while True:
            found = await self.run(flows.ask(self.patience, make(*args, **given)))
            for item in found.items:
                yield item
            if found.next is None:
                return
            given["after"] = found.next

    return _as(method, make)


def _as(method: M, make: Callable[..., Any], *, without: int = 0) -> M:
    """Named, described and signed as what it is made from, but for its first arguments."""
    named: Any = method
    named.__name__, named.__doc__ = make.__name__, make.__doc__
    named.__qualname__ = f"Client.{make.__name__}"
    signature = inspect.signature(make)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [own, *list(signature.parameters.values())[without:]]
    named.__signature__ = signature.replace(
        parameters=parameters, return_annotation=inspect.Signature.empty
    )
    return method
