"""An MCP server on the official SDK, as a program: ``mcp_server.py stdio|http FOLDER``.

What it does can be seen in the folder: ``begun-…`` and ``ended-…`` for each call of `hang`, which
waits for ``go``; over HTTP ``port`` when it listens, ``headers`` of the last request; and while
there is a ``busy`` the next request is answered by 503.
"""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

FOLDER = Path(sys.argv[2])
mcp = MCPServer("far", version="1")


class Sum(BaseModel):
    total: int


@mcp.tool()
def add(a: int, b: int) -> Sum:
    """Adds two numbers."""
    return Sum(total=a + b)


@mcp.tool()
def echo(text: str) -> str:
    """Says it again."""
    sys.stderr.write("a word on stderr\n")
    return f"you said {text}"


@mcp.tool()
def environment(name: str) -> str:
    """A variable of its environment."""
    return os.environ.get(name, "")


@mcp.tool()
def breaks() -> str:
    """Fails in a way that its caller may know of."""
    raise ToolError("out of paper")


@mcp.tool()
def big(size: int) -> str:
    """Says much."""
    return "x" * size


@mcp.tool()
async def count(upto: int, ctx: Context[Any, Any]) -> int:
    """Tells how far it is."""
    for n in range(1, upto + 1):
        await ctx.report_progress(n, upto, f"at {n}")
    return upto


@mcp.tool()
async def hang() -> str:
    """Waits until it may go."""
    id = f"{os.getpid()}-{uuid4().hex}"
    (FOLDER / f"begun-{id}").touch()
    try:
        for _ in range(6_000):
            if (FOLDER / "go").exists():
                return "went"
            await asyncio.sleep(0.01)
        return "tired"
    finally:
        (FOLDER / f"ended-{id}").touch()


@mcp.resource("memo://today", name="today", mime_type="text/plain")
def today() -> str:
    """What is on today."""
    return "buy ink"


@mcp.prompt()
def greet(who: str) -> str:
    """A greeting."""
    return f"Greet {who}."


class Front:
    """Before the server: it may be busy, and notes what it is asked."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            (FOLDER / "headers").write_text(json.dumps(headers))
            if (FOLDER / "busy").exists():
                (FOLDER / "busy").unlink()
                head = [(b"retry-after", b"0"), (b"content-length", b"0")]
                await send({"type": "http.response.start", "status": 503, "headers": head})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)


async def listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(Front(mcp.streamable_http_app()), log_level="warning")
        port = FOLDER / "port.new"
        port.write_text(str(listening.getsockname()[1]))
        port.rename(FOLDER / "port")
        await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    if sys.argv[1] == "http":
        asyncio.run(listen())
    elif (FOLDER / "dies").exists():
        (FOLDER / "dies").unlink()
        sys.exit("no ink")
    else:
        mcp.run()
