"""Tools, resources and prompts of MCP servers."""

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from ....domain.errors import InvalidInput
from ...net.guard import Guard
from ...net.trust import CA_FILE, trusting
from ..base import BaseTask, Inputs
from ..command.executor import environment
from ..configured import with_attributes
from ..http_rules import check_headers, in_clear, port_of, split
from ..loading import load
from ..secrets import MIN_LENGTH, require_for
from .operations import READS, Operation, ServerGone, ServerRefused, operation_of, refused, shaped
from .schemas import DEFAULT_TIMEOUT, INPUTS, MAX_TIMEOUT, OUTPUTS, TRANSPORTS
from .servers import SERVERS, McpServer, McpServers
from .stdio import session

HTTP: Final = ".mcp.http:perform"
OF_STDIO: Final = ("server",)
OF_HTTP: Final = ("url", "headers")
OF_NOBODY: Final = ("command", "args", "env", "cwd")
_SECRET: Final = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL", re.IGNORECASE)


class McpExecutor(BaseTask):
    """Asks an MCP server for one thing.

    With ``stdio`` the server is a program that the operator names in the settings; with ``http``
    it stands anywhere that may be reached, and the extra ``mcp`` is needed.
    """

    id = "mcp_executor"
    name = "MCP"
    description = "Calls tools of an MCP server, reads its resources, gets its prompts"
    tags = ("mcp",)
    cancelable = True
    examples = (
        {
            "transport": "stdio", "server": "files", "operation": "call_tool",
            "tool_name": "read_file", "arguments": {"path": "notes.txt"},
        },
        {
            "transport": "http", "url": "https://tools.example.com/mcp",
            "headers": {"X-Api-Key": {"$secret": "TOOLS_KEY"}}, "operation": "list_tools",
        },
    )  # fmt: skip
    inputs_schema = INPUTS
    outputs_schema = OUTPUTS
    by_name: ClassVar[bool] = False

    guard: ClassVar[Guard] = Guard()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.servers = McpServers()
        self.judge = self.guard
        self.ca_file: Path | str | None = None

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Callable[..., "McpExecutor"]:
        """A factory whose executors know the operator's servers, and reach what is allowed."""
        servers = McpServers(settings.get(SERVERS))
        guard = Guard(settings.get("APFLOW_PRIVATE_TARGETS", ()))
        ca_file = settings.get(CA_FILE)
        trusting(ca_file)  # a wrong one is told at once
        return with_attributes(cls, servers=servers, judge=guard, ca_file=ca_file)

    @classmethod
    def safe_to_repeat(cls, inputs: Inputs) -> bool | None:
        """Of a tool nothing is known; all else only reads."""
        return True if inputs.get("operation") in READS else None

    def get_demo_result(self, task: Any, inputs: Inputs) -> dict[str, Any]:
        """As a friendly server might answer."""
        operation = operation_of({**_NAMES, **inputs}, "demo")
        answer: dict[str, Any] = {name: [] for name in operation.keeps if name.endswith("s")}
        if operation.name == "call_tool":
            answer = {"content": [{"type": "text", "text": "done"}], "isError": False}
        return shaped(operation, str(inputs.get("transport", "stdio")), answer)

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """``{success, operation, transport, result}``; see `OUTPUTS`."""
        transport = _transport(inputs)
        seconds = _timeout(inputs)
        operation = operation_of(inputs, self.context.idempotency_key)
        try:
            async with asyncio.timeout(seconds):
                if transport == "stdio":
                    answer = await self._by_stdio(self.servers.get(inputs.get("server")), operation)
                else:
                    answer = await self._by_http(inputs, operation)
        except ServerRefused as error:
            return refused(operation, transport, error)
        except TimeoutError as error:
            raise ServerGone(f"the server did not answer within {seconds:g} s") from error
        return shaped(operation, transport, answer)

    async def _by_stdio(self, server: McpServer, operation: Operation) -> dict[str, Any]:
        for name, value in server.env.items():
            if _SECRET.search(name) and len(value) >= MIN_LENGTH:
                self.context.conceal(value)
        env = environment(os.environ) | server.env
        try:
            async with session(server.command, env, server.cwd, self.context) as opened:
                return await opened.perform(operation)
        except OSError as error:
            raise InvalidInput(
                f"the server cannot be started: {error.strerror}. The operator mends its "
                "[mcp_servers] in the settings."
            ) from error

    async def _by_http(self, inputs: Inputs, operation: Operation) -> dict[str, Any]:
        try:
            perform = load(HTTP)
        except ModuleNotFoundError as error:
            raise InvalidInput(
                f"mcp_executor over http needs {error.name}: pip install 'aipartnerupflow[mcp]'"
            ) from error
        url = inputs.get("url")
        if not isinstance(url, str) or not url:
            raise InvalidInput("transport http needs url")
        parts = split(url)
        require_for(parts.hostname or "", [inputs], port_of(parts))
        headers = _headers(inputs)
        check_headers(headers)
        answer: dict[str, Any] = await perform(
            url, headers, operation, self.judge, self.context,
            private_only=in_clear(parts, [inputs]), ca_file=self.ca_file,
        )  # fmt: skip
        return answer


_NAMES: Final = {
    "operation": "list_tools", "tool_name": "demo", "prompt_name": "demo", "resource_uri": "demo:",
}  # fmt: skip


def _transport(inputs: Inputs) -> str:
    transport = inputs.get("transport")
    if transport not in TRANSPORTS:
        raise InvalidInput(f"transport is one of {', '.join(TRANSPORTS)}")
    foreign = OF_HTTP if transport == "stdio" else OF_STDIO
    for name in (*OF_NOBODY, *foreign):
        if inputs.get(name) is None:
            continue
        if name in OF_NOBODY:
            raise InvalidInput(
                f"{name} is not for a task to give: it says `server`, the name of one that the "
                "operator lists as [mcp_servers.NAME] in the settings"
            )
        raise InvalidInput(f"{name} does not go with transport {transport}")
    return str(transport)


def _headers(inputs: Inputs) -> dict[str, str]:
    return {str(name): str(value) for name, value in (inputs.get("headers") or {}).items()}


def _timeout(inputs: Inputs) -> float:
    value = inputs.get("timeout", DEFAULT_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput("timeout is a number of seconds")
    if not 0 < value <= MAX_TIMEOUT:
        raise InvalidInput(f"timeout is a number of seconds above 0, at most {MAX_TIMEOUT:g}")
    return float(value)
