"""The Docker engine, by its API on a unix socket. No other program and no library of theirs."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final
from urllib.parse import quote

import httpx

from ....domain.errors import ApflowError
from ..errors import TransientError
from .policy import PREFIX

ANSWER: Final = 60.0
"""Seconds for an answer that needs no waiting."""
PULL: Final = 900.0
"""Seconds without a sign of life while an image is fetched."""
_HEADER: Final = 8
"""Bytes before each piece of a log: the stream, three zeros, and the length."""


class EngineAway(TransientError):
    """The engine does not answer, or broke off. It may do later."""


class EngineRefused(ApflowError):
    """The engine does not do it."""

    transient: ClassVar[bool] = False

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


_REASONS: Final = (
    ("executable file not found", "the image has no such program"),
    ("no such file or directory", "the image has no such program, or the machine no such file"),
    ("permission denied", "the program in the image may not be run"),
    ("no such image", "the image is not there, and `pull` says not to fetch it"),
    ("pull access denied", "the image does not exist, or its registry wants a login"),
    ("manifest unknown", "the registry has no such image"),
    ("not found", "something that is named is not there"),
    ("no space left", "the engine's disk is full"),
    ("no such host", "the registry of the image cannot be found"),
    ("already in use", "there is a container of this very attempt already"),
)
"""By what the engine says, which repeats inputs."""


class Engine:
    """One engine. Belongs to one loop; `close` it. Raises `EngineAway` and `EngineRefused`."""

    def __init__(self, socket: str) -> None:
        self._away = (
            f"the container engine does not answer at {socket} ({PREFIX}SOCKET), or broke off"
        )
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=socket, limits=httpx.Limits(max_connections=None, max_keepalive_connections=20)
            ),
            base_url="http://docker", trust_env=False,
        )  # fmt: skip

    async def close(self) -> None:
        """End its connections."""
        await self._client.aclose()

    async def has_image(self, image: str) -> bool:
        """Whether it need not be fetched."""
        return await self._look(f"/images/{quote(image, safe='/:@')}/json") is not None

    async def pull(self, image: str) -> None:
        """Fetch an image."""
        params = {"fromImage": image}
        if "@" not in image and ":" not in image.rpartition("/")[2]:
            params["tag"] = "latest"  # else every tag that there is
        async with self._stream("POST", "/images/create", params, PULL) as response:
            last: dict[str, Any] = {}
            async for line in response.aiter_lines():
                last = _decoded(line) or last
                if "error" in last:
                    raise EngineRefused(_reason(str(last["error"]), "the image cannot be fetched"))

    async def create(self, name: str, spec: Mapping[str, Any]) -> str:
        """Make a container; gives its id."""
        made = await self._call("POST", "/containers/create", {"name": name}, spec)
        return str(made["Id"])

    async def start(self, name: str) -> None:
        """Start it; nothing where it runs."""
        await self._call("POST", f"/containers/{name}/start")

    async def inspect(self, name: str) -> dict[str, Any] | None:
        """All that is known of a container; None where there is none."""
        return await self._look(f"/containers/{name}/json")

    async def find(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Containers with these labels, running or not."""
        wanted = {"label": [f"{name}={value}" for name, value in labels.items()]}
        params = {"all": "1", "filters": json.dumps(wanted)}
        found = await self._call("GET", "/containers/json", params)
        if not isinstance(found, list):
            raise EngineAway("the container engine gives no list")
        return found

    async def logs(self, name: str) -> AsyncGenerator[bytes, None]:
        """What it has written and writes, to its end, in pieces of any length."""
        params = {"follow": "1", "stdout": "1", "stderr": "1"}
        async with self._stream("GET", f"/containers/{name}/logs", params, None) as response:
            frames = Frames()
            async for chunk in response.aiter_bytes():
                for piece in frames.feed(chunk):
                    yield piece

    async def wait(self, name: str) -> None:
        """Return once it does not run."""
        await self._call("POST", f"/containers/{name}/wait", seconds=None)

    async def kill(self, name: str) -> None:
        """End it; nothing where it does not run."""
        await self._call("POST", f"/containers/{name}/kill", fine=(404, 409))

    async def remove(self, name: str) -> None:
        """End it and drop it, with its nameless volumes; nothing where there is none."""
        params = {"force": "1", "v": "1"}
        await self._call("DELETE", f"/containers/{name}", params, fine=(404, 409))

    async def _look(self, path: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self._call("GET", path, fine=(404,))
        return found

    async def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        fine: tuple[int, ...] = (),
        seconds: float | None = ANSWER,
    ) -> Any:
        """The decoded answer; None where its status is among ``fine``, or it is empty."""
        timeout = httpx.Timeout(ANSWER, read=seconds)
        try:
            answer = await self._client.request(
                method, path, params=params, json=body, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise EngineAway(self._away) from error
        if answer.status_code in fine:
            return None
        _check(answer.status_code, answer.content)
        return _decoded(answer.content) if answer.content else None

    @asynccontextmanager
    async def _stream(
        self, method: str, path: str, params: Mapping[str, str], seconds: float | None
    ) -> AsyncIterator[httpx.Response]:
        timeout = httpx.Timeout(ANSWER, read=seconds)
        try:
            async with self._client.stream(
                method, path, params=params, timeout=timeout
            ) as response:
                if response.status_code >= 300:
                    _check(response.status_code, await response.aread())
                yield response
        except httpx.HTTPError as error:
            raise EngineAway(self._away) from error


class Frames:
    """Takes a log apart: a header of eight bytes before each piece, wherever the chunks end."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """What was written, out of the next bytes of the log."""
        pieces = []
        while chunk:
            if self._left:
                pieces.append(chunk[: self._left])
                chunk = chunk[self._left :]
                self._left -= len(pieces[-1])
                continue
            wanted = _HEADER - len(self._header)
            self._header, chunk = self._header + chunk[:wanted], chunk[wanted:]
            if len(self._header) == _HEADER:
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""
        return pieces


def _check(status: int, content: bytes) -> None:
    if status == 503:
        raise EngineAway("the container engine is busy")
    if status >= 300:
        said = _decoded(content)
        message = str(said.get("message", "")) if isinstance(said, dict) else ""
        raise EngineRefused(_reason(message, "the container engine refuses it"), status)


def _reason(said: str, else_: str) -> str:
    lower = said.lower()
    return next((reason for words, reason in _REASONS if words in lower), else_)


def _decoded(content: bytes | str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
