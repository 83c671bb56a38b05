"""Which ways secrets are sent on, and in which forms they must not come back."""

import asyncio
import base64
import logging
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from msgspec import json

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.http_rules import in_clear, place, port_of, split
from aipartnerupflow.adapters.executors.secrets import SecretText, require_for
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.domain.errors import InvalidInput, TargetRefused
from aipartnerupflow.engine.ports import Outcome, Raised, Returned
from tests.adapters.executors.calls import call
from tests.support.http_target import Target, http_target
from tests.support.websocket_target import WebsocketTarget, websocket_target

ODD = "canary/secret+value==x"
EXECUTORS = ("rest_executor", "websocket_executor", "apflow_api_executor", "mcp_executor",
             "command_executor", "grpc_executor")  # fmt: skip
SECRET = {"$secret": "ODD"}


@pytest.fixture
def target() -> Iterator[Target]:
    with http_target() as found:
        yield found


@pytest.fixture
def talking() -> Iterator[WebsocketTarget]:
    with websocket_target() as found:
        yield found


class Sender:
    def __init__(self) -> None:
        self.registry, self.shared = Registry(installed=list), Shared()

    async def __call__(self, executor: str, **inputs: Any) -> Outcome:
        made = call(executor, inputs)
        return await invoke(self.registry, made, asyncio.to_thread, self.shared)

    async def result(self, executor: str, **inputs: Any) -> Any:
        found = await self(executor, **inputs)
        assert isinstance(found, Returned), found
        assert b"canary" not in bytes(found.result).lower()
        return json.decode(found.result)


@pytest.fixture
async def send(
    monkeypatch: pytest.MonkeyPatch, target: Target, talking: WebsocketTarget
) -> AsyncIterator[Sender]:
    values = {
        "ODD": ODD, "PIN": "1234567890", "HOOK": f"{target.url}/hook/T0CANARY/B0?x=1",
        "TALK": f"{talking.url}/echo?k=canary", "BASE": f"{target.url}/T0CANARY/",
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    made = Sender()
    made.registry.configure(
        {
            "APFLOW_PRIVATE_TARGETS": ["127.0.0.0/8"],
            "APFLOW_COMMAND_ENABLED": True,
            "APFLOW_COMMAND_ALLOW": [["echo", "..."]],
            "APFLOW_SECRETS": {
                name: {
                    "source": "env", "executors": EXECUTORS,
                    "hosts": ["127.0.0.1", "api.example.com"],
                }
                for name in values
            },
        }
    )  # fmt: skip
    yield made
    await made.shared.close()


# -- in which forms they come back


async def test_bytes_that_come_back_hold_no_secret(send: Sender, target: Target) -> None:
    target.will("/b", 200, b"\xff" + ODD.encode(), Content_Type="application/octet-stream")
    found = await send.result("rest_executor", url=f"{target.url}/b", headers={"X-K": SECRET})
    assert base64.b64decode(found["body_base64"]) == b"\xff[secret ODD]"


async def test_a_binary_message_holds_no_secret(send: Sender, talking: WebsocketTarget) -> None:
    found = await send.result("websocket_executor", url=f"{talking.url}/binary", message=SECRET)
    assert base64.b64decode(found["response_base64"]) == b"[secret ODD]"


async def test_a_key_in_a_query_comes_back_in_no_form(send: Sender, target: Target) -> None:
    auth = {"type": "apikey", "key": "k", "value": SECRET, "location": "query"}
    target.will("/q", 200, b'{"at":"/q?k=canary%2Fsecret%2Bvalue%3D%3Dx"}',
                Content_Type="application/json")  # fmt: skip
    found = await send.result("rest_executor", url=f"{target.url}/q", auth=auth)
    assert target.asked[-1]["query"] == {"k": [ODD]}
    assert found["json"] == {"at": "/q?k=[secret ODD]"}


async def test_a_number_that_is_a_secret_does_not_come_back(send: Sender, target: Target) -> None:
    target.will("/n", 200, b'{"pin":1234567890}', Content_Type="application/json")
    named = {"X-Pin": {"$secret": "PIN"}}
    found = await send.result("rest_executor", url=f"{target.url}/n", headers=named)
    assert found["json"] == {"pin": "[secret PIN]"}


async def test_a_url_that_is_a_secret_is_shown_and_logged_nowhere(
    send: Sender, target: Target, talking: WebsocketTarget, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        found = await send.result("rest_executor", url={"$secret": "HOOK"})
        assert found["url"] == "[secret HOOK]"
        found = await send.result("websocket_executor", url={"$secret": "TALK"}, message="hello")
        assert found["url"] == "[secret TALK]"
        answer = b'{"jsonrpc":"2.0","id":1,"result":{}}'
        target.will("/T0CANARY/tasks", 200, answer, Content_Type="application/json")
        found = await send.result(
            "apflow_api_executor", base_url={"$secret": "BASE"}, method="tasks.count"
        )
        assert found["base_url"] == "[secret BASE]"
        refused = await send("mcp_executor", transport="http", url={"$secret": "HOOK"},
                             operation="list_tools", timeout=5)  # fmt: skip
        assert isinstance(refused, Raised)
    assert target.asked[0]["path"] == "/hook/T0CANARY/B0"
    assert "canary" not in caplog.text.lower() + json.encode(refused).decode().lower()


# -- which ways they go


@pytest.mark.parametrize("name", ["User-Agent", "Accept", "accept-language", "X-Key"])
async def test_a_header_with_a_secret_goes_to_no_other_origin(
    send: Sender, target: Target, name: str
) -> None:
    with http_target() as other:
        target.will("/r", 307, Location=f"{other.url}/there")
        await send.result("rest_executor", url=f"{target.url}/r", headers={name: SECRET})
        assert target.asked[-1]["headers"][name.lower()] == ODD
        assert ODD not in str(other.asked[-1]["headers"])


async def test_within_its_origin_it_is_sent_on(send: Sender, target: Target) -> None:
    target.will("/r", 307, Location="/there")
    await send.result("rest_executor", url=f"{target.url}/r", headers={"User-Agent": SECRET})
    assert target.asked[-1]["headers"]["user-agent"] == ODD


@pytest.mark.parametrize(
    ("executor", "inputs"),
    [
        ("rest_executor", {"url": "http://api.example.com/", "headers": {"X": SECRET}}),
        ("websocket_executor", {"url": "ws://api.example.com/", "message": SECRET}),
        ("apflow_api_executor", {"base_url": "http://api.example.com", "method": "tasks.count",
                                 "auth_token": SECRET}),
        ("grpc_executor", {"server": "api.example.com:80", "service": "a.B", "method": "C",
                           "tls": False, "metadata": {"x": SECRET}}),
        ("mcp_executor", {"transport": "http", "url": "http://api.example.com/mcp",
                          "operation": "list_tools", "headers": {"X": SECRET}}),
    ],
)  # fmt: skip
async def test_to_a_public_host_no_secret_is_sent_without_tls(
    send: Sender, monkeypatch: pytest.MonkeyPatch, executor: str, inputs: dict[str, Any]
) -> None:
    async def public(self: Guard, name: str, port: int) -> tuple[str, ...]:
        return ("203.0.112.1",)

    monkeypatch.setattr(Guard, "_addresses", public)
    found = await send(executor, **inputs)
    assert isinstance(found, Raised)
    assert "without TLS" in found.error.message


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("http://8.8.8.8/", True), ("ws://8.8.8.8/", True), ("https://8.8.8.8/", False),
        ("wss://8.8.8.8/", False), ("http://10.0.0.1/", False),
    ],
)  # fmt: skip
async def test_plain_ways_are_for_private_places(url: str, refused: bool) -> None:
    guard, parts = Guard(["10.0.0.0/8", "8.8.8.8"]), split(url)
    secret = SecretText.of(ODD, "S", ())
    place = str(parts.hostname), port_of(parts)
    assert not in_clear(parts, ["no secret"])
    hidden = in_clear(parts, [{"a": [secret]}])
    if refused:
        with pytest.raises(InvalidInput, match="without TLS"):
            await guard.pin(*place, private_only=hidden)
    else:
        await guard.pin(*place, private_only=hidden)


