"""`rest_executor` against a real server."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import pytest
from msgspec import Raw, json

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.engine.ports import Raised, Returned
from tests.adapters.executors.calls import call
from tests.support.http_target import Target, http_target

REST = "rest_executor"
CANARY = "canary-7f3a9c51"


@pytest.fixture
def target() -> Iterator[Target]:
    with http_target() as found:
        yield found


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("TOKEN", CANARY)
    found = Registry()
    found.configure(
        {
            "APFLOW_PRIVATE_TARGETS": ("127.0.0.1",),
            "APFLOW_SECRETS": {
                "TOKEN": {"source": "env", "executors": [REST], "hosts": ["127.0.0.1"]},
                "ELSEWHERE": {
                    "source": "env", "name": "TOKEN", "executors": [REST],
                    "hosts": ["api.example.com"],
                },
            },
        }
    )  # fmt: skip
    return found


class Caller:
    """Sends requests as tasks of one engine do."""

    def __init__(self, registry: Registry, target: Target) -> None:
        self.registry, self.target = registry, target
        self.shared = Shared()

    async def outcome(self, path: str, more: dict[str, Any], **of: Any) -> Any:
        inputs = {"url": f"{self.target.url}{path}", **more}
        return await invoke(self.registry, call(REST, inputs, **of), asyncio.to_thread, self.shared)

    async def __call__(self, path: str = "/", **more: Any) -> dict[str, Any]:
        found = await self.outcome(path, more)
        assert isinstance(found, Returned), found
        result: dict[str, Any] = json.decode(found.result)
        return result

    async def refused(self, path: str = "/", **more: Any) -> Raised:
        found = await self.outcome(path, more)
        assert isinstance(found, Raised), found
        return found


@pytest.fixture
async def send(registry: Registry, target: Target) -> AsyncIterator[Caller]:
    made = Caller(registry, target)
    yield made
    await made.shared.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
async def test_every_method_is_sent(send: Caller, target: Target, method: str) -> None:
    found = await send("/a", method=method)
    assert (found["success"], found["status_code"], found["method"]) == (True, 200, method)
    assert target.asked[-1]["method"] == method


async def test_an_answer_comes_back_whole(send: Caller, target: Target) -> None:
    found = await send("/a?x=1", params={"y": "two words", "z": [1, 2]}, headers={"X-A": "b"})
    asked = target.asked[-1]
    assert asked["query"] == {"x": ["1"], "y": ["two words"], "z": ["1", "2"]}
    assert asked["headers"]["x-a"] == "b"
    assert asked["headers"]["idempotency-key"] == "the-key"
    assert found["json"] == asked
    assert json.decode(found["body"]) == asked
    assert found["url"] == f"{target.url}/a"
    assert found["headers"]["content-type"] == "application/json"


async def test_bodies_are_json_forms_texts_and_files(send: Caller, target: Target) -> None:
    await send("/j", method="POST", json={"a": [1, None]})
    assert (target.asked[-1]["body"], target.asked[-1]["headers"]["content-type"]) == (
        '{"a":[1,null]}', "application/json",
    )  # fmt: skip
    await send("/f", method="POST", data={"a": "1 2", "b": "ü"})
    assert target.asked[-1]["body"] == "a=1+2&b=%C3%BC"
    await send("/t", method="POST", data="as it is", headers={"Content-Type": "text/plain"})
    assert target.asked[-1]["body"] == "as it is"
    files = {
        "one": {"filename": "a.txt", "content": "text"},
        "two": {"content_base64": base64.b64encode(b"\x00\xff").decode()},
    }
    await send("/m", method="POST", data={"field": "v"}, files=files)
    body = target.asked[-1]["body"]
    assert target.asked[-1]["headers"]["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="field"\r\n\r\nv\r\n' in body
    assert 'name="one"; filename="a.txt"' in body
    assert "\x00\xff" in body


VALUES: dict[str, Any] = {"yes": True, "no": False, "none": None, "n": 1.5, "l": [1, True, None]}
WRITTEN = [("yes", "true"), ("no", "false"), ("none", ""), ("n", "1.5"), ("l", "1"), ("l", "true"),
           ("l", "")]  # fmt: skip


async def test_values_are_written_alike_in_queries_and_forms(send: Caller, target: Target) -> None:
    await send(params=VALUES)
    query = parse_qs("&".join(f"{name}={value}" for name, value in WRITTEN))
    assert target.asked[-1]["query"] == query
    await send(method="POST", data=VALUES)
    assert parse_qsl(target.asked[-1]["body"], keep_blank_values=True) == WRITTEN
    await send(method="POST", data=VALUES, files={"f": {"content": "x"}})
    parts = re.findall(r'name="(\w+)"\r\n\r\n(.*)\r\n', target.asked[-1]["body"])
    assert parts == WRITTEN


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"params": {"o": {"a": 1}}}, "params.o"),
        ({"data": {"o": {"a": 1}}}, "data.o"),
        ({"data": {"l": [[1]]}}, "data.l"),
        ({"data": {"o": {}}, "files": {"f": {"content": "x"}}}, "data.o"),
        ({"data": "text", "files": {"f": {"content": "x"}}}, "data"),
        ({"data": [1, 2]}, "data"),
        ({"files": {"f": {"content_base64": "a"}}}, "files.f.content_base64"),
        ({"files": {"f": {"content_base64": "ü"}}}, "files.f.content_base64"),
        ({"files": {"f": "text"}}, "files.f"),
        ({"files": {"f": {"content": 1}}}, "files.f"),
        ({"files": "text"}, "files"),
    ],
)
async def test_what_no_form_can_carry_is_refused_by_its_name(
    send: Caller, target: Target, more: dict[str, Any], field: str
) -> None:
    found = await send.refused(method="POST", **more)
    assert found.error.type == "InvalidInput"
    assert found.error.message.startswith(f"{field} is ")
    assert not target.asked


async def test_credentials_are_sent_as_their_kind_asks(send: Caller, target: Target) -> None:
    await send(auth={"type": "bearer", "token": "t"})
    assert target.asked[-1]["headers"]["authorization"] == "Bearer t"
    await send(auth={"type": "basic", "username": "ann", "password": "pw"})
    assert target.asked[-1]["headers"]["authorization"] == "Basic YW5uOnB3"
    await send(auth={"type": "apikey", "key": "X-Key", "value": "k"})
    assert target.asked[-1]["headers"]["x-key"] == "k"
    await send(auth={"type": "apikey", "key": "key", "value": "k", "location": "query"})
    assert target.asked[-1]["query"] == {"key": ["k"]}


async def test_what_is_not_2xx_fails_with_the_answer(send: Caller, target: Target) -> None:
    target.will("/no", 404, b'{"why":"gone"}', Content_Type="application/json")
    found = await send.refused("/no")
    assert (found.error.type, found.error.message) == ("unsuccessful", "status_code 404")
    assert isinstance(found.error.detail, Raw)
    assert json.decode(found.error.detail)["json"] == {"why": "gone"}
    target.will("/no", 404)
    accepted = await send.outcome("/no", {}, accept=(404,))
    assert isinstance(accepted, Returned)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_target_is_transient_and_says_for_how_long(
    send: Caller, target: Target, status: int
) -> None:
    target.will("/busy", status, Retry_After="7")
    found = await send.refused("/busy")
    assert "TransientError" in found.error.bases
    assert found.retry_after == 7.0


async def test_a_target_that_is_away_is_transient(send: Caller, target: Target) -> None:
    target.url = "http://127.0.0.1:1"
    assert "TransientError" in (await send.refused()).error.bases


async def test_an_attempt_that_is_cancelled_lets_go_of_its_connection(
    send: Caller, target: Target
) -> None:
    running = asyncio.ensure_future(send.outcome("/slow", {}))
    assert await asyncio.to_thread(target.arrived.wait, 5)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert await asyncio.to_thread(target.broken_off.wait, 5)


async def test_a_timeout_counts_all_of_it(send: Caller, target: Target) -> None:
    found = await send.refused("/slow", timeout=0.2)
    assert "TransientError" in found.error.bases
    assert await asyncio.to_thread(target.broken_off.wait, 5)


async def test_connections_are_kept_over_tasks(send: Caller, target: Target) -> None:
    for _ in range(5):
        await send()
    assert target.connections == 1


async def test_redirects_are_followed_unless_the_task_says_no(send: Caller, target: Target) -> None:
    target.will("/old", 302, Location="/new")
    assert (await send("/old"))["url"] == f"{target.url}/new"
    target.will("/old", 302, Location="/new")
    found = await send.outcome("/old", {"follow_redirects": False}, accept=(302,))
    assert json.decode(found.result)["status_code"] == 302


async def test_an_answer_that_is_no_text_comes_as_base64(send: Caller, target: Target) -> None:
    target.will("/png", 200, b"\x89PNG\x00", Content_Type="image/png")
    assert base64.b64decode((await send("/png"))["body_base64"]) == b"\x89PNG\x00"


async def test_a_body_packed_as_nobody_asked_stays_so_and_is_told(
    send: Caller, target: Target
) -> None:
    for body in (b'\x0b\x02\x80{"a":1}\x03', b""):
        target.will("/br", 200, body, Content_Type="application/json", Content_Encoding="BR")
    found = await send("/br")
    assert base64.b64decode(found["body_base64"]) == b'\x0b\x02\x80{"a":1}\x03'
    assert found["packed"] == "br"
    assert not {"json", "json_error", "body"} & found.keys()
    assert (await send("/br", method="HEAD"))["body"] == ""


async def test_what_is_too_long_is_cut_and_says_so(send: Caller, target: Target) -> None:
    target.will("/long", 200, b"x" * ((10 << 20) + 5), Content_Type="text/plain")
    found = await send("/long")
    assert (len(found["body"]), found["truncated"]) == (10 << 20, True)


async def test_a_secret_goes_to_its_host_and_into_no_result(send: Caller, target: Target) -> None:
    found = await send(auth={"type": "bearer", "token": {"$secret": "TOKEN"}})
    assert target.asked[-1]["headers"]["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in json.encode(found).decode()
    basic = {"type": "basic", "username": "ann", "password": {"$secret": "TOKEN"}}
    encoded = base64.b64encode(f"ann:{CANARY}".encode()).decode()
    found = await send(auth=basic)
    assert target.asked[-1]["headers"]["authorization"] == f"Basic {encoded}"
    assert encoded not in json.encode(found).decode()


async def test_a_secret_for_another_host_is_not_sent(send: Caller, target: Target) -> None:
    found = await send.refused(headers={"X-Token": {"$secret": "ELSEWHERE"}})
    assert "may not be sent to this host" in found.error.message
    assert not target.asked


async def test_a_body_with_a_secret_is_not_sent_on(send: Caller, target: Target) -> None:
    target.will("/old", 307, Location="/new")
    found = await send.refused("/old", method="POST", json={"key": {"$secret": "TOKEN"}})
    assert found.error.message.startswith("the target answered 307: it redirects elsewhere")
    assert "holds a secret" in found.error.message
    assert [asked["path"] for asked in target.asked] == ["/old"]


@pytest.mark.parametrize(
    "more",
    [
        {"method": "TRACE"},
        {"json": 1, "data": "x"},
        {"timeout": 0},
        {"timeout": True},
        {"auth": {"type": "digest"}},
        {"auth": {"type": "bearer"}},
        {"headers": {"Host": "evil.example.com"}},
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X Y": "a"}},
    ],
)
async def test_inputs_that_make_no_sense_send_nothing(
    send: Caller, target: Target, more: dict[str, Any]
) -> None:
    assert (await send.refused(**more)).error.type == "InvalidInput"
    assert not target.asked


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://10.0.0.1/", "http://[::1]/", "http://u:p@127.0.0.1/", "x"]
)
async def test_only_public_or_allowed_places_are_reached(registry: Registry, url: str) -> None:
    found = await invoke(registry, call(REST, {"url": url}), asyncio.to_thread, Shared())
    assert isinstance(found, Raised)
    assert found.error.type == "TargetRefused"
    assert "TransientError" not in found.error.bases


@pytest.mark.parametrize(
    ("method", "safe"), [(None, True), ("get", True), ("PUT", True), ("POST", False)]
)
def test_it_says_which_methods_may_be_repeated(
    registry: Registry, method: str | None, safe: bool
) -> None:
    inputs = {"url": "http://x"} | ({} if method is None else {"method": method})
    assert registry.safe(call(REST, inputs)) is safe


def test_results_of_other_tasks_do_not_fill_in_its_inputs(registry: Registry) -> None:
    assert registry.properties(REST, Raw(b"{}")) == ()
    assert registry.entry(REST).kind.properties == ()
