"""`websocket_executor` against a real server."""

import asyncio
import base64
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw, json

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.adapters.executors.websocket.executor import WebsocketExecutor
from aipartnerupflow.engine.ports import Raised, Returned
from tests.adapters.executors.calls import Port, call
from tests.support.certificates import contexts
from tests.support.places import until
from tests.support.websocket_target import WebsocketTarget, websocket_target

WEBSOCKET = "websocket_executor"
CANARY = "canary-7f3a9c51"


@pytest.fixture
def target() -> Iterator[WebsocketTarget]:
    with websocket_target() as found:
        yield found


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("TOKEN", CANARY)
    found = Registry(installed=list)
    found.configure(
        {
            "APFLOW_PRIVATE_TARGETS": ("127.0.0.1", "localhost"),
            "APFLOW_SECRETS": {
                "TOKEN": {"source": "env", "executors": [WEBSOCKET], "hosts": ["127.0.0.1"]},
                "ELSEWHERE": {
                    "source": "env", "name": "TOKEN", "executors": [WEBSOCKET],
                    "hosts": ["api.example.com"],
                },
            },
        }
    )  # fmt: skip
    return found


class Caller:
    """Talks as tasks of one engine do."""

    def __init__(self, registry: Registry, target: WebsocketTarget) -> None:
        self.registry, self.target = registry, target
        self.shared = Shared()

    async def outcome(self, path: str, more: dict[str, Any], **of: Any) -> Any:
        inputs = {"url": f"{self.target.url}{path}", **more}
        made = call(WEBSOCKET, inputs, **of)
        return await invoke(self.registry, made, asyncio.to_thread, self.shared)

    async def __call__(self, path: str, **more: Any) -> dict[str, Any]:
        found = await self.outcome(path, more)
        assert isinstance(found, Returned), found
        result: dict[str, Any] = json.decode(found.result)
        return result

    async def refused(self, path: str, **more: Any) -> Raised:
        found = await self.outcome(path, more)
        assert isinstance(found, Raised), found
        return found


def detail_of(found: Raised) -> Any:
    assert isinstance(found.error.detail, Raw)
    return json.decode(found.error.detail)


@pytest.fixture
async def talk(registry: Registry, target: WebsocketTarget) -> AsyncIterator[Caller]:
    made = Caller(registry, target)
    yield made
    await made.shared.close()


async def test_a_message_is_sent_and_answered(talk: Caller, target: WebsocketTarget) -> None:
    found = await talk("/echo?key=k", message="hello")
    assert found == {
        "success": True, "url": f"{target.url}/echo", "message_sent": "hello",
        "wait_response": True, "response": "hello", "close_code": 1000, "close_reason": "",
    }  # fmt: skip
    await until(lambda: target.closed == [1000])


async def test_an_object_is_sent_as_json_and_json_is_read(talk: Caller) -> None:
    found = await talk("/echo", message={"a": [1, None, "ü"]})
    assert found["response"] == '{"a":[1,null,"ü"]}'
    assert found["json"] == {"a": [1, None, "ü"]}


async def test_nobody_has_to_wait_for_an_answer(talk: Caller, target: WebsocketTarget) -> None:
    found = await talk("/listen", messages=["a", {"b": 1}], wait_response=False)
    assert (found["success"], "response" in found) == (True, False)
    await until(lambda: target.closed == [1000])
    assert target.heard == ["a", '{"b":1}']


async def test_so_many_messages_are_waited_for(talk: Caller, target: WebsocketTarget) -> None:
    port = Port()
    outcome = await talk.outcome("/count", {"responses": 3}, port=port)
    found = json.decode(outcome.result)
    assert [item["json"]["n"] for item in found["responses"]] == [1, 2, 3]
    assert found["json"]["n"] == 3
    assert [fraction for fraction, _ in port.progressed] == [1 / 3, 2 / 3, 1.0]
    await until(lambda: target.closed)


async def test_a_message_that_matches_is_waited_for(talk: Caller) -> None:
    found = await talk("/jobs", message="start", until={"pointer": "/status", "equals": "done"})
    assert found["json"] == {"status": "done", "final": True}
    assert [item["json"]["status"] for item in found["responses"]] == ["queued", "running", "done"]


async def test_true_is_not_one_when_messages_are_matched(talk: Caller) -> None:
    found = await talk.refused(
        "/count", until={"pointer": "/n", "equals": True}, timeout=0.5
    )  # fmt: skip
    assert "TransientError" in found.error.bases


