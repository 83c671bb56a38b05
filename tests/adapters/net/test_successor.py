"""The guard under clients of httpx2."""

import gzip
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2
import pytest

from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.adapters.net.successor import GuardedTransport, TooLarge, guarded_client
from aipartnerupflow.domain.errors import TargetRefused
from tests.support.receivers import Reply, receiver


async def names(host: str, port: int) -> Sequence[str]:
    return {"inside.example": ["10.0.0.7"], "mixed.example": ["1.1.1.1", "::1"]}[host]


@asynccontextmanager
async def client(*private: str, limit: int = 1_000) -> AsyncIterator[httpx2.AsyncClient]:
    guard = Guard(private, resolve=names)
    transport = GuardedTransport(guard, limit=limit, look=lambda request, response: None)
    async with guarded_client(transport, {"X-A": "b"}) as made:
        yield made


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://2130706433/",
        "http://169.254.169.254/latest", "http://inside.example/",
        "http://mixed.example/", "http://100.64.0.1/", "http://[64:ff9b::7f00:1]/",
    ],
)  # fmt: skip
async def test_what_is_not_public_is_not_reached(url: str) -> None:
    async with client() as http:
        with pytest.raises(TargetRefused):
            await http.get(url)


async def test_what_the_operator_allows_is_reached_and_no_cookie_is_kept() -> None:
    with receiver(lambda request: Reply(200, {"set-cookie": "a=b"}, b"hello")) as target:
        async with client("127.0.0.1") as http:
            assert (await http.get(target.url)).text == "hello"
            await http.get(target.url)
    assert target.requests[0].headers["x-a"] == "b"
    assert "cookie" not in target.requests[1].headers


async def test_an_answer_is_bounded() -> None:
    with receiver(lambda request: Reply(200, body=b"x" * 2_000)) as target:
        async with client("127.0.0.1") as http:
            with pytest.raises(TooLarge):
                await http.get(target.url)


async def test_a_packed_answer_is_not_taken() -> None:
    bomb = gzip.compress(b"x" * 1_000_000)
    answer = Reply(200, {"content-encoding": "gzip"}, bomb)
    with receiver(lambda request: answer) as target:
        async with client("127.0.0.1", limit=10_000) as http:
            with pytest.raises(TooLarge):
                await http.get(target.url)
    assert target.requests[0].headers["accept-encoding"] == "identity"


async def test_of_a_url_only_the_origin_is_logged_and_no_header(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = Reply(200, {"x-said": "canary-header"})
    with caplog.at_level(logging.DEBUG), receiver(lambda request: said) as target:
        async with client("127.0.0.1") as http:
            await http.get(f"{target.url}/canary-path?key=canary-query")
    assert f"{target.url}/ " in caplog.text
    assert "canary" not in caplog.text
