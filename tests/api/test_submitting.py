"""Starting a draft that others change meanwhile."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from msgspec.json import encode

from aipartnerupflow.api import wiring
from aipartnerupflow.api.stores import Store
from aipartnerupflow.api.submitting import start
from aipartnerupflow.api.wiring import open_store
from aipartnerupflow.api.wiring.serving import outbox_of
from aipartnerupflow.domain import decide
from aipartnerupflow.domain.errors import VersionMismatch
from aipartnerupflow.domain.intake import read, read_one
from aipartnerupflow.domain.webhooks import Hook
from tests.support.places import place

__all__ = ["place"]


@pytest.fixture
def store(place: Path) -> Store:
    return open_store(f"sqlite:///{place}/drafts.db")


@pytest.fixture(params=["driven", "unclaimed"])
async def driven(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[bool]:
    """Whether an engine of this process drives what is started."""
    async with AsyncExitStack() as stack:
        if request.param == "driven":
            await stack.enter_async_context(store.engine())
        yield request.param == "driven"


def draft(store: Store) -> str:
    made = read([encode({"id": "root", "name": "group"}), child("a")], store.new_id)
    return store.create_draft(made, "t").id


def child(key: str) -> bytes:
    return encode({"key": key, "name": "aggregate_results_executor", "parent_id": "root"})


def grow(store: Store, id: str) -> None:
    """One version more."""
    spec = read_one(child("b"), store.new_id)
    store.drafts.change(id, lambda tree, stamp: decide.add(tree, [spec], stamp))


async def test_a_draft_that_has_grown_is_not_started_and_nobody_is_told(
    store: Store, driven: bool
) -> None:
    id = draft(store)
    grow(store, id)
    with pytest.raises(VersionMismatch):
        await start(store, id, drive=driven, hooks=[Hook("http://x.example/")], if_version=1)
    assert (store.tree(id).phase, store.tree(id).version) == ("draft", 2)
    assert outbox_of(store).of(id) == []


async def test_a_draft_that_grows_between_the_look_and_the_commit_is_not_started(
    store: Store, driven: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = draft(store)

    @asynccontextmanager
    async def meanwhile(*_: object) -> AsyncIterator[None]:
        grow(store, id)
        yield

    monkeypatch.setattr("aipartnerupflow.api.submitting.registered", meanwhile)
    with pytest.raises(VersionMismatch):
        await start(store, id, drive=driven, if_version=1)
    assert (store.tree(id).phase, store.tree(id).version) == ("draft", 2)


@pytest.mark.parametrize("if_version", [2, None])
async def test_what_is_stored_counts_and_not_what_was_kept_of_a_draft(
    store: Store, driven: bool, monkeypatch: pytest.MonkeyPatch, if_version: int | None
) -> None:
    id = draft(store)
    with monkeypatch.context() as elsewhere:  # as another process would
        elsewhere.setattr(wiring, "_open", {})
        other = open_store(store.url)
        grow(other, id)
        other.close()
    assert await start(store, id, drive=driven, if_version=if_version) > 2


async def test_starting_again_with_the_version_of_the_draft_is_refused(
    store: Store, driven: bool
) -> None:
    id = draft(store)
    await start(store, id, drive=driven, if_version=1)
    with pytest.raises(VersionMismatch):
        await start(store, id, drive=driven, if_version=1)
