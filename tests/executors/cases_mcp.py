"""`mcp_executor` and servers on the official SDK, over both transports."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support import mcp_target
from tests.support.executor_cases import Case, Inputs
from tests.support.mcp_target import http_server


class _McpCase(Case):
    executor = "mcp_executor"

    def _call(self, tool: str, **arguments: Any) -> Inputs:
        named = {"operation": "call_tool", "tool_name": tool, "arguments": arguments}
        return {**self._way(), **named}

    def _way(self) -> Inputs:
        raise NotImplementedError

    def works(self) -> Inputs:
        return self._call("add", a=40, b=2)

    def shows(self, result: Any) -> None:
        assert result["result"]["structuredContent"] == {"total": 42}
        assert result["transport"] == self._way()["transport"]

    def fails(self) -> Inputs:
        return self._call("breaks")

    def hangs(self) -> Inputs:
        return {**self._call("hang"), "timeout": 120}

    def running(self) -> int:
        return mcp_target.running(self.folder)

    def begun(self) -> int:
        return len(mcp_target.begun(self.folder))

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def leaks(self) -> Inputs:
        return self._call("echo", text={"$secret": "CANARY"})

    def floods(self) -> Inputs:
        return {**self._call("big", size=11 << 20), "timeout": 60}


class McpStdioCase(_McpCase):
    label = "mcp_executor over stdio"

    def settings(self) -> dict[str, Any]:
        commands = {"far": mcp_target.command(self.folder), "quick": mcp_target.quick(self.folder)}
        return {"mcp_servers": {name: {"command": argv} for name, argv in commands.items()}}

    def _way(self) -> Inputs:
        return {"transport": "stdio", "server": "far"}

    def hangs(self) -> Inputs:
        return {**super().hangs(), "server": "quick"}

    def wrong(self) -> Sequence[Inputs]:
        hang = self.hangs()
        bare = {name: value for name, value in hang.items() if name != "server"}
        return [
            {}, bare, {**bare, "command": mcp_target.command(self.folder)},
            {**hang, "command": ["sh"]}, {**hang, "env": {"A": "b"}}, {**hang, "server": "near"},
            {**hang, "server": 5}, {**hang, "operation": "ask"}, {**hang, "tool_name": ""},
            {**hang, "arguments": []}, {**hang, "timeout": 0}, {**hang, "url": "http://a.example"},
        ]  # fmt: skip

    def flaky(self) -> Inputs:
        (self.folder / "dies").touch()
        return {**self._way(), "operation": "list_tools"}


class McpHttpCase(_McpCase):
    label = "mcp_executor over http"
    secret_hosts = ("127.0.0.1",)
    url: str

    @contextmanager
    def open(self) -> Iterator[None]:
        with http_server(self.folder) as self.url:
            yield

    def settings(self) -> dict[str, Any]:
        return {"private_targets": ["127.0.0.1"]}

    def _way(self) -> Inputs:
        return {"transport": "http", "url": self.url}

    def wrong(self) -> Sequence[Inputs]:
        hang = self.hangs()
        return [
            {**hang, "url": 5}, {**hang, "url": "http://10.0.0.1/mcp"}, {**hang, "url": "ftp://a/"},
            {**hang, "url": self.url.replace("//", "//me:pw@")}, {**hang, "server": "far"},
            {**hang, "headers": {"Host": "other.example"}}, {**hang, "headers": {"A b": "c"}},
            {**hang, "command": ["sh"]}, {**hang, "transport": "pigeon"},
        ]  # fmt: skip

    def flaky(self) -> Inputs:
        (self.folder / "busy").touch()
        return {**self._way(), "operation": "list_tools"}
