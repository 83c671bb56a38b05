"""Sockets through the guard, for libraries that take one that is connected already."""

import asyncio
import socket
from ipaddress import ip_address
from typing import ClassVar, Final

from .guard import Guard

CONNECT: Final = 10.0
"""Seconds for one address of a target."""


class Unreached(ConnectionError):
    """No address of the target takes a connection. It may do later."""

    transient: ClassVar[bool] = True


async def dial(guard: Guard, host: str, port: int, *, private_only: bool = False) -> socket.socket:
    """A connected socket, to the first address that takes one. The caller closes it.

    Raises as `Guard.pin` does, and `Unreached`.
    """
    pinned = await guard.pin(host, port, private_only=private_only)
    try:
        return await pinned.first(lambda address: _connected(address, port), OSError)
    except OSError as error:  # a TimeoutError is one
        raise Unreached("no connection to the target") from error


async def _connected(address: str, port: int) -> socket.socket:
    family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        async with asyncio.timeout(CONNECT):
            await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    return made
