"""Servers for tests: an application in this loop, a server in a thread, a program of its own.

async with application("memory:x", folder) as api:
    answer = await api.admin.post("/v1/trees", json=[…])

with threaded("sqlite:///x.db", folder) as server:   # a socket: streams, WebSockets, slow bytes
    httpx.get(f"{server.url}/livez")

with program(folder) as server:                      # can be killed and started again
    server.kill()
    server.start()
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
from fastapi import FastAPI

from aipartnerupflow import task
from aipartnerupflow.api.http import serving
from aipartnerupflow.api.http.access import hash_of
from aipartnerupflow.api.http.app import create_app
from aipartnerupflow.api.http.opening import hosts_of, local_token, opened
from aipartnerupflow.api.http.server import Server
from aipartnerupflow.api.settings import Settings, load_settings
from aipartnerupflow.api.stores import Store
from aipartnerupflow.api.wiring import open_store
from aipartnerupflow.api.wiring.serving import Token, tokens_of
from tests.api.cli.programs import write_jobs
from tests.support.places import environment

BASE: Final = "http://127.0.0.1"
SECONDS: Final = 20.0
"""So long a server may take to answer, or to end."""


def make_token(
    store: Store, user: str, *scopes: str, expires: str | None = None, id: str | None = None
) -> str:
    """A new token of a user, as `apflow token create` makes them."""
    text = f"apflow_{uuid4().hex}{uuid4().hex}"
    made = Token(id or uuid4().hex, user, scopes, "", store.now(), expires)
    tokens_of(store).add(made, hash_of(text))
    return text


def bearer(token: str | None) -> dict[str, str]:
    """The header that says who calls; nothing for nobody."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def settings_of(url: str, folder: Path, **flags: Any) -> Settings:
    """As a server is given them."""
    return load_settings(
        database_url=url, **{"state_dir": folder / "state", "host": "127.0.0.1", "port": 0, **flags}
    )


class Api:
    """An application in this loop, called without a socket."""

    def __init__(self, app: FastAPI, token: str) -> None:
        self.app = app
        self.token = token
        self._clients: list[httpx.AsyncClient] = []
        self.admin = self.client(token)
        self.nobody = self.client(None)

    @property
    def server(self) -> Server:
        """What the routes share."""
        server: Server = self.app.state.server
        return server

    @property
    def store(self) -> Store:
        """Its store."""
        return self.server.store

    def client(self, token: str | None, **headers: str) -> httpx.AsyncClient:
        """Whoever has this token."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        made = httpx.AsyncClient(
            transport=transport, base_url=BASE, headers=bearer(token) | headers, timeout=SECONDS
        )
        self._clients.append(made)
        return made

    def user(self, name: str, scope: str = "operate") -> httpx.AsyncClient:
        """A user with a token of this scope."""
        return self.client(make_token(self.store, name, scope))

    async def close(self) -> None:
        """Let go of all clients."""
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def application(
    url: str, folder: Path, *, engine: bool = True, paused: bool = False, **flags: Any
) -> AsyncIterator[Api]:
    """An application over the store at ``url``; its state directory lies in ``folder``."""
    settings = settings_of(url, folder, **flags)
    store = open_store(url, durability="process")
    token = local_token(settings.private_state_dir())
    local = token if settings.auth == "token" else None

    def opening() -> AbstractAsyncContextManager[Server]:
        return opened(settings, store, local, engine=engine, paused=paused)

    app = create_app(opening, hosts=hosts_of(settings))
    async with app.router.lifespan_context(app):
        api = Api(app, token)
        try:
            yield api
        finally:
            await api.close()


class Threaded:
    """A server on a socket, in a thread of this process."""

    def __init__(self, url: str, folder: Path, *, engine: bool, paused: bool, **flags: Any) -> None:
        self._settings = settings_of(url, folder, **flags)
        self.token = local_token(self._settings.private_state_dir())
        self.store = open_store(url, durability="process")
        self._engine, self._paused = engine, paused
        self._answers = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._uvicorn: serving._Uvicorn | None = None
        self.url = ""
        self.error: BaseException | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return httpx.URL(self.url).port or 0

    @property
    def server(self) -> Server:
        """What the routes share; it belongs to the thread's loop."""
        server: Server = self.app.state.server
        return server

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The thread's loop."""
        return self._loop

    def start(self) -> None:
        """Returns once it answers."""
        self._thread.start()
        assert self._answers.wait(SECONDS), "it does not answer"
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """As on SIGTERM."""
        assert self._uvicorn is not None
        self._uvicorn.should_exit = True
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "it does not end"

    def ask_to_stop(self) -> None:
        """Returns at once."""
        assert self._uvicorn is not None
        self._uvicorn.should_exit = True

    def client(self, token: str | None = None, **more: Any) -> httpx.Client:
        """A client with the token of the first start, or another."""
        return httpx.Client(
            base_url=self.url,
            headers=bearer(token or self.token),
            timeout=SECONDS,
            **{"verify": False, **more},
        )

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - told to the test by `start`
            self.error = error
            self._answers.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        local = self.token if self._settings.auth == "token" else None

        def opening() -> AbstractAsyncContextManager[Server]:
            return opened(
                self._settings, self.store, local, engine=self._engine, paused=self._paused
            )

        self.app = create_app(opening, hosts=hosts_of(self._settings))
        config = serving.configured(self.app, self._settings)
        listening = serving._listen(config)
        self.url = serving._url(listening, self._settings.host)
        self._uvicorn = serving._Uvicorn(config, lambda _: self._answers.set(), self.url)
        try:
            await self._uvicorn.serve(sockets=[listening])
        finally:
            listening.close()


