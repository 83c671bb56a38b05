"""What befalls a store while the program that has it open goes on: see `Plan.trouble`.

Each trouble comes and goes a few times. While it lasts the engine must say that it is degraded,
readers must be served, and what is asked for must be refused or stored, as it is answered.
"""

import asyncio
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path

from aipartnerupflow.api.stores import Store
from aipartnerupflow.engine.engine import Engine
from tests.support.chaos.ledgers import ledger
from tests.support.chaos.plan import Plan

SHOWS = 2.0
"""Seconds within which a degraded state must show."""
HEALS = 10.0
"""Seconds within which it must be gone again."""
EVENTS = 50
"""So many must be stored between two troubles."""
BLOCK = 4096
LOCK = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None); "
    "c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
)
"""Holds the writer's lock until its standard input is closed."""


def report(what: str, *words: object) -> None:
    """A line that the test reads; ``wrong`` is a violation."""
    ledger("troubles").write((what, *words))


@asynccontextmanager
async def full(path: Path) -> AsyncIterator[None]:
    """Nothing is left of the disk on which the store lies."""
    ballast = path.parent / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        _fill(descriptor)
        yield
    finally:
        os.close(descriptor)
        ballast.unlink()


def _fill(descriptor: int) -> None:
    try:
        while True:
            os.write(descriptor, bytes(BLOCK))
    except OSError:
        return


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Another process is in the middle of a transaction."""
    pipe = asyncio.subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOCK, str(path), stdin=pipe, stdout=pipe
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        await holder.stdout.readline()
        yield
    finally:
        holder.stdin.close()
        await holder.wait()


Trouble = Callable[[Path], AbstractAsyncContextManager[None]]
TROUBLES: dict[str, Trouble] = {"full": full, "locked": locked}


async def trouble(plan: Plan, store: Store, engine: Engine) -> None:
    """Let it come ``plan.times`` times, for ``plan.lasts`` seconds each; then it is enough."""
    path, kind = Path(plan.url), TROUBLES[plan.trouble]
    for _ in range(plan.times):
        enough = store.journal.position() + EVENTS
        while (position := store.journal.position()) < enough:
            await store.feed.changed(position)
        async with kind(path):
            await _degraded(store, engine)
            until = time.monotonic() + plan.lasts
            while time.monotonic() < until:
                await _look(store, path)
                await asyncio.sleep(0.1)
            report("reason", engine.health.degraded.replace(" ", "_"))
        await _healed(engine)
    await asyncio.to_thread(Path("enough").touch)


async def _degraded(store: Store, engine: Engine) -> None:
    """It shows soon after the last commit. A full disk takes more as long as SQLite's log has room
    of its own.
    """
    last, began = store.journal.position(), time.monotonic()
    while not engine.health.degraded:
        if store.journal.position() > last:
            last, began = store.journal.position(), time.monotonic()
        elif time.monotonic() - began > SHOWS:
            report("wrong", "nothing is stored, and the engine does not say that it is degraded")
            return
        await asyncio.sleep(0.01)
    report("degraded", f"{time.monotonic() - began:.2f}")


async def _healed(engine: Engine) -> None:
    began = time.monotonic()
    while engine.health.degraded:
        if time.monotonic() - began > HEALS:
            report("wrong", f"still degraded: {engine.health.degraded}")
            return
        await asyncio.sleep(0.01)
    report("healed", f"{time.monotonic() - began:.2f}")


async def _look(store: Store, path: Path) -> None:
    """Readers are served, ours and those of other programs."""
    seen = sum(1 for _ in store.journal.read_all())
    views = store.reads.trees(limit=10)
    others = await asyncio.to_thread(_count, path)
    if not views or others < seen:
        report("wrong", f"read {len(views)} trees and {seen} events, others {others}")
    report("read", seen)


def _count(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM stored_events").fetchone()[0])
