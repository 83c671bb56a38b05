"""Sessions: handles on the process's one open store."""

import os

from ...domain.errors import InvalidInput
from ..settings import load_settings
from ..stores import Store
from ..wiring import configure, open_store
from .old_names import AdvisesOnOldMembers


class Session(AdvisesOnOldMembers):
    """A handle on a store. Belongs to no event loop and no thread; cheap to make and to copy."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def url(self) -> str:
        """Where the store is."""
        return self.store.url

    def close(self) -> None:
        """Nothing to do: the store is shared and closes with the process, or by `Store.close`."""

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


def create_session(
    connection_string: str | os.PathLike[str] | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Session:
    """A handle on the store that ``connection_string`` (a URL) or ``path`` (a file) names.

    Without either: the one that settings and environment name, by default a SQLite file in the
    state directory. Opening a store resumes nothing. Raises `StoreError`, `InvalidInput`.
    """
    for given in (connection_string, path):
        if given is not None and not isinstance(given, str | os.PathLike):
            raise InvalidInput(
                f"create_session takes a URL or a path, not a value of type {type(given).__name__}"
            )
    settings = load_settings()
    configure(settings.for_executors())
    url = connection_string or path or settings.store_url()
    return Session(open_store(os.fspath(url), durability=settings.durability))


def get_default_session() -> Session:
    """A handle on the store that settings and environment name; the store is open only once."""
    return create_session()
