"""Server-sent events, however their bytes are cut."""

from collections.abc import AsyncIterator

import pytest

from aipartnerupflow.adapters.net.http import Unanswered
from aipartnerupflow.adapters.net.sse import ServerEvent, read_events

STREAM = (
    b"\xef\xbb\xbfretry: 1000\n\n: a comment\n\nid: 1\nevent: task.started\ndata: {}\n\n"
    b"data:one\r\ndata: two\r\n\r\nid: 3\rdata: three\r\rid: 4\n\ndata: \xc3\xa4\n\ndata: cut off\n"
)
EVENTS = [
    ServerEvent("1", "task.started", "{}"),
    ServerEvent("", "", "one\ntwo"),
    ServerEvent("3", "", "three"),
    ServerEvent("", "", "ä"),
]


async def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(data: bytes, size: int = 1_000, **more: int) -> list[ServerEvent]:
    return [event async for event in read_events(cut(data, size), **more)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 1_000])
async def test_events_are_read_from_parts_of_any_size(size: int) -> None:
    assert await read(STREAM, size) == EVENTS


@pytest.mark.parametrize("line", [b"data: " + b"x" * 200, b"data: xxx\n" * 20, b"id: 1\n" * 40])
async def test_an_event_that_does_not_end_is_not_listened_to(line: bytes) -> None:
    with pytest.raises(Unanswered, match="longer than is read"):
        await read(line, 10, limit=100)


async def test_many_small_events_are_no_long_one() -> None:
    assert len(await read(b"data: x\n\n" * 1_000, limit=20)) == 1_000
