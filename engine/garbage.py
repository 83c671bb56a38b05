"""Keeps the cyclic garbage collector from walking what lives on, again and again.

An engine makes objects in bulk, nearly all of which live until their tree settles and then go by
reference count. With Python's default of a collection every 700 new objects, a run of many trees
spends a fifth of its time in collections that find nothing.
"""

import gc

RELAXED = 20_000
"""New objects between two collections while an engine works."""


class Paused:
    """``with Paused():`` the collector is off, unless it was off already. For loading big trees."""

    __slots__ = ("_was_on",)

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_on:
            gc.enable()


class Relaxed:
    """Raises the collector's first threshold to `RELAXED`, unless it is higher, until `restore`."""

    def __init__(self) -> None:
        self._before = gc.get_threshold()
        if self._before[0] < RELAXED:
            gc.set_threshold(RELAXED, *self._before[1:])

    def restore(self) -> None:
        """Back to what was found, unless somebody has changed it since."""
        if gc.get_threshold()[0] == RELAXED:
            gc.set_threshold(*self._before)
