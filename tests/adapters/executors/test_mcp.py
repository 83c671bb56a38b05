"""`mcp_executor` against servers on the official SDK, over both transports."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.mcp.executor import McpExecutor
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.adapters.net.guard import Guard, Unresolved
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.engine.ports import Outcome, Raised, Returned
from tests.adapters.executors.calls import Port, call
from tests.support import mcp_target
from tests.support.certificates import contexts
from tests.support.http_target import http_target
from tests.support.mcp_target import begun, http_server, running
from tests.support.places import until
from tests.support.receivers import Reply, Request, receiver

MCP = "mcp_executor"


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("far")
    with http_server(folder) as url:
        yield folder, url


class Caller:
    """Asks a server by one of the transports; ``folder`` is where that shows what it does."""

    def __init__(self, way: Mapping[str, Any], folder: Path, **servers: Any) -> None:
        self.way, self.folder = way, folder
        self.registry = Registry()
        source = {"source": "env", "executors": [MCP], "hosts": ["127.0.0.1"]}
        self.registry.configure(
            {
                "APFLOW_PRIVATE_TARGETS": ("127.0.0.1",),
                "APFLOW_MCP_SERVERS": {
                    "far": {"command": mcp_target.command(folder), "env": {"COLOUR": "blue"}},
                    **servers,
                },
                "APFLOW_SECRETS": {
                    "TOOLS_KEY": source, "ELSEWHERE": {**source, "hosts": ["tools.example.com"]},
                },
            }
        )  # fmt: skip

    async def outcome(self, port: Port | None = None, **inputs: Any) -> Outcome:
        made = call(MCP, {**self.way, **inputs}, port=port)
        return await invoke(self.registry, made, asyncio.to_thread, Shared())

    async def __call__(self, operation: str, port: Port | None = None, **inputs: Any) -> Any:
        found = await self.outcome(port, operation=operation, **inputs)
        assert isinstance(found, Returned), found
        result = msgspec.json.decode(found.result)
        assert (result["success"], result["operation"]) == (True, operation)
        return result["result"]

    async def tool(self, name: str, port: Port | None = None, /, **arguments: Any) -> Any:
        return await self("call_tool", port, tool_name=name, arguments=arguments)

    async def refused(self, **inputs: Any) -> Raised:
        found = await self.outcome(**inputs)
        assert isinstance(found, Raised), found
        return found


def by_stdio(folder: Path, **servers: Any) -> Caller:
    return Caller({"transport": "stdio", "server": "far"}, folder, **servers)


def by_http(far: tuple[Path, str], **more: Any) -> Caller:
    return Caller({"transport": "http", "url": far[1], **more}, far[0])


@pytest.fixture(params=["stdio", "http"])
def ask(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Caller:
    monkeypatch.setenv("TOOLS_KEY", "canary-7f3a9c51")
    if request.param == "stdio":
        return by_stdio(tmp_path)
    return by_http(request.getfixturevalue("far"))


# -- by both transports


async def test_tools_are_listed_with_their_schemas(ask: Caller) -> None:
    tools = {tool["name"]: tool for tool in (await ask("list_tools"))["tools"]}
    assert {"add", "echo", "count", "hang"} <= set(tools)
    assert tools["add"]["description"] == "Adds two numbers."
    assert set(tools["add"]["inputSchema"]["properties"]) == {"a", "b"}
    assert tools["add"]["outputSchema"]["properties"]["total"]["type"] == "integer"


async def test_a_tool_gives_content_and_structured_output(ask: Caller) -> None:
    found = await ask.tool("add", a=40, b=2)
    assert found["structuredContent"] == {"total": 42}
    assert found["isError"] is False
    (part,) = found["content"]
    assert (part["type"], json.loads(part["text"])) == ("text", {"total": 42})


async def test_a_tool_that_fails_fails_the_task_with_what_it_says(ask: Caller) -> None:
    found = await ask.refused(operation="call_tool", tool_name="breaks")
    assert "out of paper" in found.error.message
    detail = msgspec.json.decode(msgspec.json.encode(found.error.detail))
    assert detail["result"]["isError"] is True
    assert "TransientError" not in found.error.bases


async def test_a_tool_that_is_not_there_fails_the_task(ask: Caller) -> None:
    found = await ask.refused(operation="call_tool", tool_name="fly")
    assert found.error.type == "unsuccessful"
    assert "TransientError" not in found.error.bases


async def test_resources_are_listed_and_read(ask: Caller) -> None:
    (resource,) = (await ask("list_resources"))["resources"]
    assert (resource["uri"], resource["mimeType"]) == ("memo://today", "text/plain")
    (part,) = (await ask("read_resource", resource_uri="memo://today"))["contents"]
    assert (part["uri"], part["text"]) == ("memo://today", "buy ink")
    found = await ask.refused(operation="read_resource", resource_uri="memo://never")
    assert found.error.message.startswith("the server refused it: ")


async def test_prompts_are_listed_and_got(ask: Caller) -> None:
    (prompt,) = (await ask("list_prompts"))["prompts"]
    assert prompt["name"] == "greet"
    assert [each["name"] for each in prompt["arguments"]] == ["who"]
    found = await ask("get_prompt", prompt_name="greet", arguments={"who": "Ann"})
    (message,) = found["messages"]
    assert message["content"]["text"] == "Greet Ann."


async def test_progress_is_handed_on(ask: Caller) -> None:
    port = Port()
    assert (await ask.tool("count", port, upto=4))["structuredContent"] == {"result": 4}
    assert (0.5, "at 2") in port.progressed


async def test_a_cancel_ends_the_work_there(ask: Caller) -> None:
    before = len(begun(ask.folder))
    task = asyncio.create_task(ask.outcome(operation="call_tool", tool_name="hang"))
    await until(lambda: len(begun(ask.folder)) == before + 1)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    await until(lambda: not running(ask.folder))


async def test_a_timeout_ends_the_work_there(ask: Caller) -> None:
    found = await ask.refused(operation="call_tool", tool_name="hang", timeout=1.5)
    assert found.error.type == "ServerGone"
    assert "within 1.5 s" in found.error.message
    await until(lambda: not running(ask.folder))


async def test_a_message_is_bounded(ask: Caller) -> None:
    found = await ask.tool("big", size=3 << 20)
    assert len(found["content"][0]["text"]) == 3 << 20
    refused = await ask.refused(
        operation="call_tool", tool_name="big", arguments={"size": 11 << 20}
    )
    assert "TransientError" not in refused.error.bases


async def test_a_secret_reaches_the_tool_and_nothing_else(ask: Caller) -> None:
    found = await ask.tool("echo", text={"$secret": "TOOLS_KEY"})
    assert found["content"][0]["text"] == "you said [secret TOOLS_KEY]"


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        ({"operation": "call_tool"}, "tool_name"),
        ({"operation": "read_resource"}, "resource_uri"),
        ({"operation": "get_prompt"}, "prompt_name"),
        ({"operation": "get_prompt", "prompt_name": "p", "arguments": {"n": 1}}, "texts"),
        ({"operation": "list_tools", "timeout": True}, "timeout"),
        ({"operation": "list_tools", "command": ["sh", "-c", "id"]}, "mcp_servers"),
        ({"operation": "list_tools", "args": ["id"]}, "mcp_servers"),
        ({"operation": "list_tools", "env": {"PATH": "x"}}, "mcp_servers"),
        ({"operation": "list_tools", "cwd": "x"}, "mcp_servers"),
        ({"operation": "list_tools", "transport": "pigeon"}, "stdio, http"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(
    ask: Caller, inputs: dict[str, Any], names: str
) -> None:
    found = await ask.refused(**inputs)
    assert found.error.type == "InvalidInput"
    assert names in found.error.message


# -- over standard streams


async def test_a_task_names_a_server_of_the_operator(tmp_path: Path) -> None:
    ask = by_stdio(tmp_path)
    found = await ask.refused(operation="list_tools", server="near")
    assert found.error.type == "ExecutorDisabled"
    assert "near" not in found.error.message
    bare = await ask.refused(operation="list_tools", server=None)
    assert bare.error.type == "ExecutorDisabled"


async def test_a_server_gets_a_clean_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOBODYS_BUSINESS", "canary")
    ask = by_stdio(tmp_path)
    assert (await ask.tool("environment", name="COLOUR"))["content"][0]["text"] == "blue"
    assert (await ask.tool("environment", name="NOBODYS_BUSINESS"))["content"][0]["text"] == ""


async def test_a_key_in_the_environment_of_a_server_is_kept_out_of_results(tmp_path: Path) -> None:
    server = {"command": mcp_target.command(tmp_path), "env": {"FILES_API_KEY": "canary-1234"}}
    ask = by_stdio(tmp_path, keyed=server)
    ask.way = {**ask.way, "server": "keyed"}
    found = await ask.tool("environment", name="FILES_API_KEY")
    assert found["content"][0]["text"] == "[secret derived]"


async def test_a_server_that_dies_may_live_another_time(tmp_path: Path) -> None:
    ask = by_stdio(tmp_path)
    (tmp_path / "dies").touch()
    found = await ask.refused(operation="list_tools")
    assert found.error.message == "the server ended with 1; it said: no ink"
    assert "TransientError" in found.error.bases
    assert (await ask("list_tools"))["tools"]


async def test_a_server_that_cannot_start_is_told(tmp_path: Path) -> None:
    ask = by_stdio(tmp_path, none={"command": ["/no/such/program"]})
    found = await ask.refused(operation="list_tools", server="none")
    assert found.error.message.startswith("the server cannot be started: No such file")


PLAY = """
import json, os, subprocess, sys, time
def say(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\\n")
    sys.stdout.flush()
def hear():
    line = sys.stdin.readline()
    if not line:
        raise SystemExit
    return json.loads(line)
def greet(version="2025-06-18", **offers):
    asked = hear()
    say(id=asked["id"], result={"protocolVersion": version, "capabilities": offers,
                                "serverInfo": {"name": "play", "version": "1"}})
    return asked["params"], hear()
"""


def play(tmp_path: Path, script: str) -> Caller:
    """A server that does what the script says; ``play`` is its name."""
    (tmp_path / "play.py").write_text(PLAY + script)
    server = {"command": [sys.executable, str(tmp_path / "play.py")], "cwd": str(tmp_path)}
    made = by_stdio(tmp_path, play=server)
    made.way = {"transport": "stdio", "server": "play"}
    return made


async def test_it_introduces_itself_before_it_asks(tmp_path: Path) -> None:
    ask = play(
        tmp_path,
        "params, note = greet(tools={})\n"
        "asked = hear()\n"
        "json.dump([params, note, asked], open('heard', 'w'))\n"
        "say(id=asked['id'], result={'tools': []})\n",
    )
    assert await ask("list_tools") == {"tools": []}
    params, note, asked = json.loads((tmp_path / "heard").read_text())
    assert params["protocolVersion"] == "2025-11-25"
    assert params["clientInfo"]["name"] == "aipartnerupflow"
    assert (note["method"], "id" in note) == ("notifications/initialized", False)
    assert asked["method"] == "tools/list"


async def test_a_version_that_is_not_spoken_ends_the_talk(tmp_path: Path) -> None:
    ask = play(tmp_path, "greet('1999-01-01', tools={})\nhear()\n")
    found = await ask.refused(operation="list_tools")
    assert found.error.type == "NotUnderstood"
    assert "2025-11-25" in found.error.message


async def test_what_a_server_does_not_offer_is_not_asked_of_it(tmp_path: Path) -> None:
    ask = play(tmp_path, "greet(tools={})\nhear()\n")
    found = await ask.refused(operation="list_prompts")
    assert found.error.message == "the server offers no prompts"


async def test_questions_of_a_server_are_answered_and_chatter_is_passed_over(
    tmp_path: Path,
) -> None:
    ask = play(
        tmp_path,
        "greet(tools={})\n"
        "asked = hear()\n"
        "print('no message at all', flush=True)\n"
        "say(id='p', method='ping')\n"
        "say(id='r', method='roots/list')\n"
        "say(method='notifications/message', params={'level': 'info', 'data': 'x'})\n"
        "pong, none = hear(), hear()\n"
        "json.dump([pong, none], open('heard', 'w'))\n"
        "print(json.dumps([{'jsonrpc': '2.0', 'id': asked['id'], 'result': {'tools': []}}]),\n"
        "      flush=True)\n",
    )
    assert await ask("list_tools") == {"tools": []}
    pong, none = json.loads((tmp_path / "heard").read_text())
    assert (pong["id"], pong["result"]) == ("p", {})
    assert (none["id"], none["error"]["code"]) == ("r", -32601)


async def test_pages_are_put_together_up_to_a_bound(tmp_path: Path) -> None:
    ask = play(
        tmp_path,
        "greet(tools={})\n"
        "while True:\n"
        "    asked = hear()\n"
        "    n = int(asked['params'].get('cursor', 0))\n"
        "    say(id=asked['id'], result={'tools': [{'name': str(n)}], 'nextCursor': str(n + 1)})\n",
    )
    found = await ask.outcome(operation="list_tools")
    assert isinstance(found, Returned)
    result = msgspec.json.decode(found.result)
    assert [tool["name"] for tool in result["result"]["tools"]] == [str(n) for n in range(100)]
    assert result["truncated"] is True


async def test_a_cancel_is_said_first_and_then_the_whole_group_is_ended(tmp_path: Path) -> None:
    ask = play(
        tmp_path,
        "import signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "greet(tools={})\n"
        "asked = hear()\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "open('begun', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename('begun', 'pids')\n"
        "json.dump([asked, hear()], open('heard', 'w'))\n"
        "time.sleep(60)\n",
    )
    asking = ask.outcome(operation="call_tool", tool_name="t", arguments={})
    task = asyncio.create_task(asking)
    await until((tmp_path / "pids").exists)
    task.cancel()
    await asyncio.wait({task})
    asked, said = json.loads((tmp_path / "heard").read_text())
    assert said["method"] == "notifications/cancelled"
    assert said["params"]["requestId"] == asked["id"]
    pids = (tmp_path / "pids").read_text().split()
    await until(lambda: not any(map(lives, pids)))
    assert asked["params"]["_meta"]["aipartnerupflow/idempotency-key"] == "the-key"


async def test_what_it_writes_to_stderr_never_holds_it_up(tmp_path: Path) -> None:
    ask = play(
        tmp_path,
        "sys.stderr.write('x' * 10_000_000 + 'the end')\n"
        "sys.stderr.flush()\n"
        "greet(tools={})\n"
        "hear()\n"
        "raise SystemExit(3)\n",
    )
    found = await ask.refused(operation="list_tools")
    assert found.error.message.startswith("the server ended with 3; it said: xxx")
    assert found.error.message.endswith("the end")
    assert len(found.error.message) < 10_000


@pytest.mark.parametrize("answer", ["result=5", "error=None", "result={}", "result={'tools': 5}"])
async def test_an_answer_that_is_none_is_told(tmp_path: Path, answer: str) -> None:
    ask = play(tmp_path, f"greet(tools={{}})\nsay(id=hear()['id'], {answer})\nhear()\n")
    assert (await ask.refused(operation="list_tools")).error.type == "NotUnderstood"


def lives(pid: str) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_over_standard_streams_no_library_is_needed() -> None:
    script = (
        "import sys\n"
        "from aipartnerupflow.adapters.executors import Registry\n"
        "r = Registry()\n"
        "r.configure({'APFLOW_MCP_SERVERS': {'a': {'command': ['x']}}})\n"
        "r.entry('mcp_executor')\n"
        "print(sorted({'mcp', 'mcp_types', 'httpx', 'httpx2', 'anyio'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    "server",
    [{}, {"command": []}, {"command": "sh -c id"}, {"command": ["a"], "cwd": "here"},
     {"command": ["a"], "shell": True}, {"command": [""]}],
)  # fmt: skip
def test_a_server_of_the_settings_that_makes_no_sense_is_told_at_once(server: Any) -> None:
    with pytest.raises(InvalidInput, match=r"mcp_servers\.odd"):
        Registry().configure({"APFLOW_MCP_SERVERS": {"odd": server}})


# -- over HTTP


async def test_headers_are_sent_with_secrets_for_their_hosts_only(
    far: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLS_KEY", "canary-7f3a9c51")
    monkeypatch.setenv("ELSEWHERE", "canary-elsewhere")
    ask = by_http(far, headers={"X-Api-Key": {"$secret": "TOOLS_KEY"}})
    await ask("list_tools")
    assert json.loads((far[0] / "headers").read_text())["x-api-key"] == "canary-7f3a9c51"
    ask = by_http(far, headers={"X-Api-Key": {"$secret": "ELSEWHERE"}})
    found = await ask.refused(operation="list_tools")
    assert "may not be sent to this host" in found.error.message


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/mcp", "http://[::1]/mcp", "http://169.254.169.254/mcp",
        "http://0177.0.0.2/mcp", "ftp://127.0.0.1/mcp", "http://me:pw@127.0.0.1/mcp",
        "http://127.0.0.1:99999/mcp", "file:///etc/passwd",
    ],
)  # fmt: skip
async def test_a_url_that_may_not_be_reached_is_refused(far: tuple[Path, str], url: str) -> None:
    found = await by_http((far[0], url)).refused(operation="list_tools")
    assert found.error.type == "TargetRefused"
    assert "TransientError" not in found.error.bases


async def test_a_redirect_to_another_place_is_not_followed(tmp_path: Path) -> None:
    with http_target() as target, http_target() as elsewhere:
        for _ in range(5):
            target.will("/mcp", 307, Location=f"{elsewhere.url}/mcp")
        found = await by_http((tmp_path, f"{target.url}/mcp")).refused(operation="list_tools")
    assert target.asked
    assert not elsewhere.asked
    assert found.error.message == (
        "the server answered 307; it redirects: give the address it redirects to"
    )


@pytest.mark.parametrize(
    ("status", "type"), [(401, "Rejected"), (403, "Rejected"), (500, "Rejected")]
)
async def test_a_server_that_does_not_let_one_in_is_told(
    tmp_path: Path, status: int, type: str
) -> None:
    with http_target() as target:
        target.will("/mcp", status, times=5)
        found = await by_http((tmp_path, f"{target.url}/mcp")).refused(operation="list_tools")
    assert found.error.type == type
    assert found.error.message == f"the server answered {status}"
    assert "TransientError" not in found.error.bases


async def test_a_busy_server_is_asked_again_later(tmp_path: Path) -> None:
    with http_target() as target:
        target.will("/mcp", 429, Retry_After="9")
        found = await by_http((tmp_path, f"{target.url}/mcp")).refused(operation="list_tools")
    assert (found.error.type, found.retry_after) == ("Busy", 9)
    assert "TransientError" in found.error.bases
    gone = await by_http((tmp_path, "http://127.0.0.1:9/mcp")).refused(operation="list_tools")
    assert gone.error.message == "no connection to the server"
    assert "TransientError" in gone.error.bases


async def test_a_certificate_that_is_not_trusted_is_told_and_not_tried_again(
    tmp_path: Path,
) -> None:
    served, _ = contexts(tmp_path, "127.0.0.1")
    with receiver(tls=served) as server:
        found = await by_http((tmp_path, f"{server.url}/mcp")).refused(operation="list_tools")
    assert found.error.type == "Untrusted"
    assert found.error.message == "its certificate is not trusted: self-signed certificate"
    assert "TransientError" not in found.error.bases


async def test_a_name_that_is_not_found_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([("127.0.0.1",)])

    async def lost(self: Guard, name: str, port: int) -> tuple[str, ...]:
        for found in looks:
            return found
        raise Unresolved("the name of the target cannot be resolved")

    monkeypatch.setattr(Guard, "_addresses", lost)
    for _ in range(2):
        gone = await by_http((tmp_path, "http://far.test/mcp")).refused(operation="list_tools")
        assert gone.error.message == "the name of the target cannot be resolved"
        assert "TransientError" in gone.error.bases


async def test_what_is_no_server_is_told(tmp_path: Path) -> None:
    with http_target() as target:
        found = await by_http((tmp_path, f"{target.url}/mcp")).refused(operation="list_tools")
    assert "TransientError" not in found.error.bases


class Older:
    """A server as they were before 2026: one greets it, has a session, and takes leave of it."""

    def __init__(self) -> None:
        self.methods: list[str] = []
        self.sessions: list[str | None] = []
        self.called, self.go = threading.Event(), threading.Event()

    def __call__(self, request: Request) -> Reply:
        self.sessions.append(request.headers.get("mcp-session-id"))
        if request.method != "POST":
            return Reply(405)
        asked = json.loads(request.body)
        self.methods.append(asked["method"])
        if "id" not in asked:
            return Reply(202)
        if asked["method"] == "server/discover":
            return self._says(asked, error={"code": -32601, "message": "no such method"})
        if asked["method"] == "initialize":
            result = {
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "older", "version": "1"},
            }  # fmt: skip
            return self._says(asked, result=result)
        if asked["method"] == "tools/list":
            return self._says(asked, result={"tools": []})
        self.called.set()
        self.go.wait(10)
        return self._says(asked, result={"content": [{"type": "text", "text": "done"}]})

    def _says(self, asked: Any, **said: Any) -> Reply:
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **said}).encode()
        headers = {"content-type": "application/json", "mcp-session-id": "s1"}
        return Reply(200, headers, body)


async def test_an_older_server_is_greeted_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older = Older()
    older.go.set()
    with receiver(older) as target:
        ask = by_http((tmp_path, f"{target.url}/mcp"))
        assert (await ask.tool("t"))["content"][0]["text"] == "done"
    at = older.methods.index("initialize")
    assert "tools/call" in older.methods[at:]
    assert older.sessions[-1] == "s1"
    assert not caplog.text


async def test_an_older_server_is_told_of_a_cancel(tmp_path: Path) -> None:
    older = Older()
    with receiver(older) as target:
        ask = by_http((tmp_path, f"{target.url}/mcp"))
        task = asyncio.create_task(ask.outcome(operation="call_tool", tool_name="t"))
        await until(older.called.is_set)
        task.cancel()
        await asyncio.wait({task})
        older.go.set()
    assert task.cancelled()
    assert "notifications/cancelled" in older.methods


def test_over_http_the_extra_is_asked_for(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "sys.modules['mcp'] = sys.modules['httpx2'] = None\n"
        "from aipartnerupflow.adapters.executors.mcp.executor import McpExecutor\n"
        "inputs = {'transport': 'http', 'url': 'http://a.example', 'operation': 'list_tools'}\n"
        "asyncio.run(McpExecutor().execute(inputs))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install 'aipartnerupflow[mcp]'" in done.stderr


# -- what it says of itself


def test_reads_may_be_repeated_and_of_tools_nothing_is_known() -> None:
    operations: Sequence[str] = ("list_tools", "read_resource", "get_prompt", "list_resources")
    assert all(McpExecutor.safe_to_repeat({"operation": each}) for each in operations)
    assert McpExecutor.safe_to_repeat({"operation": "call_tool"}) is None


async def test_for_show_no_server_is_asked() -> None:
    registry = Registry()
    for operation in ("list_tools", "call_tool", "read_resource", "get_prompt"):
        made = call(MCP, {"transport": "stdio", "operation": operation}, demo=True)
        found = await invoke(registry, made, asyncio.to_thread, Shared())
        assert isinstance(found, Returned)
        assert msgspec.json.decode(found.result)["success"]


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    yield
    assert len(asyncio.all_tasks()) == 1
