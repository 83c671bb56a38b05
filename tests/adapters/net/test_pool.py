"""Connections are kept for the next request to the same origin, and no more than there may be."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpcore
import pytest

from aipartnerupflow.adapters.net import pool as module
from aipartnerupflow.adapters.net.pool import Pool, Silent
from aipartnerupflow.domain.errors import TargetRefused
from tests.support.places import until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Site:
    """Answers every request with ``ok``, while it may."""

    def __init__(self) -> None:
        self.port = 0
        self.requests = 0
        self.opened = 0
        self.writers: set[asyncio.StreamWriter] = set()
        self.says: list[bytes] = []
        """What it says to the next requests before it hangs up, instead of answering."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def open(self) -> int:
        return len(self.writers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.writers.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.requests += 1
                await self.may_answer.wait()
                if self.says:
                    writer.write(self.says.pop(0))
                    return
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    made = Site()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.may_answer.set()
        server.close()
        for writer in made.writers:
            writer.close()
        await until(lambda: not made.writers)


@asynccontextmanager
async def pools(most: int = 10) -> AsyncIterator[Pool]:
    pool = Pool(httpcore.AnyIOBackend(), ssl.create_default_context(), most=most)
    try:
        yield pool
    finally:
        await pool.aclose()


async def begin(
    pool: Pool, url: str, patience: float | None = None, repeatable: bool = False
) -> httpcore.Response:
    extensions = {"timeout": {"pool": patience}, "repeatable": repeatable}
    request = httpcore.Request("GET", url, headers={"Host": "site"}, extensions=extensions)
    return await pool.handle_async_request(request)


async def get(pool: Pool, url: str, repeatable: bool = False) -> bytes:
    response = await begin(pool, url, repeatable=repeatable)
    body = await response.aread()
    await response.aclose()
    return body


async def test_requests_one_after_the_other_use_one_connection() -> None:
    async with site() as target, pools() as pool:
        assert [await get(pool, target.url) for _ in range(5)] == [b"ok"] * 5
        assert (target.requests, target.opened) == (5, 1)


async def test_requests_that_begin_together_have_one_connection_each_and_keep_them() -> None:
    async with site() as target, pools(20) as pool:
        for _ in range(3):
            await asyncio.gather(*(get(pool, target.url) for _ in range(20)))
        assert (target.requests, target.opened) == (60, 20)


async def test_there_are_no_more_connections_than_allowed_and_the_others_wait() -> None:
    async with site() as target, pools(3) as pool:
        target.may_answer.clear()
        waiting = [asyncio.ensure_future(get(pool, target.url)) for _ in range(9)]
        await until(lambda: target.requests == 3)
        await asyncio.sleep(0.05)
        assert (target.requests, target.open) == (3, 3)
        target.may_answer.set()
        assert await asyncio.gather(*waiting) == [b"ok"] * 9
        assert target.opened == 3


async def test_who_would_not_wait_is_told_so() -> None:
    async with site() as target, pools(1) as pool:
        held = await begin(pool, target.url)
        with pytest.raises(httpcore.PoolTimeout):
            await begin(pool, target.url, 0.01)
        await held.aread()
        await held.aclose()
        assert await get(pool, target.url) == b"ok"


async def test_what_is_kept_for_one_origin_makes_room_for_another() -> None:
    async with site() as first, site() as second, pools(2) as pool:
        await asyncio.gather(get(pool, first.url), get(pool, first.url))
        assert first.open == 2
        assert await get(pool, second.url) == b"ok"
        await until(lambda: first.open == 1)
        assert (first.open, second.open) == (1, 1)


async def test_a_connection_that_the_other_side_has_ended_is_not_used_again() -> None:
    async with site() as target, pools() as pool:
        await get(pool, target.url)
        for writer in list(target.writers):
            writer.close()
            await writer.wait_closed()
        assert await get(pool, target.url) == b"ok"
        assert target.opened == 2


async def test_what_nobody_uses_is_ended_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP", 0.05)
    async with site() as first, site() as second, pools() as pool:
        await get(pool, first.url)
        await asyncio.sleep(0.1)
        await get(pool, second.url)
        await until(lambda: first.open == 0)
        assert second.open == 1


async def test_what_nobody_asks_for_again_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEEP", 0.5)
    async with site() as first, site() as second, pools() as pool:
        for target in (first, second):
            await asyncio.gather(*(get(pool, target.url) for _ in range(3)))
            await asyncio.sleep(0.05)
        assert (first.open, second.open) == (3, 3)
        await until(lambda: first.open == second.open == 0)
        assert await get(pool, first.url) == b"ok"
        await until(lambda: first.open == 0)


async def test_nothing_is_looked_at_after_the_end() -> None:
    async with site() as target, pools() as pool:
        await get(pool, target.url)
        timer = pool._timer
        assert timer is not None
        await pool.aclose()
        assert timer.cancelled()
        assert pool._timer is None


def test_it_is_kept_for_less_than_servers_usually_keep_theirs() -> None:
    assert module.KEEP < 5.0


async def test_a_kept_connection_that_ends_just_then_is_replaced_where_that_is_safe() -> None:
    async with site() as target, pools() as pool:
        await get(pool, target.url)
        target.says = [b""]
        assert await get(pool, target.url, repeatable=True) == b"ok"
        assert (target.requests, target.opened) == (3, 2)
        target.says = [b"", b""]
        with pytest.raises(Silent):
            await get(pool, target.url, repeatable=True)
        assert (target.requests, target.opened) == (5, 3)
        assert await get(pool, target.url) == b"ok"


async def test_what_may_not_be_sent_twice_is_not() -> None:
    async with site() as target, pools(1) as pool:
        await get(pool, target.url)
        target.says = [b""]
        with pytest.raises(Silent):
            await get(pool, target.url)
        assert target.requests == 2
        assert await get(pool, target.url) == b"ok"


async def test_a_new_connection_that_ends_without_an_answer_is_not_replaced() -> None:
    async with site() as target, pools(1) as pool:
        target.says = [b""]
        with pytest.raises(Silent):
            await get(pool, target.url, repeatable=True)
        assert target.requests == 1


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 200 OK\r\n", b"what?\r\n\r\n"])
async def test_what_was_answered_in_part_is_not_sent_again(said: bytes) -> None:
    async with site() as target, pools(1) as pool:
        await get(pool, target.url)
        target.says = [said]
        with pytest.raises(httpcore.RemoteProtocolError) as caught:
            await get(pool, target.url, repeatable=True)
        assert not isinstance(caught.value, Silent)
        assert target.requests == 2
        assert await get(pool, target.url) == b"ok"


async def test_what_may_go_to_private_places_only_shares_no_connection_with_others() -> None:
    class Refusing(httpcore.AsyncNetworkBackend):
        async def connect_tcp(self, *args: object, **kwargs: object) -> httpcore.AsyncNetworkStream:
            raise TargetRefused("it is public")

    async with site() as target:
        tls = ssl.create_default_context()
        pool = Pool(httpcore.AnyIOBackend(), tls, most=2, private=Refusing())
        await get(pool, target.url)
        request = httpcore.Request("GET", target.url, extensions={"private_only": True})
        with pytest.raises(TargetRefused):
            await pool.handle_async_request(request)
        await pool.aclose()


async def test_one_whose_answer_was_not_read_is_ended() -> None:
    async with site() as target, pools(1) as pool:
        response = await begin(pool, target.url)
        await response.aclose()
        await until(lambda: target.open == 0)
        assert await get(pool, target.url) == b"ok"
        assert target.opened == 2


async def test_a_request_that_is_cancelled_leaves_no_connection_and_no_gap() -> None:
    async with site() as target, pools(1) as pool:
        target.may_answer.clear()
        asking = asyncio.ensure_future(get(pool, target.url))
        await until(lambda: target.requests == 1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        target.may_answer.set()
        assert await get(pool, target.url) == b"ok"
        await until(lambda: target.open == 1)


async def test_one_that_cannot_connect_leaves_its_room_to_others() -> None:
    async with site() as target, pools(1) as pool:
        for _ in range(3):
            with pytest.raises(httpcore.ConnectError):
                await get(pool, "http://127.0.0.1:1/")
        assert await get(pool, target.url) == b"ok"


async def test_closing_ends_what_is_kept_and_what_is_in_use() -> None:
    async with site() as target, pools() as pool:
        held = await begin(pool, target.url)
        await get(pool, target.url)
        assert target.open == 2
        await pool.aclose()
        await until(lambda: target.open == 0)
        await held.aclose()


async def test_giving_back_twice_counts_once() -> None:
    async with site() as target, pools(1) as pool:
        response = await begin(pool, target.url)
        await response.aread()
        await response.aclose()
        await response.aclose()
        first = await begin(pool, target.url)
        with pytest.raises(httpcore.PoolTimeout):
            await begin(pool, target.url, 0.01)
        await first.aclose()
