"""What holds for every executor that speaks HTTP."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.http_rules import check_headers, merged
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.adapters.net.guard import Guard
from aipartnerupflow.adapters.net.transport import written
from aipartnerupflow.adapters.net.trust import trusting
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.engine.ports import Outcome, Raised
from tests.adapters.executors.calls import call
from tests.support.certificates import contexts
from tests.support.receivers import receiver

TREE = {"tasks": [{"key": "a", "name": "x"}]}


async def send(
    executor: str, inputs: dict[str, Any], more: dict[str, Any] | None = None
) -> Outcome:
    registry, shared = Registry(installed=list), Shared()
    registry.configure({"APFLOW_PRIVATE_TARGETS": ["127.0.0.1"], **(more or {})})
    try:
        return await invoke(registry, call(executor, inputs), asyncio.to_thread, shared)
    finally:
        await shared.close()


@pytest.mark.parametrize("url", ["http://[::1", "http://[user:pw]", "http://h:pw/", "http://h:0x1"])
@pytest.mark.parametrize(
    ("executor", "inputs"),
    [
        ("rest_executor", {"url": "{}"}),
        ("apflow_api_executor", {"base_url": "{}", **TREE}),
        ("mcp_executor", {"transport": "http", "url": "{}", "operation": "list_tools"}),
        ("websocket_executor", {"url": "{}", "message": "x"}),
    ],
)
async def test_a_url_that_is_none_is_refused_and_not_repeated(
    executor: str, inputs: dict[str, Any], url: str
) -> None:
    written = url.replace("http", "ws") if executor == "websocket_executor" else url
    filled = {k: v.format(written) if isinstance(v, str) else v for k, v in inputs.items()}
    found = await send(executor, filled)
    assert isinstance(found, Raised)
    assert found.error.type == "TargetRefused"
    assert "pw" not in json.encode(found).decode()
    assert "::1" not in json.encode(found).decode()


def test_headers_are_merged_whatever_the_case_of_their_names() -> None:
    assert merged({"x-a": "1", "B": "2"}, {"X-A": "3"}) == {"X-A": "3", "B": "2"}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("José", "of ASCII"),
        ("a\r\nX: b", "in one line"),
        ("a" * 8_193, "at most 8192"),
        (" abc", "a blank"),
        ("abc\t", "a blank"),
    ],
)
def test_a_value_that_no_header_carries_is_refused_by_its_name(value: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        check_headers({"X-Fine": "a b", "X-Odd": value})
    assert "the header X-Odd" in str(caught.value)
    assert value not in str(caught.value)


def test_a_value_of_a_header_may_be_empty_and_hold_blanks() -> None:
    check_headers({"X-A": "", "X-B": "a \t b", "X-C": "a" * 8_192})


@pytest.mark.parametrize(
    ("executor", "inputs", "name", "value"),
    [
        ("rest_executor", {"headers": {"authorization": "one"},
                           "auth": {"type": "bearer", "token": "two"}}, "authorization",
         "Bearer two"),
        ("rest_executor", {"headers": {"x-k": "one"},
                           "auth": {"type": "apikey", "key": "X-K", "value": "two"}}, "x-k", "two"),
        ("rest_executor", {"headers": {"idempotency-key": "mine"}}, "idempotency-key", "mine"),
        ("apflow_api_executor", {"headers": {"idempotency-key": "mine", "content-type": "x"},
                                 **TREE}, "idempotency-key", "the-key"),
        ("apflow_api_executor", {"headers": {"content-type": "x"}, **TREE}, "content-type",
         "application/json"),
    ],
)  # fmt: skip
async def test_a_header_is_sent_once(
    executor: str, inputs: dict[str, Any], name: str, value: str
) -> None:
    heads: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        place = "url" if executor == "rest_executor" else "base_url"
        await send(executor, {place: url, **inputs})
    lines = [line.partition(": ") for line in heads[0].splitlines()]
    assert [said for known, _, said in lines if known.lower() == name] == [value]


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    ("executor", "inputs"),
    [
        ("rest_executor", {"url": "{}"}),
        ("apflow_api_executor", {"base_url": "{}", **TREE}),
        ("mcp_executor", {"transport": "http", "url": "{}", "operation": "list_tools"}),
        ("websocket_executor", {"url": "{}", "message": "x"}),
    ],
)
async def test_authorities_that_the_operator_names_are_trusted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    executor: str,
    inputs: dict[str, Any],
    listed: bool,
) -> None:
    async def here(self: Guard, name: str, port: int) -> tuple[str, ...]:
        return ("127.0.0.1",)

    monkeypatch.setattr(Guard, "_addresses", here)
    served, _ = contexts(tmp_path, "site.test")
    more = {"APFLOW_TLS_CA_FILE": tmp_path / "server.pem"} if listed else {}
    with receiver(tls=served) as server:
        scheme = "wss" if executor == "websocket_executor" else "https"
        url = f"{scheme}://site.test:{server.port}/"
        filled = {k: v.format(url) if isinstance(v, str) else v for k, v in inputs.items()}
        found = await send(executor, filled, more)
    assert bool(server.requests) is listed
    assert (b"its certificate is not trusted" in json.encode(found)) is not listed


@pytest.mark.parametrize("held", [None, b"no certificate"])
def test_a_file_without_authorities_is_refused(tmp_path: Path, held: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if held is not None:
        file.write_bytes(held)
    with pytest.raises(InvalidInput, match="tls_ca_file"):
        trusting(file)


def test_authorities_are_written_for_libraries_that_take_no_context(tmp_path: Path) -> None:
    contexts(tmp_path, "site.test")
    found = written(tmp_path / "server.pem") or b""
    assert found.endswith((tmp_path / "server.pem").read_bytes())
    assert found.count(b"BEGIN CERTIFICATE") > 50
    assert (trusting(None), written(None)) == (None, None)
