"""A container engine that contains nothing: its API on a unix socket, as far as it is asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Program = Callable[["Container"], Awaitable[int]]


class Container:
    """What was asked for, and what is shown of it."""

    def __init__(self, name: str, number: int, spec: dict[str, Any]) -> None:
        self.name, self.spec = name, spec
        self.id = f"{number:064x}"
        self.state = "created"
        self.code = 0
        self.frames: list[bytes] = []
        self.oom = False
        self.changed = asyncio.Condition()
        self.work: asyncio.Task[None] | None = None

    async def write(self, text: str | bytes, stream: int = 1) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.frames.append(bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data)
        async with self.changed:
            self.changed.notify_all()

    async def end(self, code: int) -> None:
        self.state, self.code = "exited", code
        async with self.changed:
            self.changed.notify_all()

    async def ended(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.state == "exited")


class FakeEngine:
    """``program`` is what each container does; its result is the exit code.

    ``asked`` holds each request as ``METHOD /path``. ``fail`` lets the next requests whose line
    begins so fail. ``slice`` is how many bytes of a log are sent at once; after ``cut_after`` bytes
    the connection of the next log is cut.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images = {"test:busybox"}
        self.registry = {"busybox:latest", "registry.example.com/app:1"}
        self.containers: dict[str, Container] = {}
        self.made: list[Container] = []
        self.asked: list[str] = []
        self.failures: list[tuple[str, int, str]] = []
        self.slice = 1 << 16
        self.cut_after: int | None = None
        self.delay: dict[str, float] = {}
        self.program: Program = self._at_once
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @staticmethod
    async def _at_once(container: Container) -> int:
        await container.write("42\n")
        return 0

    def fail(self, line: str, status: int, message: str, times: int = 1) -> None:
        self.failures += [(line, status, message)] * times

    @property
    def running(self) -> int:
        return sum(each.state == "running" for each in self.containers.values())

    def cut(self) -> None:
        """Break off every answer that is under way."""
        for writer in self._open:
            writer.transport.abort()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeEngine"]:
        server = await asyncio.start_unix_server(self._serve, str(self.path))
        try:
            yield self
        finally:
            server.close()
            for each in self.made:
                if each.work is not None:
                    each.work.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._one(reader, writer)
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        length = next(
            (int(line.split(":")[1]) for line in head.lower().split("\r\n")
             if line.startswith("content-length")), 0,
        )  # fmt: skip
        body = await reader.readexactly(length)
        url = urlsplit(target)
        line = f"{method} {unquote(url.path)}"
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked.append(line)
        for failure in self.failures:
            if line.startswith(failure[0]):
                self.failures.remove(failure)
                _answer(writer, failure[1], {"message": failure[2]})
                return
        for start, seconds in self.delay.items():
            if line.startswith(start):
                await asyncio.sleep(seconds)
        await self._do(line, query, json.loads(body) if body else None, writer)
        await writer.drain()

    async def _do(
        self, line: str, query: dict[str, str], body: Any, writer: asyncio.StreamWriter
    ) -> None:
        method, path = line.split(" ")
        if path.startswith("/images/"):
            self._image(path, query, writer)
        elif path == "/containers/create":
            self._create(query["name"], body, writer)
        elif path == "/containers/json":
            self._list(query, writer)
        else:
            name, _, verb = path.removeprefix("/containers/").partition("/")
            found = self.containers.get(name) or next(
                (each for each in self.containers.values() if each.id == name), None
            )
            if found is None:
                _answer(writer, 404, {"message": f"No such container: {name}"})
            else:
                await self._container(found, method, verb, writer)

    def _image(self, path: str, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        if path == "/images/create":
            tag = f":{query['tag']}" if "tag" in query else ""
            image = query["fromImage"] + tag
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b'{"status":"Pulling"}\r\n')
            if image in self.registry:
                self.images |= {image, image.removesuffix(":latest")}
                writer.write(b'{"status":"Done"}\r\n')
            else:
                writer.write(b'{"error":"manifest unknown: secret-name"}\r\n')
        elif path.removeprefix("/images/").removesuffix("/json") in self.images:
            _answer(writer, 200, {"Id": "sha256:1"})
        else:
            _answer(writer, 404, {"message": "no such image"})

    def _create(self, name: str, spec: Any, writer: asyncio.StreamWriter) -> None:
        if spec["Image"] not in self.images:
            _answer(writer, 404, {"message": f"No such image: {spec['Image']}"})
        elif name in self.containers:
            _answer(writer, 409, {"message": f"The name {name} is already in use"})
        else:
            made = Container(name, len(self.made) + 1, spec)
            self.made.append(made)
            self.containers[name] = made
            _answer(writer, 201, {"Id": made.id, "Warnings": []})

    def _list(self, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        wanted = json.loads(query["filters"])["label"]
        found = [
            {"Id": each.id, "State": each.state}
            for each in self.containers.values()
            if set(wanted) <= {f"{k}={v}" for k, v in each.spec["Labels"].items()}
        ]
        _answer(writer, 200, found)

    async def _container(
        self, found: Container, method: str, verb: str, writer: asyncio.StreamWriter
    ) -> None:
        match method, verb:
            case "POST", "start":
                found.state = "running"
                found.work = asyncio.ensure_future(self._run(found))
                _answer(writer, 204, None)
            case "GET", "logs":
                await self._logs(found, writer)
            case "POST", "wait":
                await found.ended()
                _answer(writer, 200, {"StatusCode": found.code})
            case "GET", "json":
                state = {"Status": found.state, "ExitCode": found.code, "OOMKilled": found.oom}
                _answer(writer, 200, {"Id": found.id, "State": state})
            case "POST", "kill":
                await self._kill(found)
                _answer(writer, 204, None)
            case "DELETE", "":
                await self._kill(found)
                self.containers.pop(found.name, None)
                _answer(writer, 204, None)
            case _:
                _answer(writer, 500, {"message": "not in this fake"})

    async def _run(self, container: Container) -> None:
        code = await self.program(container)
        await container.end(code)

    async def _kill(self, container: Container) -> None:
        if container.state == "running" and container.work is not None:
            container.work.cancel()
            await container.end(137)

    async def _logs(self, found: Container, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = n = 0
        while True:
            while n < len(found.frames):
                frame, n = found.frames[n], n + 1
                for at in range(0, len(frame), self.slice):
                    piece = frame[at : at + self.slice]
                    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                    await writer.drain()
                    sent += len(piece)
                    if self.cut_after is not None and sent >= self.cut_after:
                        self.cut_after = None
                        await asyncio.sleep(0.05)  # what was sent is read first
                        writer.transport.abort()
                        raise ConnectionError
            if found.state == "exited" and n == len(found.frames):
                writer.write(b"0\r\n\r\n")
                return
            async with found.changed:
                if n == len(found.frames) and found.state != "exited":
                    await found.changed.wait()


def _answer(writer: asyncio.StreamWriter, status: int, body: Any) -> None:
    content = b"" if body is None else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} As Asked\r\nConnection: close\r\n"
    if status != 204:
        head += f"Content-Length: {len(content)}\r\n"
    writer.write(head.encode() + b"\r\n" + content)
