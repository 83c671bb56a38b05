"""Bodies as they come, unpacked bit by bit, so that a small one cannot become a huge one."""

import zlib
from collections.abc import AsyncIterator
from typing import Final

import httpx

_KNOWN: Final = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP: Final = b"\x1f\x8b"


def stays_packed(packing: str) -> bool:
    """Whether `bounded` gives a body of this content coding as it came."""
    return packing not in _KNOWN and packing not in ("", "identity")


async def bounded(parts: AsyncIterator[bytes], packing: str, limit: int) -> tuple[bytes, bool]:
    """At most ``limit`` bytes of a body, and whether there was more.

    Raises zlib.error for what is not packed as ``packing`` says, and httpx.ReadError for what
    breaks off.
    """
    packed = _Packed(packing) if packing in _KNOWN else None
    body = bytearray()
    async for part in parts:
        room = limit + 1 - len(body)
        body += part if packed is None else packed.unpack(part, room)
        if len(body) > limit:
            return bytes(body[:limit]), True
    if packed is not None and not packed.whole:
        raise httpx.ReadError("the packed body breaks off")
    return bytes(body), False


class _Packed:
    """One member after the other, as gzip may have several (RFC 1952, section 2.2)."""

    def __init__(self, packing: str) -> None:
        self._packing = packing
        self._begun = False
        self._member: zlib._Decompress | None = None
        self._early = b""

    @property
    def whole(self) -> bool:
        """Whether it has come to an end; nothing at all is whole too: HEAD is answered so."""
        return self._member is None and not self._early

    def unpack(self, part: bytes, room: int) -> bytes:
        """What ``part`` holds, at most ``room`` bytes: where it is that many, the rest is lost."""
        found = bytearray()
        part, self._early = self._early + part, b""
        while part and len(found) < room:
            if self._member is None:
                part = part.lstrip(b"\0") if self._begun else part  # padding between members
                if len(part) < 2:
                    self._early = part
                    break
                self._member, self._begun = zlib.decompressobj(self._bits(part)), True
            found += self._member.decompress(part, room - len(found))
            part = b""
            if self._member.eof:
                part, self._member = self._member.unused_data, None
        return bytes(found)

    def _bits(self, head: bytes) -> int:
        """``deflate`` is a zlib stream (RFC 9110, section 8.4.1.2); some send it without a header,
        which two bytes tell (RFC 1950, section 2.2).
        """
        zlibs = head[0] & 15 == zlib.DEFLATED and (head[0] << 8 | head[1]) % 31 == 0
        if self._packing == "deflate" and not zlibs and not head.startswith(_GZIP):
            return -zlib.MAX_WBITS
        return zlib.MAX_WBITS | 32
