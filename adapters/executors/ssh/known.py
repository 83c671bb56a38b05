"""Which keys a host may show: by the operator's file, else by what a task says."""

from collections.abc import Iterator
from typing import Final

import asyncssh

from ....domain.errors import InvalidInput
from ...net.addresses import literal, plain
from ...net.guard import Pinned

Trusted = tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]
"""Keys of the host, of authorities, and revoked ones."""

REVOKED: Final = "@revoked"
_HASHED: Final = "|"


def trusted(text: str, at: Pinned, host_key: str | None) -> Trusted:
    """The keys that the host at ``at`` may show. Raises `InvalidInput` where none is known.

    ``text`` is the file of known hosts. It is asked for the one spelling that the guard gives a
    name. ``host_key`` counts only for a host that the file has under no name, port or address.
    """
    lines = list(_lines(text))
    revoked = [key for words in lines if words[0] == REVOKED for key in _keys(words[-1])]
    known = _imported("\n".join(" ".join(words) for words in lines))
    port = None if at.port == 22 else at.port
    hosts, authorities = known.match(_named(at.host), "", port)[:2]
    if not hosts and not authorities and host_key is not None:
        hosts = [_from_task(lines, at, host_key, revoked)]
    if not hosts and not authorities:
        raise InvalidInput(
            "the key of the host is not known, and none is trusted on first use. The operator "
            "adds it to the file that APFLOW_SSH_KNOWN_HOSTS names, or the task gives host_key."
        )
    return list(hosts), list(authorities), revoked


def _from_task(
    lines: list[list[str]], at: Pinned, host_key: str, revoked: list[asyncssh.SSHKey]
) -> asyncssh.SSHKey:
    if _mentioned(lines, at):
        raise InvalidInput(
            "host_key does not count here: the operator's file of known hosts names this host, by "
            "another name, address or port. The operator adds an entry for the name that is given."
        )
    try:
        key = asyncssh.import_public_key(host_key)
    except asyncssh.KeyImportError:
        raise InvalidInput("host_key is no public key: it begins like ssh-ed25519 AAAA") from None
    if key in revoked:
        raise InvalidInput("host_key is revoked in the operator's file of known hosts")
    return key


def _mentioned(lines: list[list[str]], at: Pinned) -> bool:
    """Whether any entry is for the host, at whatever port and with whatever kind of key."""
    stand_in = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    entries = [words[-2] for words in lines if words[0] != REVOKED]
    hashed = [hosts for hosts in entries if hosts.startswith(_HASHED)]
    clear = [_without_ports(hosts) for hosts in entries if not hosts.startswith(_HASHED)]
    in_clear = _imported("\n".join(f"{hosts} {stand_in}" for hosts in clear))
    in_hash = _imported("\n".join(f"{hosts} {stand_in}" for hosts in hashed))
    name = _named(at.host)
    return any(in_clear.match(name, address, None)[0] for address in at.addresses) or any(
        in_hash.match(each, "", port)[0]
        for each in (name, f"{name}.", *at.addresses)
        for port in (None, at.port)
    )


def _lines(text: str) -> Iterator[list[str]]:
    """Each line as marker, if there is one, hosts in the usual spelling, and key."""
    for line in text.splitlines():
        marked = line.strip().startswith("@")
        words = line.split(None, 2 if marked else 1)
        if not words or words[0].startswith("#"):
            continue
        if len(words) == (3 if marked else 2) and not words[-2].startswith(_HASHED):
            words[-2] = ",".join(map(_pattern, words[-2].split(",")))
        yield words


def _pattern(text: str) -> str:
    """One name, address or pattern of a line."""
    negated = "!" if text.startswith("!") else ""
    text = text.removeprefix("!").lower()
    host, bracket, port = text.rpartition("]")
    if bracket and host.startswith("["):
        return f"{negated}[{_named(host[1:])}]{port}"
    return negated + _named(text)


def _without_ports(hosts: str) -> str:
    names = []
    for name in hosts.split(","):
        host, bracket, _ = name.rpartition("]")
        names.append(host.replace("[", "", 1) if bracket else name)
    return ",".join(names)


def _named(host: str) -> str:
    """A name without the dot at its end; an address as it is usually written."""
    name = host.lower().rstrip(".")
    try:
        address = literal(name)
    except ValueError:
        return name
    return name if address is None else str(plain(address))


def _keys(text: str) -> list[asyncssh.SSHKey]:
    try:
        return [asyncssh.import_public_key(text)]
    except asyncssh.KeyImportError:
        return []


def _imported(text: str) -> asyncssh.SSHKnownHosts:
    try:
        return asyncssh.import_known_hosts(text)
    except ValueError:
        raise InvalidInput("the operator's file of known hosts has a line that is none") from None
