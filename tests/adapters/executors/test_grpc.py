"""`grpc_executor` against real servers."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from msgspec import Raw, json

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.grpc import executor as grpc_call
from aipartnerupflow.adapters.executors.grpc.channels import Channels, Target
from aipartnerupflow.adapters.executors.grpc.executor import GrpcExecutor
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.domain.errors import TargetRefused
from aipartnerupflow.engine.ports import Raised, Returned
from tests.adapters.executors.calls import Port, call
from tests.support.certificates import contexts
from tests.support.grpc_target import PROBE, GrpcTarget, descriptor_set, grpc_target
from tests.support.places import until

GRPC = "grpc_executor"
CANARY = "canary-7f3a9c51"


@pytest.fixture
def target() -> Iterator[GrpcTarget]:
    with grpc_target() as found:
        yield found


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("TOKEN", CANARY)
    found = Registry(installed=list)
    found.configure(
        {
            "APFLOW_PRIVATE_TARGETS": ("127.0.0.1", "localhost"),
            "APFLOW_SECRETS": {
                "TOKEN": {"source": "env", "executors": [GRPC], "hosts": ["127.0.0.1"]},
                "ELSEWHERE": {
                    "source": "env", "name": "TOKEN", "executors": [GRPC],
                    "hosts": ["api.example.com"],
                },
            },
        }
    )  # fmt: skip
    return found


class Caller:
    """Calls as tasks of one engine do."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.server = ""
        self.shared = Shared()

    async def outcome(self, method: str, more: dict[str, Any], **of: Any) -> Any:
        inputs = {"server": self.server, "service": PROBE, "method": method, "tls": False, **more}
        made = call(GRPC, inputs, **of)
        return await invoke(self.registry, made, asyncio.to_thread, self.shared)

    async def __call__(self, method: str, **more: Any) -> dict[str, Any]:
        found = await self.outcome(method, more)
        assert isinstance(found, Returned), found
        result: dict[str, Any] = json.decode(found.result)
        return result

    async def refused(self, method: str, **more: Any) -> Raised:
        found = await self.outcome(method, more)
        assert isinstance(found, Raised), found
        return found


def detail_of(found: Raised) -> Any:
    assert isinstance(found.error.detail, Raw)
    return json.decode(found.error.detail)


def is_transient(found: Raised) -> bool:
    return "TransientError" in found.error.bases


@pytest.fixture
async def caller(registry: Registry) -> AsyncIterator[Caller]:
    made = Caller(registry)
    yield made
    await made.shared.close()


@pytest.fixture
def ask(caller: Caller, target: GrpcTarget) -> Caller:
    caller.server = target.server
    return caller


async def test_a_method_is_called_and_answers(ask: Caller, target: GrpcTarget) -> None:
    found = await ask("Echo", request={"some_text": "ü"}, metadata={"x-a": "b"})
    assert found["response"].pop("names")[1:] == ["idempotency-key=the-key", "x-a=b"]
    assert found == {
        "success": True, "server": target.server, "service": PROBE, "method": "Echo",
        "request": {"some_text": "ü"},
        "response": {
            "some_text": "ü", "big": "0", "flag": False, "raw": "", "list": [],
            "colour": "COLOUR_NONE",
        },
        "metadata": {"x-before": "b", "x-after": "a", "x-raw-bin": "AP8="},
    }  # fmt: skip


async def test_every_kind_of_value_goes_there_and_back(ask: Caller) -> None:
    request = {
        "big": "9007199254740993", "flag": True, "raw": "AP8=", "list": ["a", "b"],
        "at": "2030-01-31T22:00:00.500Z", "colour": "COLOUR_RED",
        "any": {"@type": "type.googleapis.com/testing.probe.Wanted", "code": 3},
        "inner": {"someText": "names may be written in both ways"},
    }  # fmt: skip
    found = (await ask("Echo", request=request))["response"]
    assert {name: found[name] for name in ("big", "flag", "raw", "list", "at", "colour")} == {
        name: request[name] for name in ("big", "flag", "raw", "list", "at", "colour")
    }
    assert found["any"]["@type"] == "type.googleapis.com/testing.probe.Wanted"
    assert found["any"]["code"] == 3
    assert found["inner"]["some_text"] == "names may be written in both ways"


