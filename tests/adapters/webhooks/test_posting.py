"""What is sent for an event, and what the answers mean."""

from collections.abc import Mapping

import pytest

from aipartnerupflow import verify_webhook
from aipartnerupflow.adapters.clock import SystemClock
from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.adapters.net.http import Answer, Http
from aipartnerupflow.adapters.webhooks.outbox import Claimed
from aipartnerupflow.adapters.webhooks.posting import (
    Again,
    Gone,
    Outcome,
    Poster,
    Refused,
    Taken,
    outcome,
    retry_after,
)
from aipartnerupflow.domain.webhooks import Hook
from tests.support.receivers import Reply, receiver

SECRET = b"k" * 32
NOON = 1_767_268_800.0  # 2026-01-01 12:00:00 UTC


async def post(hook: Hook, *, private: tuple[str, ...] = ("127.0.0.1",)) -> Outcome:
    http = Http(Guard(private))
    poster = Poster(http, SECRET, SystemClock(), "agent/1")
    try:
        return await poster(Claimed("h1", "t", hook, 0, 0, 0, "me", ""), 7, b'{"a":1}')
    finally:
        await http.close()


async def test_a_hook_gets_the_body_with_its_signature_and_its_own_headers() -> None:
    with receiver() as server:
        hook = Hook(f"{server.url}/hook?a=b", headers={"Authorization": "Bearer x"})
        assert await post(hook) == Taken()
    (request,) = server.requests
    headers = request.headers
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=b", b'{"a":1}')
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer x"
    assert headers["user-agent"] == "agent/1"
    assert headers["x-apflow-delivery"] == "h1-7"
    assert verify_webhook(
        SECRET, headers["x-apflow-timestamp"], request.body, headers["x-apflow-signature"]
    )


async def test_a_hook_may_want_another_method() -> None:
    with receiver() as server:
        assert await post(Hook(server.url, method="PUT")) == Taken()
    assert server.requests[0].method == "PUT"


async def test_a_private_target_is_gone_and_hears_nothing() -> None:
    with receiver() as server:
        result = await post(Hook(server.url), private=())
    assert isinstance(result, Gone)
    assert "private_targets" in result.problem
    assert server.requests == []


async def test_a_redirect_is_not_followed() -> None:
    with receiver() as other, receiver() as server:
        server.answer = lambda request: Reply(307, {"location": other.url})
        result = await post(Hook(server.url))
    assert isinstance(result, Refused)
    assert other.requests == []


async def test_no_answer_in_time_is_to_be_tried_again() -> None:
    with receiver(lambda request: Reply(write=lambda file: None)) as server:
        assert isinstance(await post(Hook(server.url)), Again)


def answered(status: int, headers: Mapping[str, str] | None = None) -> Outcome:
    return outcome(Answer(status, dict(headers or {}), b"", "http://x"), NOON)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_success(status: int) -> None:
    assert answered(status) == Taken()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 451, 301, 302, 308])
def test_what_would_be_refused_again_is_given_up(status: int) -> None:
    assert isinstance(answered(status), Refused)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_be_taken_later_is_tried_again(status: int) -> None:
    found = answered(status)
    assert isinstance(found, Again)
    assert (found.after, str(status) in found.problem) == (0.0, True)


def test_a_hook_that_is_gone_is_gone() -> None:
    assert isinstance(answered(410), Gone)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("7", 7.0), (" 120 ", 120.0), ("999999", 3_600.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0), ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Fri, 02 Jan 2026 12:00:00 GMT", 3_600.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0),
        ("1.5", 0.0), ("٣", 0.0), ("9" * 400, 0.0),
    ],
)  # fmt: skip
def test_a_receiver_may_ask_to_be_left_alone_for_an_hour_at_most(text: str, seconds: float) -> None:
    assert retry_after(text, NOON) == seconds
    found = answered(503, {"retry-after": text})
    assert isinstance(found, Again)
    assert found.after == seconds