@contextmanager
def threaded(
    url: str, folder: Path, *, engine: bool = True, paused: bool = False, **flags: Any
) -> Iterator[Threaded]:
    """A server on a free port as long as the block."""
    server = Threaded(url, folder, engine=engine, paused=paused, **flags)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Program:
    """`apflow serve` in a process of its own, on a state directory in ``folder``."""

    def __init__(
        self, folder: Path, *args: str, env: Mapping[str, str] | None = None, port: int = 0
    ) -> None:
        self.folder = folder
        self._args = args
        self._env = environment(folder) | dict(env or {})
        self._state = Path(self._env["APFLOW_STATE_DIR"])
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / f"serve-{uuid4().hex[:6]}.log"

    def start(self) -> None:
        """Returns once it answers. Later it has the port again that it had the first time."""
        (self._state / "server.json").unlink(missing_ok=True)
        command = [sys.executable, "-P", "-m", "aipartnerupflow", "serve"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self._port), "--import", "jobs", *self._args],
                cwd=self.folder, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until = time.monotonic() + SECONDS
        while (found := self._record()) is None:
            assert self._process.poll() is None, self.said
            assert time.monotonic() < until, f"it does not answer: {self.said}"
            time.sleep(0.01)
        self.url: str = found["url"]
        self._port = httpx.URL(self.url).port or 0

    def _record(self) -> Any:
        try:
            found = json.loads((self._state / "server.json").read_text())
        except (OSError, ValueError):
            return None
        return found if found["pid"] == self.pid else None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """All that it wrote."""
        return self._log.read_text()

    @property
    def token(self) -> str:
        """The token of its first start."""
        return (self._state / "token").read_text().strip()

    def client(self, **more: Any) -> httpx.Client:
        """A client with that token."""
        return httpx.Client(
            base_url=self.url,
            headers=bearer(self.token),
            **{"timeout": SECONDS, "verify": False, **more},
        )

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Any signal."""
        os.kill(self.pid, number)

    def stop(self) -> int:
        """SIGTERM; returns with what it ended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Returns with what it ended."""
        assert self._process is not None
        return self._process.wait(SECONDS)

    def end(self) -> None:
        """However it stands, it is gone after this."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextmanager
def program(
    folder: Path, *args: str, env: Mapping[str, str] | None = None, jobs: str = ""
) -> Iterator[Program]:
    """A started program, with the executors of `tests.api.cli.programs` and those in ``jobs``."""
    write_jobs(folder)
    if jobs:
        with (folder / "jobs.py").open("a") as file:
            file.write(jobs)
    made = Program(folder, *args, env=env)
    try:
        made.start()
        yield made
    finally:
        made.end()


class Work:
    """Executors for trees in this process; registered anew for each test."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._broken = 0
        self._gate = threading.Event()

    def break_next(self, times: int = 1) -> None:
        """So many calls of `flaky` fail."""
        self._broken = times

    def open_gate(self) -> None:
        """Let `gated` go on."""
        self._gate.set()

    def register(self) -> None:
        """`give`, `broken`, `flaky`, `gated`."""

        @task
        async def give(value: Any = None, seconds: float = 0) -> Any:
            self.calls.append("give")
            await asyncio.sleep(seconds)
            return value

        @task
        async def broken() -> None:
            self.calls.append("broken")
            raise ValueError("no")

        @task
        async def flaky() -> str:
            self.calls.append("flaky")
            if self._broken:
                self._broken -= 1
                raise ValueError("not yet")
            return "done"

        @task
        async def gated() -> str:
            self.calls.append("gated")
            while not self._gate.is_set():  # noqa: ASYNC110 - another thread may open it
                await asyncio.sleep(0.005)
            return "open"


def tree(*tasks: Any) -> list[dict[str, Any]]:
    """A group and its tasks; a string is a key whose task is `give`."""
    root = {"key": "root", "name": "root"}
    made = [{"key": t, "name": "give"} if isinstance(t, str) else t for t in tasks]
    return [root, *({"parent_id": "root", **t} for t in made)]


def chain(length: int, **inputs: Any) -> list[dict[str, Any]]:
    """A group of tasks that follow each other."""
    return tree(
        *(
            {
                "key": f"t{n}", "name": "give", "inputs": inputs,
                "dependencies": [f"t{n - 1}"] if n else [],
            }
            for n in range(length)
        )
    )  # fmt: skip