async def test_the_health_of_a_server_can_be_asked(caller: Caller) -> None:
    health = pytest.importorskip("grpc_health.v1.health", reason="needs grpcio-health-checking")
    stubs = pytest.importorskip("grpc_health.v1.health_pb2_grpc")
    serving = pytest.importorskip("grpc_health.v1.health_pb2").HealthCheckResponse.SERVING

    def healthy(server: grpc.Server) -> str:
        servicer = health.HealthServicer()
        servicer.set("", serving)
        stubs.add_HealthServicer_to_server(servicer, server)
        return str(health.SERVICE_NAME)

    with grpc_target(also=healthy) as target:
        caller.server = target.server
        found = await caller("Check", service="grpc.health.v1.Health")
    assert found["response"] == {"status": "SERVING"}


async def test_the_messages_of_a_stream_come_as_a_list(ask: Caller) -> None:
    port = Port()
    outcome = await ask.outcome("Count", {"request": {"count": 3}}, port=port)
    found = json.decode(outcome.result)
    assert [message["big"] for message in found["response"]] == ["1", "2", "3"]
    assert [message for _, message in port.progressed] == ["1 came", "2 came", "3 came"]
    assert "truncated" not in found


async def test_a_stream_may_be_ended_early(ask: Caller, target: GrpcTarget) -> None:
    found = await ask("HangStream", max_messages=1)
    assert [message["some_text"] for message in found["response"]] == ["first"]
    await until(lambda: target.ended == 1)


@pytest.mark.parametrize(("size", "kept"), [(0, 1_000), (1_000_000, 4)])
async def test_of_a_stream_that_does_not_end_the_beginning_is_kept(
    ask: Caller, size: int, kept: int
) -> None:
    found = await ask("Count", request={"count": 100_000, "size": size})
    assert (len(found["response"]), found["truncated"]) == (kept, True)


async def test_what_a_stream_is_made_into_is_bounded(
    ask: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_call, "MAX_SHOWN", 5_000)
    found = await ask("Count", request={"count": 100})
    assert found["truncated"] is True
    assert 3 < len(found["response"]) < 20
    monkeypatch.setattr(grpc_call, "MAX_SHOWN", 100)
    refused = await ask.refused("Echo")
    assert (refused.error.type, is_transient(refused)) == ("TooMuch", False)


async def test_a_message_that_is_too_large_fails_for_good(ask: Caller) -> None:
    found = await ask.refused("Count", request={"count": 1, "size": 5 << 20})
    assert not is_transient(found)
    assert detail_of(found)["code"] == "RESOURCE_EXHAUSTED"


async def test_a_packed_message_is_read_and_its_size_counts_unpacked(caller: Caller) -> None:
    with grpc_target(compression=grpc.Compression.Gzip) as target:
        caller.server = target.server
        found = await caller("Count", request={"count": 1, "size": 100_000})
        assert len(found["response"][0]["some_text"]) == 100_000
        refused = await caller.refused("Count", request={"count": 1, "size": 5 << 20})
        assert not is_transient(refused)


@pytest.mark.parametrize("code", [1, 2, 3, 5, 6, 7, 9, 11, 12, 13, 15, 16])
async def test_a_status_that_would_be_the_same_again_fails_for_good(ask: Caller, code: int) -> None:
    found = await ask.refused("Fail", request={"code": code, "details": "why"})
    assert (found.error.type, is_transient(found)) == ("unsuccessful", False)
    detail = detail_of(found)
    assert detail["status_code"] == code
    assert found.error.message == f"{detail['code']}: why"
    assert detail["metadata"]["x-why"] == "w"


