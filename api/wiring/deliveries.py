"""The delivery of webhooks, put together."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from ... import __version__
from ...adapters.clock import SystemClock
from ...adapters.net.guard import Guard
from ...adapters.net.http import Http
from ...adapters.net.transport import trusted
from ...adapters.webhooks.delivery import Body, Deliveries, Pace
from ...adapters.webhooks.posting import Poster
from ..stores import Store
from . import new_id
from .serving import outbox_of

AGENT = f"aipartnerupflow/{__version__}"
PACE = Pace()


def check_private(targets: Iterable[str], ca_file: Path | None) -> None:
    """Raises `InvalidInput` where one is neither a network nor a name, or the file holds none."""
    Guard(targets)
    trusted(ca_file)


@asynccontextmanager
async def deliveries_of(
    store: Store, *, secret: bytes, private: Iterable[str], ca_file: Path | None, body: Body
) -> AsyncIterator[Deliveries]:
    """Delivers what is to be told of a store. Raises `InvalidInput` for a wrong ``private``
    or ``ca_file``.
    """
    clock = SystemClock()
    http = Http(Guard(private), tls=trusted(ca_file))
    try:
        yield Deliveries(
            outbox=outbox_of(store), journal=store.journal, reads=store.reads, feed=store.feed,
            clock=clock, post=Poster(http, secret, clock, AGENT), body=body, name=new_id(),
            pace=PACE,
        )  # fmt: skip
    finally:
        await http.close()