async def test_binary_comes_as_base64(talk: Caller) -> None:
    assert base64.b64decode((await talk("/bytes"))["response_base64"]) == b"\x00\xff"


async def test_headers_and_subprotocols_and_an_origin_are_offered(talk: Caller) -> None:
    found = await talk(
        "/headers", headers={"X-A": "b"}, subprotocols=["mqtt", "wamp"],
        origin="https://example.com",
    )  # fmt: skip
    sent = found["json"]
    assert (sent["x-a"], sent["origin"]) == ("b", "https://example.com")
    assert sent["sec-websocket-protocol"] == "mqtt, wamp"
    assert sent["idempotency-key"] == "the-key"
    assert found["subprotocol"] == "wamp"


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_handshake_that_is_refused_fails_for_good(
    talk: Caller, target: WebsocketTarget, status: int
) -> None:
    target.will("/echo", status)
    found = await talk.refused("/echo", message="a")
    assert (found.error.type, "TransientError" in found.error.bases) == ("unsuccessful", False)
    assert detail_of(found)["status_code"] == status
    assert detail_of(found)["reason"] == "why not\n"
    target.will("/echo", status)
    accepted = await talk.outcome("/echo", {"message": "a"}, accept=(status,))
    assert isinstance(accepted, Returned)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_server_is_transient_and_says_for_how_long(
    talk: Caller, target: WebsocketTarget, status: int
) -> None:
    target.will("/echo", status, Retry_After="7")
    found = await talk.refused("/echo", message="a")
    assert "TransientError" in found.error.bases
    assert found.retry_after == 7.0


@pytest.mark.parametrize(
    "place", ["/echo", "ws://169.254.169.254/", "http://127.0.0.1/", "::", "//[v1"]
)
async def test_redirects_are_not_followed(
    talk: Caller, target: WebsocketTarget, place: str
) -> None:
    target.will("/old", 302, Location=place)
    found = await talk.refused("/old", message="a")
    assert detail_of(found)["status_code"] == 302
    assert "not followed" in found.error.message
    assert target.opened == []


@pytest.mark.parametrize(("code", "passes"), [
    (1000, False), (1008, False), (4000, False), (1001, True), (1011, True), (1012, True),
    (1013, True),
])  # fmt: skip
async def test_a_server_that_closes_early_says_by_its_code_whether_it_passes(
    talk: Caller, code: int, passes: bool
) -> None:
    found = await talk.refused(f"/close/{code}", message="a")
    assert ("TransientError" in found.error.bases) is passes
    if not passes:
        detail = detail_of(found)
        assert (detail["code"], detail["reason"]) == (code, "because")
    accepted = await talk.outcome(f"/close/{code}", {"message": "a"}, accept=(code,))
    assert json.decode(accepted.result)["code"] == code


async def test_a_connection_that_is_lost_is_transient(talk: Caller) -> None:
    assert "TransientError" in (await talk.refused("/drop")).error.bases


async def test_a_target_that_is_away_is_transient(talk: Caller, target: WebsocketTarget) -> None:
    target.url = "ws://127.0.0.1:1"
    assert "TransientError" in (await talk.refused("/echo")).error.bases


async def test_what_speaks_no_http_is_no_target(talk: Caller, target: WebsocketTarget) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    target.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    found = await talk.refused("/echo")
    server.close()
    assert found.error.type == "NoWebSocket"
    assert "TransientError" not in found.error.bases


async def test_a_message_that_is_too_large_fails_for_good(talk: Caller) -> None:
    found = await talk.refused("/large")
    assert "larger than 1 MiB" in found.error.message
    assert "TransientError" not in found.error.bases


async def test_of_many_messages_the_newest_are_kept(talk: Caller) -> None:
    found = await talk("/count/500000", responses=20)
    assert found["truncated"]
    assert [item["json"]["n"] for item in found["responses"]] == list(range(13, 21))


async def test_a_timeout_counts_all_of_it_and_closes(talk: Caller, target: WebsocketTarget) -> None:
    found = await talk.refused("/hang", timeout=0.3)
    assert "TransientError" in found.error.bases
    await until(lambda: target.closed)


async def test_an_attempt_that_is_cancelled_says_so_to_the_server(
    talk: Caller, target: WebsocketTarget
) -> None:
    port = Port()
    more = {"message": "start", "responses": 5}
    running = asyncio.ensure_future(talk.outcome("/jobs", more, port=port))
    await until(lambda: len(port.progressed) == 4)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    await until(lambda: target.closed == [1001])