@pytest.mark.parametrize("code", [8, 10, 14])
async def test_a_status_that_may_pass_is_transient_and_says_for_how_long(
    ask: Caller, target: GrpcTarget, code: int
) -> None:
    found = await ask.refused("Fail", request={"code": code, "details": "why"})
    assert (found.error.type, is_transient(found)) == ("Refused", True)
    assert found.retry_after == 7.0
    await ask("Echo")
    assert len(target.peers) == 1


async def test_a_status_may_be_accepted(ask: Caller) -> None:
    for code in (5, 14):
        more = {"request": {"code": code, "details": "why"}}
        found = await ask.outcome("Fail", more, accept=(5, 14))
        assert isinstance(found, Returned)
        assert json.decode(found.result)["status_code"] == code


async def test_a_stream_that_breaks_off_keeps_what_came(ask: Caller) -> None:
    found = await ask.refused("Count", request={"count": 2, "code": 5, "details": "no more"})
    assert found.error.message == "NOT_FOUND: no more"
    assert [message["big"] for message in detail_of(found)["response"]] == ["1", "2"]


async def test_what_a_server_says_of_a_failure_is_bounded(ask: Caller) -> None:
    found = await ask.refused("Fail", request={"code": 5, "details": "x" * 5_000})
    assert len(found.error.message) < 1_100


async def test_a_server_that_is_away_is_transient_and_is_tried_afresh(caller: Caller) -> None:
    with grpc_target() as target:
        caller.server = target.server
        await caller("Echo")
    assert is_transient(await caller.refused("Echo"))
    assert is_transient(await caller.refused("Echo"))
    with grpc_target(port=int(target.server.rpartition(":")[2])):
        await caller("Echo")


@pytest.mark.parametrize("method", ["Hang", "HangStream"])
async def test_the_server_is_told_the_deadline(
    ask: Caller, target: GrpcTarget, method: str
) -> None:
    found = await ask.refused(method, timeout=0.4)
    assert (found.error.type, is_transient(found)) == ("Unanswered", True)
    assert 0 < target.remaining[-1] < 1
    await until(lambda: (target.hanging, target.cancelled) == (0, 1))


@pytest.mark.parametrize("method", ["Hang", "HangStream"])
async def test_an_attempt_that_is_cancelled_is_cancelled_on_the_server(
    ask: Caller, target: GrpcTarget, method: str
) -> None:
    running = asyncio.ensure_future(ask.outcome(method, {}))
    await until(lambda: target.hanging == 1)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    await until(lambda: target.cancelled == 1)


async def test_connections_and_descriptors_are_kept_over_tasks(
    ask: Caller, target: GrpcTarget
) -> None:
    for _ in range(5):
        await ask("Echo")
    assert len(target.peers) == 1
    assert target.reflected == ["v1 file_containing_symbol"]


async def test_an_older_reflection_will_do(caller: Caller) -> None:
    with grpc_target(versions=["v1alpha"]) as target:
        caller.server = target.server
        await caller("Echo")
        assert target.reflected == ["v1alpha file_containing_symbol"]


@pytest.mark.parametrize("usual", [True, False])
async def test_without_reflection_the_task_describes_the_service(
    caller: Caller, usual: bool
) -> None:
    with grpc_target(versions=[]) as target:
        caller.server = target.server
        found = await caller.refused("Echo")
        assert "descriptor_set" in found.error.message
        assert not is_transient(found)
        given = base64.b64encode(descriptor_set(usual=usual)).decode()
        at = "2030-01-31T22:00:00Z"
        for _ in range(2):
            answer = await caller("Echo", request={"at": at}, descriptor_set=given)
            assert answer["response"]["at"] == at


