"""Ctrl-C and SIGTERM: the first asks for a clean stop, the second ends the process at once."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ..problems import Exit

CAUGHT = (signal.SIGINT, signal.SIGTERM)
SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def stop_on_signal(first: Callable[[], None], last_words: Callable[[], str]) -> Iterator[None]:
    """Call ``first`` in the loop at the first signal; at the second write ``last_words`` and exit.

    Plain handlers, not those of the loop: they are called even where an executor blocks it.
    """
    loop = asyncio.get_running_loop()
    seen = 0

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            _end(last_words())
        loop.call_soon_threadsafe(first)

    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, handle)
        for number in CAUGHT
        if signal.getsignal(number) is not signal.SIG_IGN  # as for what runs in the background
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(words: str) -> None:
    if words:
        try:
            os.write(2, words.encode("utf-8", "replace"))
        except OSError:
            pass  # nobody listens
    os._exit(Exit.INTERRUPTED)