async def test_a_server_that_does_not_listen_delays_no_cancel(registry: Registry) -> None:
    """It never reads the closing frame, nor answers it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/"
        made = call(WEBSOCKET, {"url": url})
        running = asyncio.ensure_future(invoke(registry, made, asyncio.to_thread, Shared()))
        there, _ = await asyncio.to_thread(server.accept)
        running.cancel()
        await asyncio.wait([running], timeout=5)
        assert running.cancelled()
        there.close()


async def test_a_secret_goes_to_its_host_and_into_no_result(
    talk: Caller, target: WebsocketTarget, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        found = await talk("/headers", headers={"X-Token": {"$secret": "TOKEN"}})
        assert found["json"]["x-token"] == "[secret TOKEN]"
        found = await talk("/echo", message={"key": {"$secret": "TOKEN"}})
    assert target.heard == [f'{{"key":"{CANARY}"}}']
    assert "message_sent" not in found
    assert CANARY not in json.encode(found).decode() + caplog.text


async def test_a_secret_for_another_host_is_not_sent(talk: Caller, target: WebsocketTarget) -> None:
    found = await talk.refused("/echo", message={"$secret": "ELSEWHERE"})
    assert "may not be sent to this host" in found.error.message
    assert target.opened == []


async def test_a_proxy_of_the_environment_is_not_used(
    talk: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "WS_PROXY", "all_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert (await talk("/echo", message="a"))["response"] == "a"


@pytest.mark.parametrize(
    "more",
    [
        {"message": "a", "messages": ["b"]},
        {"wait_response": False},
        {"message": "a", "wait_response": False, "responses": 2},
        {"responses": 2, "until": {"pointer": "", "equals": 1}},
        {"responses": 0},
        {"responses": 1001},
        {"responses": True},
        {"wait_response": "no"},
        {"timeout": 0},
        {"timeout": True},
        {"headers": {"Host": "evil.example.com"}},
        {"headers": {"Sec-WebSocket-Key": "a"}},
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X Y": "a"}},
        {"subprotocols": ["a b"]},
        {"origin": "a\r\nY: b"},
    ],
)
async def test_inputs_that_make_no_sense_reach_nothing(
    talk: Caller, target: WebsocketTarget, more: dict[str, Any]
) -> None:
    assert (await talk.refused("/echo", **more)).error.type == "InvalidInput"
    assert target.opened == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "ws://10.0.0.1/", "wss://[::1]/", "ws://u:p@127.0.0.1/", "x", "ws://",
        "ws://u@127.0.0.1/", "ws://127.0.0.1:99999/", "ws://[::ffff:10.0.0.1]/",
        "ws://0x0a000001/", "ws://127.0.0.1/#a", "unix:///tmp/a", "ws://[fe80::1%25lo]/",
    ],
)  # fmt: skip
async def test_only_public_or_allowed_places_are_reached(registry: Registry, url: str) -> None:
    inputs = {"url": url, "message": "a"}
    found = await invoke(registry, call(WEBSOCKET, inputs), asyncio.to_thread, Shared())
    assert isinstance(found, Raised)
    assert found.error.type == "TargetRefused"
    assert "TransientError" not in found.error.bases


async def test_tls_goes_by_the_name_that_was_written(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = contexts(tmp_path, "localhost")
    with websocket_target(server) as target:
        inputs = {"url": f"{target.url}/echo".replace("127.0.0.1", "localhost"), "message": "a"}
        unknown = await invoke(registry, call(WEBSOCKET, inputs), asyncio.to_thread, Shared())
        assert isinstance(unknown, Raised)
        assert (unknown.error.type, target.opened) == ("NoWebSocket", [])
        monkeypatch.setattr(WebsocketExecutor, "tls", client)
        known = await invoke(registry, call(WEBSOCKET, inputs), asyncio.to_thread, Shared())
        assert isinstance(known, Returned)
        inputs["url"] = f"{target.url}/echo"
        other = await invoke(registry, call(WEBSOCKET, inputs), asyncio.to_thread, Shared())
        assert isinstance(other, Raised)
        assert other.error.type == "NoWebSocket"


def test_nobody_knows_whether_a_talk_may_be_repeated(registry: Registry) -> None:
    assert registry.safe(call(WEBSOCKET, {"url": "ws://x"})) is None
    assert registry.properties(WEBSOCKET, Raw(b"{}")) == ()