async def test_files_that_a_server_gives_one_by_one_are_asked_for(caller: Caller) -> None:
    with grpc_target(one_by_one=True) as target:
        caller.server = target.server
        await caller("Echo")
        assert target.reflected == ["v1 file_containing_symbol", "v1 file_by_filename"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"service": "testing.probe.Nobody"}, "no service"),
        ({"method": "Nothing"}, "Count, Echo, Fail"),
        ({"descriptor_set": base64.b64encode(b"\x0a\x02\x0a\x00").decode()}, "no service"),
    ],
)
async def test_what_nobody_explains_cannot_be_called(
    ask: Caller, target: GrpcTarget, more: dict[str, Any], says: str
) -> None:
    found = await ask.refused(**{"method": "Echo", **more})
    assert (found.error.type, is_transient(found)) == ("Unexplained", False)
    assert says in found.error.message
    assert target.calls == []


@pytest.mark.parametrize(
    "more",
    [
        {"proto_file": "a.proto"},
        {"method": "Upload"},
        {"method": "A/B"},
        {"service": "a/b"},
        {"service": ""},
        {"request": []},
        {"request": {"unknown": CANARY}},
        {"request": {"big": CANARY}},
        {"request": {"at": CANARY}},
        {"request": {"any": {"@type": f"x/{CANARY}"}}},
        {"request": {"inner": {"inner": {"big": CANARY}}}},
        {"metadata": {"grpc-timeout": "1S"}},
        {"metadata": {":authority": "evil.example.com"}},
        {"metadata": {"x": "a\r\nb"}},
        {"metadata": {"x-bin": "?"}},
        {"metadata": {"x": 5}},
        {"descriptor_set": "?"},
        {"descriptor_set": ""},
        {"timeout": 0},
        {"timeout": True},
        {"max_messages": 0},
        {"tls": "no"},
        {"server_name": "a b"},
    ],
)
async def test_inputs_that_make_no_sense_call_nothing(
    ask: Caller, target: GrpcTarget, more: dict[str, Any]
) -> None:
    found = await ask.refused(**{"method": "Echo", **more})
    assert found.error.type == "InvalidInput"
    assert CANARY not in found.error.message
    assert target.calls == []


async def test_a_request_that_does_not_fit_is_told_what_would(ask: Caller) -> None:
    found = await ask.refused("Fail", request={"unknown": 1})
    assert "testing.probe.Wanted, whose fields are code, details" in found.error.message


@pytest.mark.parametrize(
    "server",
    [
        "10.0.0.1:443", "[::1]:443", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "x",
        "unix:/tmp/a", "dns:///127.0.0.1:443", "ipv4:127.0.0.1:443", "user@127.0.0.1:443",
        "https://127.0.0.1:443", "[::ffff:10.0.0.1]:443", "0x0a000001:443", "167772161:443",
        "[fe80::1%lo]:443", "169.254.169.254:80", "127.0.0.1:443,10.0.0.1:443", "",
    ],
)  # fmt: skip
async def test_only_public_or_allowed_places_are_called(caller: Caller, server: str) -> None:
    found = await caller.refused("Echo", server=server)
    assert found.error.type == "TargetRefused"
    assert not is_transient(found)


async def test_public_places_are_called_by_tls_only(caller: Caller) -> None:
    found = await caller.refused("Echo", server="8.8.8.8:443")
    assert found.error.type == "TargetRefused"
    assert "TLS" in found.error.message


async def test_a_name_that_is_allowed_and_leads_outside_is_called_by_tls_only() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1", "8.8.8.8"]

    channels = Channels(Guard(["inside"], resolve=resolve))
    with pytest.raises(TargetRefused):
        async with channels.line(Target("inside", 443, False, None)):
            raise AssertionError("it was opened")
    await channels.close()


