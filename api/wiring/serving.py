"""What only a server needs of the adapters."""

from typing import TYPE_CHECKING, Any

from ...adapters.journal.past import Past as Past
from ...adapters.journal.past import past as past_in
from ...adapters.journal.side import MemorySide, PostgresSide, Side, SQLiteSide
from ...adapters.journal.tokens import Token as Token
from ...adapters.journal.tokens import Tokens as Tokens
from ...adapters.webhooks.outbox import Outbox as Outbox
from ...adapters.webhooks.outbox import Registered as Registered

if TYPE_CHECKING:
    from ..stores import Store


def past(store: "Store", tree: str, *, version: int | None = None, at: str | None = None) -> Past:
    """A tree as it stood. Blocking. Raises `NotFound`, `InvalidInput`."""
    return past_in(store.journal, tree, version=version, at=at)


def side_of(store: "Store") -> Side:
    """The tables beside the log of a store; those of a store in memory live as long as it."""
    journal: Any = store.journal
    recorder = journal.recorder
    if store.url.startswith(("postgres:", "postgresql")):
        return PostgresSide(recorder)
    if store.url.startswith("memory:"):
        found: Side | None = getattr(recorder, "side", None)
        if found is None:
            found = recorder.side = MemorySide(store.reads.tree)
        return found
    return SQLiteSide(recorder)


def tokens_of(store: "Store") -> Tokens:
    """The tokens that the server gave away."""
    return Tokens(side_of(store))


def outbox_of(store: "Store") -> Outbox:
    """The webhooks of its trees."""
    return Outbox(side_of(store))
