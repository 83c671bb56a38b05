"""The guard of every connection that is opened at a task's or a client's word.

A name is resolved once, every address that comes out is judged, and the connection is made to one
of those addresses, never to the name again: what answers differently the second time gains nothing.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import ClassVar, Final, TypeVar

from msgspec import Struct

from ...domain.errors import InvalidInput, TargetRefused
from .addresses import Address, fault, literal, plain
from .lookups import TooMany, system_resolve

MAX_HOST: Final = 253
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")

T = TypeVar("T")
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, as text. Raises OSError."""


class Unresolved(OSError):
    """The name has no address, or cannot be asked for now."""

    transient: ClassVar[bool] = True


class Pinned(Struct, frozen=True):
    """Where a connection may go: one of ``addresses``, in this order. ``host`` is the name for TLS
    (SNI and certificate), as it was written.
    """

    host: str
    port: int
    addresses: tuple[str, ...]

    async def first(self, connect: Callable[[str], Awaitable[T]], *failures: type[Exception]) -> T:
        """What comes of the first address that can be connected to; with none, the last failure."""
        *others, last = self.addresses
        for address in others:
            try:
                return await connect(address)
            except failures:
                continue  # the next address may answer
        return await connect(last)


class Guard:
    """Judges targets. ``private`` holds networks (CIDR) and names that are allowed though they are
    not public. Raises `InvalidInput` for what is neither.
    """

    def __init__(self, private: Iterable[str] = (), *, resolve: Resolve = system_resolve) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._names: set[str] = set()
        self._resolve = resolve
        for entry in private:
            self._allow(entry.strip())

    def _allow(self, entry: str) -> None:
        try:
            self._networks.append(ip_network(entry.strip("[]"), strict=False))
            return
        except ValueError:
            name = entry.lower().removesuffix(".")
        if "/" in name or not _NAME.fullmatch(name):
            raise InvalidInput(
                "private_targets holds networks, such as 10.0.0.0/8, and names of hosts; one of "
                "its entries is neither"
            )
        self._names.add(name)

    async def pin(self, host: str, port: int, *, private_only: bool = False) -> Pinned:
        """Where a connection to ``host`` and ``port`` may go.

        ``private_only``: a secret goes there in clear. Raises `TargetRefused` where any of its
        addresses is not public and not allowed, `Unresolved` where it has none, and `InvalidInput`
        where one is public that must not be.
        """
        pinned = await self._pinned(host, port)
        if private_only and not _is_private(pinned):
            raise InvalidInput(
                "a secret is sent without TLS only to hosts that are not public and that the "
                "operator allows in private_targets: have it sent by TLS"
            )
        return pinned

    async def _pinned(self, host: str, port: int) -> Pinned:
        if not 0 < port < 65_536:
            raise TargetRefused("its port is none: a port is 1 to 65535")
        name = _name(host)
        try:
            address = literal(name)
        except ValueError as error:
            raise TargetRefused("its host is neither a name nor an address") from error
        if address is not None:
            self._judge(address)
            return Pinned(name, port, (str(plain(address)),))
        if not _NAME.fullmatch(name):
            raise TargetRefused("its host is neither a name nor an address")
        return Pinned(name, port, await self._addresses(name, port))

    async def _addresses(self, name: str, port: int) -> tuple[str, ...]:
        try:
            found = await self._resolve(name, port)
        except TooMany as error:
            raise Unresolved("too many names are being looked up at this moment") from error
        except TimeoutError as error:
            raise Unresolved("the name of the target was not resolved in time") from error
        except (OSError, UnicodeError) as error:
            raise Unresolved("the name of the target cannot be resolved") from error
        addresses = dict.fromkeys(_address(text) for text in found)
        if not addresses:
            raise Unresolved("the name of the target has no address")
        if name not in self._names:
            for address in addresses:
                self._judge(address)
        return tuple(str(plain(address)) for address in addresses)

    def _judge(self, address: Address) -> None:
        address = plain(address)
        kind = fault(address)
        if kind is not None and not any(address in network for network in self._networks):
            raise TargetRefused(
                f"it leads to an address that is not public ({kind}). The operator of this server "
                "may allow its network, or its name, in private_targets"
            )


def _is_private(pinned: Pinned) -> bool:
    return all(fault(plain(_address(each))) is not None for each in pinned.addresses)


def _name(host: str) -> str:
    """The host as the resolver is asked for it. Raises `TargetRefused`."""
    name = host.strip("[]") if host.startswith("[") and host.endswith("]") else host
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise TargetRefused("its host is neither a name nor an address") from error
    name = name.lower().removesuffix(".")
    if not name or len(name) > MAX_HOST or not name.isprintable() or " " in name:
        raise TargetRefused("its host is neither a name nor an address")
    return name


def _address(text: str) -> Address:
    """An answer of the resolver. Raises `TargetRefused` for one that holds on one link only."""
    try:
        if "%" in text:
            raise ValueError("a zone")
        return ip_address(text)
    except ValueError as error:
        raise TargetRefused("it leads to an address of one link only") from error
