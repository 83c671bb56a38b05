"""Secrets: named in inputs, fetched when an executor is called, and struck out of all it says.

An input ``{"$secret": "NAME"}`` stands for a text that only the operator's settings lead to. The
name is what events hold. The value exists from the call of the executor to the end of the attempt,
as a `SecretText`, which knows where it may be sent.
"""

import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from ...domain.errors import InvalidInput

MARK: Final = "$secret"
MIN_LENGTH: Final = 8
"""A shorter one would be struck out of texts that have nothing to do with it."""
STRUCK: Final = "[secret {}]"

Read = Callable[[str], str | None]
"""Reads a secret from its source by the name it has there; None where it is not there."""


class SecretSource(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret lies, and who may have it.

    ``name`` is that of the variable, the path of the file, or ``service/user`` in the keyring; by
    default the secret's own. ``executors`` are ids, ``hosts`` the names it may be sent to, with a
    port or without; without ``owners`` every owner's trees may use it.
    """

    source: str
    executors: tuple[str, ...]
    name: str | None = None
    hosts: tuple[str, ...] = ()
    owners: tuple[str, ...] | None = None


class SecretText(str):
    """The value, which may be sent to ``hosts`` only."""

    __slots__ = ("hosts", "label")

    hosts: tuple[str, ...]
    label: str

    @classmethod
    def of(cls, value: str, label: str, hosts: tuple[str, ...]) -> "SecretText":
        """A value with what is known of it."""
        made = cls(value)
        made.label, made.hosts = label, hosts
        return made

    def __repr__(self) -> str:
        return STRUCK.format(self.label)


class Pending(str):
    """In place of a secret where inputs are checked against schemas; see `pending`."""

    __slots__ = ()


PLACEHOLDER: Final = Pending("a secret that will be here")


def plain(value: Any) -> str:
    """For encoders that take no subclass of ``str``. Raises TypeError for anything else."""
    if isinstance(value, SecretText):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} is not JSON")


def _from_environment(name: str) -> str | None:
    return os.environ.get(name)


def _from_file(name: str) -> str | None:
    try:
        return Path(name).read_text(encoding="utf-8").strip("\r\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"its file cannot be read: {type(error).__name__}") from error


def _from_keyring(name: str) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ModuleNotFoundError as error:
        raise InvalidInput("keyrings need `pip install 'aipartnerupflow[keyring]'`") from error
    service, _, user = name.rpartition("/")
    found: str | None = keyring.get_password(service, user)
    return found


READERS: Final[Mapping[str, Read]] = {
    "env": _from_environment, "file": _from_file, "keyring": _from_keyring,
}  # fmt: skip


class Secrets:
    """All secrets that the operator has listed. Raises `InvalidInput` for a list that is none."""

    def __init__(self, listed: Mapping[str, Any] | None = None) -> None:
        self._listed: dict[str, SecretSource] = {}
        for name, said in (listed or {}).items():
            try:
                source = msgspec.convert(said, SecretSource)
            except msgspec.ValidationError as error:
                raise InvalidInput(f"the secret {name} is not usable: {error}") from error
            if source.source not in READERS:
                raise InvalidInput(
                    f"the secret {name} has no such source; there are {', '.join(READERS)}"
                )
            self._listed[name] = source

    def get(self, name: str, *, executor: str, owner: str | None) -> SecretText:
        """The value for an executor and an owner. Blocking. Raises `InvalidInput`."""
        source = self._listed.get(name)
        if source is None or executor not in source.executors:
            raise InvalidInput(
                f"there is no secret {name!r} for {executor}. The operator lists it in "
                f"[secrets.{name}] of the settings, with this executor among `executors`."
            )
        if source.owners is not None and owner not in source.owners:
            raise InvalidInput(f"the secret {name!r} is not for the owner of this tree")
        try:
            value = READERS[source.source](source.name or name)
        except InvalidInput as error:
            raise InvalidInput(f"the secret {name!r} cannot be had: {error}") from error
        if value is None:
            raise InvalidInput(f"the secret {name!r} is not where the settings say that it is")
        if len(value) < MIN_LENGTH:
            raise InvalidInput(
                f"the secret {name!r} has fewer than {MIN_LENGTH} characters: it could not be kept "
                "out of results"
            )
        return SecretText.of(value, name, source.hosts)


def names_in(value: Any) -> bool:
    """Whether a secret is named anywhere in it."""
    if isinstance(value, dict):
        return MARK in value or any(map(names_in, value.values()))
    return isinstance(value, list) and any(map(names_in, value))


def filled(value: Any, get: Callable[[str], str]) -> Any:
    """A copy in which ``get`` has the place of every reference. Raises `InvalidInput`."""
    if isinstance(value, dict):
        if MARK in value:
            name = value[MARK]
            if len(value) != 1 or not isinstance(name, str):
                raise InvalidInput('a secret is named so: {"$secret": "NAME"}, and by nothing else')
            return get(name)
        return {key: filled(item, get) for key, item in value.items()}
    return [filled(item, get) for item in value] if isinstance(value, list) else value


def checkable(inputs: Any) -> Any:
    """The inputs as schemas see them: a text in place of every reference."""
    return filled(inputs, lambda _: PLACEHOLDER) if names_in(inputs) else inputs


def holds_secret(value: Any) -> bool:
    """Whether a fetched secret is anywhere in it."""
    if isinstance(value, dict):
        return any(map(holds_secret, value.values()))
    if isinstance(value, list | tuple):
        return any(map(holds_secret, value))
    return isinstance(value, SecretText)


def require_for(host: str, values: Iterable[Any], port: int | None = None) -> None:
    """Raises `InvalidInput` where a secret among ``values`` may not be sent to ``host``.

    One that says ``host:port`` among its hosts goes to that ``port`` there and to no other.
    """
    name = _name(host)
    for value in values:
        if isinstance(value, dict):
            require_for(host, value.values(), port)
        elif isinstance(value, list | tuple):
            require_for(host, value, port)
        elif isinstance(value, SecretText) and not _is_for(value.hosts, name, port):
            raise InvalidInput(
                f"the secret {value.label!r} may not be sent to this host. The operator lists "
                f"where to in `hosts` of [secrets.{value.label}]."
            )


def _is_for(hosts: Iterable[str], name: str, port: int | None) -> bool:
    for listed in map(_name, hosts):
        where, _, number = listed.rpartition(":")
        if listed == name or (number == str(port) and _name(where) == name):
            return True
    return False


def _name(host: str) -> str:
    name = host.strip().lower()
    return (name[1:-1] if name.startswith("[") and name.endswith("]") else name).rstrip(".")
