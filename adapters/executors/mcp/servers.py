"""MCP servers that the operator names: programs of this machine, started for a task at its word.

    [mcp_servers.files]
    command = ["/usr/bin/npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv/files"]
    env = { LOG = "quiet" }
    cwd = "/srv"

A task says ``"server": "files"``; it can neither give a command nor change this one.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from ....domain.errors import ExecutorDisabled, InvalidInput

SERVERS: Final = "APFLOW_MCP_SERVERS"
DEFAULT_FOLDER: Final = "/"


class McpServer(Struct, frozen=True, forbid_unknown_fields=True):
    """``command`` is a program and its arguments, ``env`` what it gets beside the usual."""

    command: tuple[str, ...]
    env: dict[str, str] = {}
    cwd: str = DEFAULT_FOLDER


class McpServers:
    """Those in the settings. Raises `InvalidInput` for one that makes no sense."""

    def __init__(self, listed: Mapping[str, Any] | None = None) -> None:
        self._servers: dict[str, McpServer] = {}
        for name, said in (listed or {}).items():
            try:
                server = msgspec.convert(said, McpServer)
            except msgspec.ValidationError as error:
                raise InvalidInput(f"[mcp_servers.{name}] is not usable: {error}") from error
            if not server.command or not server.command[0]:
                raise InvalidInput(f"[mcp_servers.{name}]: command names a program")
            if not os.path.isabs(server.cwd):
                raise InvalidInput(f"[mcp_servers.{name}]: cwd is an absolute path")
            self._servers[name] = server

    def get(self, name: Any) -> McpServer:
        """Raises `ExecutorDisabled` where the operator has named none so."""
        server = self._servers.get(name) if isinstance(name, str) else None
        if server is None:
            raise ExecutorDisabled(
                "the operator has named no such MCP server. They list it as [mcp_servers.NAME] in "
                "their settings, with a `command`; a task says `server`."
            )
        return server