async def test_an_address_is_judged_once_and_kept(target: GrpcTarget, registry: Registry) -> None:
    """The second answer of the resolver is another one: nobody follows it."""
    port = int(target.server.rpartition(":")[2])
    answers = [["::1", "127.0.0.1"], ["10.0.0.1"]]

    async def resolve(host: str, port: int) -> list[str]:
        return answers.pop(0)

    channels = Channels(Guard(["127.0.0.1", "::1"], resolve=resolve))
    async with channels.line(Target("inside", port, False, None)) as line:
        channel = await line.channel()
        answer = await channel.unary_unary(f"/{PROBE}/Echo")(b"")
        assert answer
    with pytest.raises(TargetRefused):
        async with channels.line(Target("inside", port, False, None)):
            raise AssertionError("it was opened")
    await channels.close()


async def test_lines_that_nobody_uses_are_not_kept_for_ever() -> None:
    channels = Channels(Guard(["127.0.0.1"]))
    for port in range(1, 50):
        async with channels.line(Target("127.0.0.1", port, False, None)):
            assert len(channels._lines) <= 33
    assert len(channels._lines) == 32
    await channels.close()


async def test_a_secret_goes_to_its_host_and_into_no_result(
    ask: Caller, target: GrpcTarget, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        found = await ask("Echo", metadata={"x-token": {"$secret": "TOKEN"}})
        assert target.metadata[-1]["x-token"] == CANARY
        assert "x-token=[secret TOKEN]" in found["response"]["names"]
        found = await ask("Echo", request={"some_text": {"$secret": "TOKEN"}})
    assert found["response"]["some_text"] == "[secret TOKEN]"
    assert "request" not in found
    assert CANARY not in json.encode(found).decode() + caplog.text


@pytest.mark.parametrize("code", [5, 14])
async def test_of_a_secret_nothing_is_left_where_what_a_server_says_is_cut(
    ask: Caller, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setenv("TOKEN", CANARY + "x" * 1_400)
    request = {"code": code, "details": {"$secret": "TOKEN"}}
    found = await ask.refused("Fail", request=request)
    assert found.error.message.endswith(": [secret TOKEN]")


@pytest.mark.parametrize("name", ["ELSEWHERE", "TOKEN"])
async def test_a_secret_for_another_host_is_not_sent(
    ask: Caller, target: GrpcTarget, name: str
) -> None:
    more: dict[str, Any] = {"metadata": {"x-token": {"$secret": name}}}
    if name == "TOKEN":
        more["server_name"] = "other.example.com"
    found = await ask.refused("Echo", **more)
    assert "may not be sent to this host" in found.error.message
    assert (target.calls, target.reflected) == ([], [])


async def test_a_proxy_of_the_environment_is_not_used(
    ask: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_grpc_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert (await ask("Echo"))["success"]


async def test_tls_goes_by_the_name_that_was_written(
    caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contexts(tmp_path, "localhost")
    pem = (tmp_path / "server.pem").read_bytes()
    start = pem.index(b"-----BEGIN PRIVATE KEY")
    certificate, key = pem[:start], pem[start:]
    with grpc_target(tls=grpc.ssl_server_credentials([(key, certificate)])) as target:
        port = target.server.rpartition(":")[2]
        more: dict[str, Any] = {"server": f"localhost:{port}", "tls": True}
        assert is_transient(await caller.refused("Echo", **more))
        assert target.calls == []
        await caller.shared.close()
        monkeypatch.setattr(GrpcExecutor, "roots", certificate)
        await caller("Echo", **more)
        more["server"] = target.server
        assert is_transient(await caller.refused("Echo", **more))
        await caller("Echo", **more, server_name="localhost")
        assert target.calls == ["Echo", "Echo"]
        assert is_transient(await caller.refused("Echo", server=target.server))


def test_nobody_knows_whether_a_call_may_be_repeated(registry: Registry) -> None:
    inputs = {"server": "a:1", "service": "a.B", "method": "C"}
    assert registry.safe(call(GRPC, inputs)) is None
    assert registry.properties(GRPC, Raw(b"{}")) == ()
