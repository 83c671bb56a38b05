"""What a command works with: the settings, the modules it was told to import, the open store."""

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...domain.errors import InvalidInput, NotFound, StoreUnavailable
from ..problems import AmbiguousId
from ..settings import FLAG, Settings, load_settings
from ..settings_sources import scheme
from ..stores import Store
from ..wiring import configure, load_modules, open_store, sqlite_path, store_exists

CANDIDATES = 10
"""So many ids are named where the beginning of one is not enough."""


_SECRET = re.compile(r"([?&][^=&]*pass[^=&]*=)[^&]*", re.IGNORECASE)
"""What stands in a query as password or sslpassword."""
RUNNING = ("run", "resume", "demo")
"""The commands that call executors."""


class Desk:
    """Settings, and the store they name."""

    def __init__(self, settings: Settings, *, make: bool = True) -> None:
        self.settings = settings
        self.url = settings.store_url()
        if not make and settings.database_url is not None:
            require_there(self.url)
        self.store: Store = open_store(self.url, durability=settings.durability)

    @property
    def place(self) -> str:
        """The store as it may be shown and named: a path, or a URL without its password."""
        if scheme(self.url) in ("", "sqlite"):
            return str(sqlite_path(self.url))
        return without_password(self.url)

    @property
    def identity(self) -> str:
        """As `place`, and the same by whatever way the store was named."""
        return identity(self.url)

    def command(self, *words: str) -> str:
        """A command line for this store, with the modules imported where it runs something."""
        line = ["apflow", *words]
        if self.settings.origins.get("database_url") == FLAG:
            line += ["--store", self.place]
        if words[0] in RUNNING and self.settings.origins.get("imports") == FLAG:
            line += [word for name in self.settings.imports for word in ("--import", name)]
        return shlex.join(line)

    def tree_id(self, prefix: str) -> str:
        """The id of the one tree that begins so. Raises `NotFound`, `AmbiguousId`."""
        if self.store.reads.tree(prefix) is not None:
            return prefix
        found = self.store.reads.ids_like(prefix, CANDIDATES + 1) if prefix else []
        if not found:
            raise NotFound("tree", prefix)
        if len(found) > 1:
            raise AmbiguousId(prefix, tuple(found[:CANDIDATES]), len(found) > CANDIDATES)
        return found[0]


def look_at(store: str | None) -> Desk:
    """A desk for commands that run nothing: no module is imported, no store made that was named."""
    return Desk(load_settings(database_url=store), make=False)


def settle_in(imports: Sequence[str] | None, store: str | None = None, **flags: Any) -> Settings:
    """The settings in force; executors are configured and the modules named are imported.

    Raises `InvalidInput`.
    """
    named = tuple(imports) if imports else None
    settings = load_settings(database_url=store, imports=named, **flags)
    configure(settings.for_executors())
    if settings.imports:
        _import(settings.imports)
    return settings


def _import(modules: Sequence[str]) -> None:
    """The working directory is looked at last, so that nothing in it hides what is installed."""
    for name in modules:
        if name.endswith(".py") or os.sep in name:
            raise InvalidInput(
                f"--import takes a module, not a file: write {Path(name).stem} for {name}, "
                "from the directory that holds it"
            )
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    load_modules(modules)


def require_there(url: str) -> None:
    """A store that was named and is not there is a slip of the pen: it is not made for a look."""
    if scheme(url) not in ("", "sqlite"):
        return
    path = sqlite_path(url)
    if not store_exists(path):
        raise StoreUnavailable(f"there is no store at {path}. `apflow run` makes one.")


def identity(url: str) -> str:
    """What tells a store from others, without a password."""
    if scheme(url) in ("", "sqlite"):
        return os.path.realpath(sqlite_path(url))
    return without_password(url)


def without_password(url: str) -> str:
    """A URL with the passwords in it, if any, struck out: before the host, and in the query."""
    before, slashes, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}:***@{place}" if at and colon else rest
    return before + slashes + _SECRET.sub(r"\1***", shown)
