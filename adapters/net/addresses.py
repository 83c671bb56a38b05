"""Which addresses are public: judged by lists of our own, whatever this Python's library knows."""

import re
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_V4: Final = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved"),
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_V6: Final = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "private"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001:db8::/32", "reserved"),
        ("3fff::/20", "reserved"),
    )
)
_PROTOCOLS: Final = IPv6Network("2001::/23")
_TEREDO: Final = IPv6Network("2001::/32")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_LOW: Final = 0xFFFFFFFF
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")


def literal(host: str) -> Address | None:
    """The address that ``host`` spells, in any way that a resolver would take; None for a name.

    Raises ValueError where it can be neither: ``256.1.1.1``, an IPv6 address with a zone.
    """
    if ":" in host or "%" in host:
        if "%" in host:
            raise ValueError("a zone")
        return ip_address(host)
    if not _NUMBER.fullmatch(host):
        return None
    try:
        # Decimal, octal and hexadecimal, one to four parts: 127.1, 0x7f000001, 017700000001.
        return IPv4Address(socket.inet_aton(host.removesuffix(".")))
    except OSError as error:
        raise ValueError("no address") from error


def plain(address: Address) -> Address:
    """An IPv4 address that is written as an IPv6 one, as itself."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def fault(address: Address) -> str | None:
    """Why the address is not public; None where it is."""
    address = plain(address)
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _V4 if address in network), None)
    found = next((kind for network, kind in _V6 if address in network), None)
    if found is not None:
        return found
    if address not in _GLOBAL_V6 and address not in _NAT64:
        return "reserved"
    if address in _PROTOCOLS and address not in _TEREDO:
        return "reserved"
    return next((kind for inner in _embedded(address) if (kind := fault(inner))), None)


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses to which gateways would hand on what is sent to this one."""
    number = int(address)
    if address in _NAT64:
        yield IPv4Address(number & _LOW)
    elif address in _SIX_TO_FOUR:
        yield IPv4Address(number >> 80 & _LOW)
    elif address in _TEREDO:
        yield IPv4Address(number >> 64 & _LOW)
        yield IPv4Address(~number & _LOW)
    if number >> 32 & _LOW in _ISATAP:
        yield IPv4Address(number & _LOW)
