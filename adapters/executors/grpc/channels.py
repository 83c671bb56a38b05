"""Channels of gRPC through the guard: to addresses that it has judged, kept over tasks."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final

import grpc
from msgspec import Struct

from ....domain.errors import TargetRefused
from ...net.addresses import fault
from ...net.guard import Guard, Pinned
from .types import Types

CONNECT: Final = 10.0
"""Seconds for the addresses of one family."""
MAX_IDLE: Final = 32
"""Lines that are kept though nobody uses them."""
MAX_TYPES: Final = 64
"""Services whose descriptors are kept."""
MAX_DESCRIBED: Final = 8 << 20
"""Bytes of all descriptors that are kept."""
LASTING: Final = 300.0
"""Seconds for which they are."""
MAX_RECEIVED: Final = 4 << 20
"""Bytes of one message, unpacked."""
MAX_METADATA: Final = 16 << 10
OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", MAX_RECEIVED),
    ("grpc.max_metadata_size", MAX_METADATA),
    ("grpc.absolute_max_metadata_size", MAX_METADATA),
)
"""The library asks nobody but the target: no proxy, no settings from the name's records."""


class Target(Struct, frozen=True):
    """What a task wants to reach. ``name`` stands in the certificate, where not ``host`` does."""

    host: str
    port: int
    tls: bool
    name: str | None


class Known:
    """What services explained of themselves, for a while: servers change."""

    def __init__(self) -> None:
        self._types: dict[tuple[object, ...], tuple[float, Types]] = {}

    def get(self, *key: object) -> Types | None:
        """What was kept not long ago."""
        at, types = self._types.get(key, (-LASTING, None))
        return types if time.monotonic() - at < LASTING else None

    def keep(self, types: Types, *key: object) -> Types:
        """Keep it, and the newest others."""
        self._types.pop(key, None)
        self._types[key] = (time.monotonic(), types)
        size = sum(each.size for _, each in self._types.values())
        while len(self._types) > MAX_TYPES or size > MAX_DESCRIBED:
            _, oldest = self._types.pop(next(iter(self._types)))
            size -= oldest.size
        return types


class Line:
    """The channels to one target, one for each family of its addresses."""

    def __init__(self, channels: Sequence[grpc.aio.Channel], key: object, known: Known) -> None:
        self._channels = channels
        self._key = key
        self._known = known
        self.users = 0
        self.spent = False
        """Not to be used by others any more."""

    def known(self, name: str) -> Types | None:
        """What was explained under this name before."""
        return self._known.get(self._key, name)

    def keep(self, name: str, types: Types) -> Types:
        """Know it for those who come next."""
        return self._known.keep(types, self._key, name)

    async def channel(self) -> grpc.aio.Channel:
        """One that leads somewhere; the last one in any case."""
        *others, last = self._channels
        for channel in others:
            if await _ready(channel):
                return channel
        return last

    async def close(self) -> None:
        """End the connections."""
        for channel in self._channels:
            await channel.close()


class Channels:
    """Lines to all targets of one engine. Belongs to one loop; `close` it."""

    def __init__(self, guard: Guard, roots: bytes | None = None) -> None:
        self._guard = guard
        self._roots = roots
        self._lines: dict[tuple[object, ...], Line] = {}
        self.known = Known()

    @asynccontextmanager
    async def line(self, target: Target) -> AsyncIterator[Line]:
        """A line, as long as the block. Raises `TargetRefused` and `Unresolved`."""
        pinned = await self._guard.pin(target.host, target.port)
        if not target.tls and any(fault(ip_address(each)) is None for each in pinned.addresses):
            raise TargetRefused("it is public, and public targets are called by TLS only")
        key = (*pinned.addresses, target.port, target.tls, target.name or pinned.host)
        line = self._lines.pop(key, None)
        if line is None:
            line = Line(self._opened(target, pinned), key, self.known)
        self._lines[key] = line  # the last one is the one that was used last
        line.users += 1
        try:
            yield line
        finally:
            line.users -= 1
            if line.spent and self._lines.get(key) is line:
                del self._lines[key]
            await self._tidy(line)

    async def close(self) -> None:
        """End all of them."""
        lines, self._lines = self._lines, {}
        for line in lines.values():
            await line.close()

    async def _tidy(self, line: Line) -> None:
        if line.spent and not line.users:
            await line.close()
        idle = [key for key, each in self._lines.items() if not each.users]
        for key in idle[: max(len(idle) - MAX_IDLE, 0)]:
            await self._lines.pop(key).close()

    def _opened(self, target: Target, pinned: Pinned) -> list[grpc.aio.Channel]:
        name = target.name or pinned.host
        authority = f"[{name}]:{target.port}" if ":" in name else f"{name}:{target.port}"
        options = [*OPTIONS, ("grpc.default_authority", authority)]
        if not target.tls:
            return [grpc.aio.insecure_channel(place, options=options) for place in _places(pinned)]
        options.append(("grpc.ssl_target_name_override", name))
        credentials = grpc.ssl_channel_credentials(self._roots)
        return [
            grpc.aio.secure_channel(place, credentials, options=options)
            for place in _places(pinned)
        ]


def _places(pinned: Pinned) -> list[str]:
    """The addresses as the library writes them, by family, in the order of the first of each."""
    families: dict[str, list[str]] = {}
    for address in pinned.addresses:
        six = ":" in address
        written = f"[{address}]:{pinned.port}" if six else f"{address}:{pinned.port}"
        families.setdefault("ipv6" if six else "ipv4", []).append(written)
    return [f"{family}:{','.join(written)}" for family, written in families.items()]


async def _ready(channel: grpc.aio.Channel) -> bool:
    """Whether there is a connection; tries to have one."""
    try:
        async with asyncio.timeout(CONNECT):
            while True:
                state = channel.get_state(try_to_connect=True)
                if state is grpc.ChannelConnectivity.READY:
                    return True
                if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    return False
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return False
