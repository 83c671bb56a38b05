"""HTTP/1.1 in few instructions, so that the load costs little beside what is measured."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any


class Wire:
    """One connection that is kept."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._place = (host, port)
        self._head = f"Host: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(
        self, method: str, path: str, body: bytes = b"", headers: str = ""
    ) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        reader, writer = await self._connected()
        kind = "Content-Type: application/json\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._head}{kind}{headers}"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        at = answer.lower().index(b"content-length:") + 15
        size = int(answer[at : answer.index(b"\r", at)])
        return status, await reader.readexactly(size)

    async def events(self, path: str) -> AsyncIterator[bytes]:
        """The data of server-sent events, as the bytes of their JSON."""
        reader, writer = await self._connected()
        writer.write(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if head[9:12] != b"200":
            raise SystemExit(f"a stream was refused: {head[:200]!r}")
        while line := await reader.readline():
            if line.startswith(b"data: "):
                yield line[6:]

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place, limit=1 << 22)
        return self._streams

    def close(self) -> None:
        """Without ceremony."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


def ten(prefix: str = "") -> bytes:
    """A tree of ten tasks: three chains of three below a group."""
    tasks: list[dict[str, Any]] = [{"key": "all", "name": "all"}]
    for chain in range(3):
        for n in range(3):
            task: dict[str, Any] = {"key": f"{chain}.{n}", "name": "noop", "parent_id": "all"}
            if n:
                task["dependencies"] = [f"{chain}.{n - 1}"]
            tasks.append(task)
    return json.dumps(tasks).encode()


ONE = json.dumps([{"key": "one", "name": "noop"}]).encode()
