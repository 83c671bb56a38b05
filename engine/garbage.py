"""Keeps the garbage collector out of stretches that make many objects and no garbage.

Folding a stream, deciding a turn and storing its events allocate in bulk what lives on; a
collection in the middle walks all of it for nothing. What piles up is collected right afterwards.
"""

import gc


class Paused:
    """``with Paused():`` the collector is off, unless it was off already."""

    __slots__ = ("_was_on",)

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_on:
            gc.enable()