async def test_a_private_place_that_nobody_allows_is_refused_as_ever() -> None:
    with pytest.raises(TargetRefused):
        await Guard().pin("10.0.0.1", 80, private_only=True)


@pytest.mark.parametrize("looks", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("executor", "inputs"),
    [
        ("rest_executor", {"url": "http://api.example.com/", "headers": {"X": SECRET}}),
        ("websocket_executor", {"url": "ws://api.example.com/", "message": SECRET}),
        ("apflow_api_executor", {"base_url": "http://api.example.com", "method": "tasks.count",
                                 "auth_token": SECRET}),
        ("mcp_executor", {"transport": "http", "url": "http://api.example.com/mcp",
                          "operation": "list_tools", "headers": {"X": SECRET}}),
    ],
)  # fmt: skip
async def test_a_name_that_turns_public_between_two_looks_gets_no_secret(
    send: Sender,
    monkeypatch: pytest.MonkeyPatch,
    executor: str,
    inputs: dict[str, Any],
    looks: int,
) -> None:
    """It is judged where the connection goes, however often the name was looked at before."""
    private = iter([("127.0.0.1",)] * looks)
    connected = []

    async def flip(self: Guard, name: str, port: int) -> tuple[str, ...]:
        return next(private, ("203.0.112.1",))

    async def connect(self: object, sock: object, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(Guard, "_addresses", flip)
    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", connect)
    found = await send(executor, **inputs)
    assert isinstance(found, Raised)
    assert "203.0.112.1" not in connected
    assert connected or "without TLS" in found.error.message


@pytest.mark.parametrize(
    ("listed", "host", "port", "allowed"),
    [
        ("a.example.com:8443", "a.example.com", 8443, True),
        ("A.example.com.:8443", "a.example.com", 8443, True),
        ("a.example.com:8443", "a.example.com", 443, False),
        ("a.example.com:8443", "a.example.com", None, False),
        ("a.example.com", "a.example.com", 443, True),
        ("[::1]:8443", "::1", 8443, True),
        ("[::1]", "[::1]", 8443, True),
        ("::1", "::1", 8443, True),
        ("::1", "::", 1, False),
    ],
)
def test_a_secret_may_be_for_one_port(
    listed: str, host: str, port: int | None, allowed: bool
) -> None:
    secret = SecretText.of(ODD, "S", (listed,))
    if allowed:
        require_for(host, [[secret]], port)
    else:
        with pytest.raises(InvalidInput, match="may not be sent to this host"):
            require_for(host, [{"x": secret}], port)


@pytest.mark.parametrize("command", [["echo", SECRET], SECRET])
async def test_a_secret_is_no_word_of_a_command(send: Sender, command: Any) -> None:
    found = await send("command_executor", command=command)
    assert isinstance(found, Raised)
    assert "stdin" in found.error.message
    assert "canary" not in found.error.message


def test_a_url_is_shown_without_its_query() -> None:
    assert place("x", "http://a.example.com/b?c=d#e") == "http://a.example.com/b"
    assert place("x", "http://[::1") == ""
    assert place(SecretText.of("http://a", "S", ()), "http://a/b") == "[secret S]"
