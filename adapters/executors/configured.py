"""Executors that have what the operator's settings say."""

from collections.abc import Callable
from typing import Any, TypeVar

E = TypeVar("E")


def with_attributes(cls: Callable[..., E], **attributes: Any) -> Callable[..., E]:
    """A factory of executors that have these attributes.

    They never come through the constructor: what that is given stands in the task. One that is None
    leaves what the constructor has set.
    """
    given = {name: value for name, value in attributes.items() if value is not None}

    def make(**params: Any) -> E:
        executor = cls(**params)
        for name, value in given.items():
            setattr(executor, name, value)
        return executor

    return make
