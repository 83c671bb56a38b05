"""Packed bodies, whole, in several members, cut off, and packed otherwise than they say."""

import gzip
import os
import zlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.adapters.net.http import Http, Unanswered
from aipartnerupflow.adapters.net.unpacking import bounded, stays_packed
from tests.support.receivers import Reply, receiver

LONG = os.urandom(3_000).hex().encode()


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


async def unpacked(
    body: bytes, packing: str = "gzip", limit: int = 10_000, size: int = 65_536
) -> tuple[bytes, bool]:
    return await bounded(pieces(body, size), packing, limit)


def bare(data: bytes) -> bytes:
    """Deflate without the header of zlib."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("size", [1, 7, 65_536])
async def test_all_members_are_read(size: int) -> None:
    body = gzip.compress(b"first,") + gzip.compress(b"") + gzip.compress(b"last")
    assert await unpacked(body, size=size) == (b"first,last", False)
    assert await unpacked(body + b"\0" * 9, size=size) == (b"first,last", False)


async def test_the_limit_holds_over_all_members() -> None:
    body = gzip.compress(b"x" * 6) + gzip.compress(b"y" * 1_000_000)
    assert await unpacked(body, limit=10) == (b"x" * 6 + b"y" * 4, True)
    assert await unpacked(body, limit=6) == (b"x" * 6, True)
    assert await unpacked(gzip.compress(b"x" * 6), limit=6) == (b"x" * 6, False)


@pytest.mark.parametrize("kept", [1, 5, 12, 1_500, -1])
@pytest.mark.parametrize(
    ("packing", "body"),
    [("gzip", gzip.compress(LONG)), ("deflate", zlib.compress(LONG)), ("deflate", bare(LONG))],
    ids=["gzip", "deflate", "bare"],
)
async def test_what_is_cut_off_is_no_body(packing: str, body: bytes, kept: int) -> None:
    with pytest.raises(httpx.ReadError):
        await unpacked(body[:kept], packing)


async def test_a_second_member_that_is_cut_off_is_no_body_either() -> None:
    with pytest.raises(httpx.ReadError):
        await unpacked(gzip.compress(b"first") + gzip.compress(LONG)[:200])


async def test_what_follows_and_is_no_member_is_not_passed_over() -> None:
    with pytest.raises(zlib.error):
        await unpacked(gzip.compress(b"first") + b"and more")


@pytest.mark.parametrize("size", [1, 7, 65_536])
@pytest.mark.parametrize("pack", [bare, zlib.compress, gzip.compress])
async def test_deflate_comes_with_its_header_and_without(
    pack: Callable[[bytes], bytes], size: int
) -> None:
    for data in (b"", b"hello deflate", LONG):
        assert await unpacked(pack(data), "deflate", size=size) == (data, False)


async def test_bytes_without_end_that_hold_nothing_take_no_room() -> None:
    assert await unpacked(gzip.compress(b"") * 5_000, limit=10) == (b"", False)


@pytest.mark.parametrize("packing", ["gzip", "deflate", "br", ""])
async def test_no_body_is_whole_whatever_its_packing(packing: str) -> None:
    assert await unpacked(b"", packing) == (b"", False)


def test_it_says_what_it_leaves_packed() -> None:
    assert [stays_packed(name) for name in ("", "identity", "gzip", "x-gzip", "deflate")] == (
        [False] * 5
    )
    assert [stays_packed(name) for name in ("br", "zstd", "gzip, br")] == [True] * 3


async def test_an_answer_that_breaks_off_in_its_packing_may_come_whole_later() -> None:
    reply = Reply(200, {"content-encoding": "gzip"}, gzip.compress(LONG)[:1_500])
    http = Http(Guard(("127.0.0.1",)))
    with receiver(lambda request: reply) as server:
        with pytest.raises(Unanswered, match="broke off") as caught:
            await http.call("GET", server.url)
        reply.body = b""
        assert (await http.call("HEAD", server.url)).body == b""
        await http.close()
    assert caught.value.transient
