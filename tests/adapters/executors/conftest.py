"""A registry of its own for each test."""

from collections.abc import Iterator

import pytest

from aipartnerupflow.adapters.executors import Registry, default_registry


@pytest.fixture
def registry() -> Registry:
    return Registry(installed=list)


@pytest.fixture
def clean_default(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The registry that the decorators fill, as it was found."""
    monkeypatch.setattr(default_registry, "_entries", {})
    monkeypatch.setattr(default_registry, "_plugins", {})
    yield default_registry
    default_registry.clear_config()
