"""Where settings are found: the environment and files, read by our own rules.

Each layer gives the values of its place and, under ``origins``, the place's name for each of them.
pydantic-settings merges the layers; of two that name a key the first wins, in both parts.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec
from dotenv import dotenv_values
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from ..domain.errors import InvalidInput

PREFIX: Final = "APFLOW_"
OLD_PREFIX: Final = "AIPARTNERUPFLOW_"
GENERIC: Final = "DATABASE_URL"
CONFIG: Final = Path("~/.config/apflow/config.toml")

KEYS: Final = (
    "database_url", "state_dir", "imports", "durability", "command_enabled", "command_allow",
    "command_roots", "command_env", "command_memory",
    "ssh_known_hosts", "ssh_key_roots", "docker_enabled", "docker_socket", "docker_roots",
    "docker_networks", "docker_images",
    "demo_sleep_scale",
    "host", "port", "allowed_hosts", "auth", "jwt_secret", "jwt_audience", "max_streams",
    "webhook_secret", "private_targets", "tls_ca_file", "mcp_servers", "secrets", "server_url",
    "server_token",
)  # fmt: skip
OPERATOR_ONLY: Final = frozenset(KEYS) - {"database_url", "durability", "port"}
"""Not taken from files of the working directory. Secrets lie in the state directory."""

ELSEWHERE: Final = frozenset({"IDEMPOTENCY_KEY", "TEST_DSN", "PG_BIN", "CREWAI_PYTHON"})
"""Variables with our prefix that are read, or set, by something else."""

_VARIABLES: Final = {key: key.upper() for key in KEYS} | {
    "imports": "IMPORT", "server_url": "URL", "server_token": "TOKEN",  # nosec B105
}  # fmt: skip
_BY_VARIABLE: Final = {variable: key for key, variable in _VARIABLES.items()}
_OTHER_WORDS: Final = {"store": "database_url", "database": "database_url", "import": "imports"}
LISTS: Final = (
    "imports", "allowed_hosts", "private_targets", "command_roots", "command_env",
    "ssh_key_roots", "docker_roots", "docker_networks", "docker_images",
)  # fmt: skip
"""Comma between, in the environment."""
TABLES: Final = ("mcp_servers", "secrets")
"""Not in the environment at all."""
_SCHEMES: Final = ("sqlite", "postgresql", "postgres", "memory")


Found = tuple[str, Any, str]
"""A key, its value, and the place that gives it."""


class Layer(PydanticBaseSettingsSource):
    """The settings of one place, ready for merging."""

    def __init__(self, settings_cls: type[BaseSettings], values: Iterable[Found]) -> None:
        super().__init__(settings_cls)
        self._values = tuple(values)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: `__call__` gives all at once."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        origins: dict[str, str] = {}
        for key, value, origin in self._values:
            if key not in found:
                found[key], origins[key] = value, origin
        return {**found, "origins": origins} if found else {}


def environment(variables: Mapping[str, str | None] | None = None) -> Iterator[Found]:
    """Each setting in the environment, by falling rank.

    Raises `InvalidInput` for a variable with our prefix that means nothing.
    """
    variables = os.environ if variables is None else variables
    for name, text in variables.items():
        if name.startswith(PREFIX) and text:
            _require_known(name.removeprefix(PREFIX))
    for prefix in (PREFIX, OLD_PREFIX):
        for key, variable in _VARIABLES.items():
            if text := variables.get(prefix + variable):
                yield key, _from_text(key, text, prefix + variable), prefix + variable
    generic = variables.get(GENERIC) or ""
    if scheme(generic) in (*_SCHEMES, "duckdb"):
        yield "database_url", generic, GENERIC


def dotenv(path: Path) -> Iterator[Found]:
    """As `environment`, from a file of assignments. Raises `InvalidInput`."""
    if not _is_file(path):
        return
    try:
        variables = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the settings file {path} cannot be read: {_why(error)}") from error
    for key, value, variable in environment(variables):
        _require_trusted(key, str(path))
        yield key, value, f"{variable} in {path}"


def toml(path: Path, table: tuple[str, ...] = (), *, trusted: bool = False) -> Iterator[Found]:
    """The keys of a TOML file, or of a table in it. Raises `InvalidInput`."""
    path = path.expanduser()
    if not _is_file(path):
        return
    where = f"[{'.'.join(table)}] of {path}" if table else str(path)
    for key, value in _table(path, table).items():
        if key not in KEYS:
            raise InvalidInput(f"{where}: there is no setting {key!r}. {_suggestion(key)}")
        if not trusted:
            _require_trusted(key, where)
        yield key, value, where


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise InvalidInput(
            f"the settings file {path} cannot be looked for: {_why(error)}. "
            f"Make {path.parent} readable for you."
        ) from error


def _table(path: Path, table: tuple[str, ...]) -> Mapping[str, Any]:
    try:
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"the settings file {path} cannot be read: {_why(error)}") from error
    for name in table:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return found if isinstance(found, dict) else {}


def _why(error: Exception) -> str:
    return error.strerror or "no access" if isinstance(error, OSError) else str(error)


def _require_known(variable: str) -> None:
    if variable not in _BY_VARIABLE and variable not in ELSEWHERE:
        known = list(_BY_VARIABLE)
        close = get_close_matches(variable, known, n=1) or known
        raise InvalidInput(
            f"the environment variable {PREFIX}{variable} is no setting. "
            f"{_did_you_mean([PREFIX + name for name in close])} Correct it or unset it."
        )


def _require_trusted(key: str, where: str) -> None:
    if key in OPERATOR_ONLY:
        raise InvalidInput(
            f"{where} may not set {key!r}, since it lies in the working directory, which may be "
            f"anybody's. Set the variable {PREFIX}{_VARIABLES[key]}, or {key} in {CONFIG}."
        )


def _suggestion(key: str) -> str:
    other = _OTHER_WORDS.get(key)
    return _did_you_mean([other] if other else get_close_matches(key, KEYS, n=1) or KEYS)


def _did_you_mean(names: Iterable[str]) -> str:
    first, *more = names
    return f"There are {', '.join([first, *more])}." if more else f"Did you mean {first}?"


def _from_text(key: str, text: str, variable: str) -> Any:
    if key in LISTS:
        return [name.strip() for name in text.split(",") if name.strip()]
    if key in TABLES:
        raise InvalidInput(f"{variable}: {key} stands in {CONFIG} only, under [{key}.NAME]")
    if key == "command_allow":
        try:
            return msgspec.json.decode(text)
        except msgspec.MsgspecError as error:
            raise InvalidInput(
                f'{variable} is a JSON array of arrays of strings, such as [["echo", "*"]]'
            ) from error
    return text


def scheme(url: str) -> str:
    """The kind of store that a URL names, without its driver; empty for a plain path."""
    before, colon, _ = url.partition(":")
    return before.partition("+")[0].lower() if colon and "/" not in before else ""


def check_url(url: str, origin: str) -> None:
    """Raises `InvalidInput` for a store that there is not."""
    kind = scheme(url)
    if kind == "duckdb":
        raise InvalidInput(
            f"the store named by {origin} is a DuckDB file, which this version does not read. "
            "Name a SQLite file (sqlite:///path.db) or a PostgreSQL database (postgresql://…)."
        )
    if kind and kind not in _SCHEMES:
        raise InvalidInput(
            f"the store named by {origin} is of an unknown kind, {kind!r}. "
            "Name a SQLite file (sqlite:///path.db) or a PostgreSQL database (postgresql://…)."
        )
