"""Bodies as they come, unpacked bit by bit, so that a small one cannot become a huge one."""

import zlib
from collections.abc import AsyncIterator


async def bounded(parts: AsyncIterator[bytes], packing: str, limit: int) -> tuple[bytes, bool]:
    """At most ``limit`` bytes of a body, and whether there was more. Raises zlib.error."""
    unpack = None
    if packing in ("gzip", "x-gzip", "deflate"):
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    body = bytearray()
    async for part in parts:
        room = limit + 1 - len(body)
        body += part if unpack is None else unpack.decompress(part, room)
        if len(body) > limit:
            return bytes(body[:limit]), True
    return bytes(body), False
