"""Where no executor goes, however it is asked to, and what it does not start."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import grpc
import pytest
from msgspec import Struct

from aipartnerupflow.adapters.executors import Registry, invoke
from aipartnerupflow.adapters.executors.shared import Shared
from aipartnerupflow.domain.specs import ErrorInfo
from aipartnerupflow.engine.ports import Raised
from tests.adapters.executors.calls import call
from tests.adapters.net.test_guard import REFUSED
from tests.support.receivers import Reply, Request, receiver

SECONDS = 60.0
"""For a whole table."""
PUBLIC = "8.8.8.8"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "grpc_proxy")
KEY = asyncssh.generate_private_key("ssh-ed25519")
TASK = {"id": "a", "name": "wait", "inputs": {"seconds": 1}}

WRONG = {("", "InvalidInput"), ("a@b", "InvalidInput")}
"""What some do not even take for a target."""

Inputs = dict[str, Any]


def _url(scheme: str, host: str, port: int) -> str:
    plain = ":" in host and not host.startswith("[")
    return f"{scheme}://[{host}]:{port}/" if plain else f"{scheme}://{host}:{port}/"


def _rest(host: str, port: int, tls: bool) -> Inputs:
    return {"url": _url("https" if tls else "http", host, port)}


def _websocket(host: str, port: int, tls: bool) -> Inputs:
    return {"url": _url("wss" if tls else "ws", host, port), "message": "a"}


def _grpc(host: str, port: int, tls: bool) -> Inputs:
    plain = ":" in host and not host.startswith("[")
    server = f"[{host}]:{port}" if plain else f"{host}:{port}"
    return {"server": server, "service": "a.B", "method": "C", "tls": tls}


def _ssh(host: str, port: int, tls: bool) -> Inputs:
    return {
        "host": host, "port": port, "username": "me", "key_file": os.path.abspath("key"),
        "command": "id", "host_key": KEY.export_public_key().decode(),
    }  # fmt: skip


def _mcp(host: str, port: int, tls: bool) -> Inputs:
    return {
        "transport": "http", "url": _url("https" if tls else "http", host, port),
        "operation": "list_tools",
    }  # fmt: skip


def _apflow(host: str, port: int, tls: bool) -> Inputs:
    return {"base_url": _url("https" if tls else "http", host, port), "tasks": [TASK]}


CALLS: dict[str, Callable[[str, int, bool], Inputs]] = {
    "rest_executor": _rest, "websocket_executor": _websocket, "grpc_executor": _grpc,
    "ssh_executor": _ssh, "mcp_executor": _mcp, "apflow_api_executor": _apflow,
}  # fmt: skip
"""Every executor that opens a connection at a task's word."""


