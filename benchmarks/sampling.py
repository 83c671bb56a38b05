"""Where the time goes: what each thread is seen at, many times a second.

A sample counts as much as the time since the one before. It goes to the innermost function that a
rule names; C code counts for the Python function that calls it.
"""

import sys
import threading
import time
from types import CodeType, FrameType

INTERVAL = 0.0005
SWITCH_INTERVAL = 0.0001
"""Seconds after which a thread gives way, so that a sample is not taken late."""

WAITING = "waiting"

RULES = (
    ("adapters/journal/sqlite/recorder.py", "_commit", "SQLite: commit"),
    ("adapters/journal/sqlite/recorder.py", "", "SQLite: events"),
    ("adapters/journal/sqlite/rows.py", "", "SQLite: status rows"),
    ("adapters/journal/postgres", "", "PostgreSQL: the adapter"),
    ("/psycopg/", "", "PostgreSQL: psycopg and the server"),
    ("/psycopg_pool/", "", "PostgreSQL: psycopg and the server"),
    ("adapters/journal/mapper.py", "", "encoding and hashing"),
    ("adapters/journal/chain.py", "", "encoding and hashing"),
    ("adapters/journal/", "", "journal"),
    ("projections/", "", "status changes"),
    ("domain/intake.py", "", "reading what was submitted"),
    ("domain/written.py", "", "reading what was submitted"),
    ("domain/graph.py", "", "reading what was submitted"),
    ("domain/", "", "domain: decide and evolve"),
    ("engine/", "", "engine"),
    ("adapters/backends/", "", "backend and executor"),
    ("adapters/executors/", "", "backend and executor"),
    ("adapters/", "", "adapters, the rest"),
    ("api/", "", "api"),
    ("benchmarks/", "", "the benchmark itself"),
    ("/asyncio/", "", "asyncio"),
    ("/selectors.py", "", "asyncio"),
    ("/threading.py", "", WAITING),
)
"""Part of a file's path, name of a function or empty, group; the first that fits."""


class Sampler:
    """Looks on from `start` to `stop`, in a thread of its own."""

    def __init__(self) -> None:
        self._spent: dict[tuple[str, str], float] = {}
        self._known: dict[CodeType, str | None] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sampler", daemon=True)
        self._before = sys.getswitchinterval()

    def start(self) -> None:
        """Begin."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._thread.start()

    def stop(self) -> list[tuple[str, str, float]]:
        """End; (thread, group, seconds), thread by thread, what took longest first."""
        self._over.set()
        self._thread.join()
        sys.setswitchinterval(self._before)
        spent = [(*key, seconds) for key, seconds in self._spent.items()]
        return sorted(spent, key=lambda one: (one[0], -one[2]))

    def _watch(self) -> None:
        last = time.perf_counter()
        while not self._over.wait(INTERVAL):
            now = time.perf_counter()
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():
                name = names.get(ident, "?")
                if name != self._thread.name:
                    key = name, self._group(frame)
                    self._spent[key] = self._spent.get(key, 0.0) + now - last
            last = now

    def _group(self, frame: FrameType) -> str:
        if _is_waiting(frame):
            return WAITING
        looked: FrameType | None = frame
        while looked is not None:
            code = looked.f_code
            if code not in self._known:
                self._known[code] = _rule(code)
            if (group := self._known[code]) is not None:
                return group
            looked = looked.f_back
        return "other"


def _is_waiting(frame: FrameType) -> bool:
    """In a selector that was told to wait: a loop with work to do only looks."""
    code = frame.f_code
    is_selector = code.co_name == "select" and code.co_filename.endswith("/selectors.py")
    return is_selector and frame.f_locals.get("timeout") != 0


def _rule(code: CodeType) -> str | None:
    for path, function, group in RULES:
        if path in code.co_filename and function in ("", code.co_name):
            return group
    return None