class World(Struct):
    """What this process asked of the world. Connections are refused but to ``open``."""

    answers: dict[str, list[list[str]]] = {}
    asked: list[str] = []
    connected: list[Any] = []
    started: list[Any] = []
    open: list[Any] = []
    watching: bool = False

    def resolve(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """In turn, as a hostile name server would; what nobody knows is this machine."""
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.asked.append(name)
        rounds = self.answers.get(name, [["127.0.0.1"]])
        found = rounds.pop(0) if len(rounds) > 1 else rounds[0]
        family = (socket.AF_INET, socket.AF_INET6)
        return [
            (family[":" in each], socket.SOCK_STREAM, 6, "", (each, port or 0)) for each in found
        ]

    def hear(self, event: str, args: Any) -> None:
        """Of every connection and every program."""
        if not self.watching:
            return
        if event in ("os.posix_spawn", "subprocess.Popen", "os.system"):
            self.started.append(args[0])
        if event == "socket.connect":
            self.connected.append(args[1])
            if tuple(args[1][:2]) not in self.open:
                raise ConnectionRefusedError

    def channel(self, place: str, *args: Any, **kwargs: Any) -> Any:
        """Of gRPC, whose library connects by itself."""
        self.connected.append(place)
        raise ConnectionRefusedError


WORLD = World()
sys.addaudithook(WORLD.hear)  # there is no way to take one away again


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    for name in PROXIES:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", WORLD.resolve)
    monkeypatch.setattr(grpc.aio, "insecure_channel", WORLD.channel)
    monkeypatch.setattr(grpc.aio, "secure_channel", WORLD.channel)
    for kept in (WORLD.asked, WORLD.connected, WORLD.started, WORLD.open):
        kept.clear()
    WORLD.answers.clear()
    WORLD.watching = True
    yield WORLD
    WORLD.watching = False


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Of one name the operator says that it may be reached though it leads to this machine."""
    monkeypatch.chdir(tmp_path)
    KEY.write_private_key("key")
    found = Registry(installed=list)
    found.configure(
        {
            "APFLOW_PRIVATE_TARGETS": ("inside.example",), "APFLOW_SSH_KEY_ROOTS": (str(tmp_path),),
            "APFLOW_COMMAND_ENABLED": True, "APFLOW_COMMAND_ALLOW": [["ls"], ["echo", "*"]],
        }
    )  # fmt: skip
    return found


class Ask:
    """Calls as tasks of one engine do, and expects to be refused."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.shared = Shared()

    async def __call__(self, executor: str, inputs: Inputs) -> ErrorInfo:
        found = await invoke(self.registry, call(executor, inputs), asyncio.to_thread, self.shared)
        assert isinstance(found, Raised), (executor, inputs, found)
        assert isinstance(found.error, ErrorInfo)
        return found.error


@pytest.fixture
async def ask(registry: Registry, world: World) -> AsyncIterator[Ask]:
    made = Ask(registry)
    yield made
    await made.shared.close()


@pytest.mark.parametrize("executor", CALLS)
async def test_no_executor_reaches_what_is_not_public(
    executor: str, ask: Ask, world: World
) -> None:
    """The table of the guard, through each of them, with TLS and without."""
    assert len(REFUSED) > 60
    reached = {}
    async with asyncio.timeout(SECONDS):
        for host in REFUSED:
            for tls in (True, False):
                error = await ask(executor, CALLS[executor](host, 443, tls))
                if error.type != "TargetRefused" and (host, error.type) not in WRONG:
                    reached[host] = error
    assert reached == {}
    assert world.connected == []


@pytest.mark.parametrize("executor", CALLS)
@pytest.mark.parametrize("bad", ["127.0.0.1", "10.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%2"])
async def test_no_name_leads_there(executor: str, bad: str, ask: Ask, world: World) -> None:
    """Nor one that has a public address as well."""
    world.answers["evil.example"] = [[bad], [PUBLIC, bad], [bad, PUBLIC]]
    for _ in range(3):
        error = await ask(executor, CALLS[executor]("evil.example", 443, True))
        assert error.type == "TargetRefused"
    assert world.asked == ["evil.example"] * 3
    assert world.connected == []


@pytest.mark.parametrize("executor", CALLS)
async def test_a_name_that_changes_after_it_was_judged_gains_nothing(
    executor: str, ask: Ask, world: World
) -> None:
    """Whatever is connected to is what was judged: no second answer, and no proxy either."""
    for times in (1, 2):
        world.answers["evil.example"] = [*([PUBLIC] for _ in range(times)), ["127.0.0.1"]]
        async with asyncio.timeout(SECONDS):
            await ask(executor, CALLS[executor]("evil.example", 443, True))
    assert {_host(place) for place in world.connected} == {PUBLIC}


def _host(place: Any) -> str:
    return place.split(":")[1] if isinstance(place, str) else str(place[0])


def _answer(reply: Reply, request: Request) -> Reply:
    return reply


@pytest.mark.parametrize(
    ("executor", "step"),
    [("rest_executor", 1), ("websocket_executor", 5), ("mcp_executor", 5),
     ("apflow_api_executor", 5)],
)  # fmt: skip
async def test_no_redirect_leads_there(executor: str, step: int, ask: Ask, world: World) -> None:
    """From a server that may be reached to places that may not; all of them for who follows any."""
    hosts = [host for host in REFUSED if host.isprintable()][::step]
    with receiver() as server:
        world.open.append(("127.0.0.1", server.port))
        inputs = CALLS[executor]("inside.example", server.port, False)
        async with asyncio.timeout(SECONDS):
            for host in hosts:
                leads = Reply(307, {"Location": _url("http", host, server.port)})
                server.answer = partial(_answer, leads)
                await ask(executor, inputs)
        assert len(server.requests) >= len(hosts)
        assert {request.headers["host"] for request in server.requests} == {
            f"inside.example:{server.port}"
        }
    assert {tuple(place[:2]) for place in world.connected} == set(world.open)


@pytest.mark.parametrize(
    "command",
    [
        "ls; id", "ls;id", "ls && id", "ls | id", "ls & id", "ls\nid", "ls\r\nid", "$(id)", "`id`",
        "ls $(id)", "ls `id`", "ls > x", "ls -l", "lsx", "ls.sh", "./ls", "/bin/ls", "ls/../id",
        "echo a b", "echo a\nid b", "echoes a", "sh -c ls", "env ls", "LS", "l", "id",
        ["ls", ";", "id"], ["ls; id"], ["ls\n"], ["ls\nid"], ["ls "], [" ls"], ["echo"],
        ["echo", "a", "; id"], ["sh", "-c", "echo a"], ["$(id)"], ["*"], ["..."],
    ],
)  # fmt: skip
async def test_no_command_is_run_but_those_on_the_list(
    command: Any, ask: Ask, world: World
) -> None:
    error = await ask("command_executor", {"command": command})
    assert error.type == "ExecutorDisabled"
    assert world.started == []


@pytest.mark.parametrize("given", ["command", "args", "argv", "program", "env", "cwd", "shell"])
@pytest.mark.parametrize("more", [{}, {"server": "near"}, {"transport": "http", "url": "http://a"}])
async def test_no_task_brings_a_program_for_mcp(
    given: str, more: Inputs, ask: Ask, world: World
) -> None:
    """It names a server of the operator's, or none."""
    if given == "env":
        value: Any = {"A": "b"}
    else:
        value = [sys.executable, "-c", "print(1)"] if given in ("command", "argv") else "sh"
    inputs = {"transport": "stdio", "operation": "list_tools", given: value, **more}
    await ask("mcp_executor", inputs)
    assert (world.started, world.connected) == ([], [])
