"""The application put together: routes, guards, answers; and the check that no route is open."""

import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..rpc import routes as rpc
from . import (
    answers,
    commands,
    docs,
    events,
    schemas,
    sockets,
    streams,
    system,
    tasks,
    trees,
    webhooks,
)
from .access import Needs
from .boundary import Boundary
from .server import Server

PUBLIC: Final = frozenset({"livez", "readyz", "docs", "docs_asset", "docs_problem", "openapi"})
"""The routes that anybody may call, by name. `readyz` tells its reasons to callers only."""
LARGE: Final = frozenset({"/v1/trees"}) | rpc.LARGE
"""Paths whose bodies may be as large as a tree."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that are counted by name: a client may send any word."""

Opening = Callable[[], AbstractAsyncContextManager[Server]]


def create_app(opening: Opening, *, hosts: Collection[str]) -> FastAPI:
    """The application. ``opening`` is entered when it starts, and left when it ends.

    ``hosts`` are the names it may be called by.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opening() as server:
            app.state.server = server
            yield

    app = FastAPI(
        lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/openapi.json",
        redirect_slashes=False,
    )  # fmt: skip
    app.state.public = PUBLIC
    answers.install(app)
    for module in (trees, tasks, events, streams, sockets, commands, webhooks, system, rpc, docs):
        app.router.routes.extend(module.router.routes)  # as they are, so that all can be looked at
    schemas.describe(app)
    require_scopes(app.routes)
    app.add_middleware(Boundary, hosts=hosts, trees=LARGE)
    app.add_middleware(Counted)
    return app


def require_scopes(routes: Collection[BaseRoute]) -> None:
    """Raises where a route neither states its scope nor stands among the public ones."""
    for route in routes:
        name = getattr(route, "name", "")
        if name not in PUBLIC and needs_of(route) is None:
            raise RuntimeError(f"the route {name} states no scope and is not public")


def needs_of(route: BaseRoute) -> Needs | None:
    """The scope that a route states."""
    dependant: Any = getattr(route, "dependant", None)
    todo = [] if dependant is None else [*dependant.dependencies]
    for dependency in todo:
        if isinstance(dependency.call, Needs):
            return dependency.call
        todo.extend(dependency.dependencies)
    return None


class Counted:
    """ASGI middleware: how many requests, how long they took. Streams count when they end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def counting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counting)
        finally:
            server: Server | None = scope["app"].state.server if "app" in scope else None
            if server is not None:
                route = scope.get("route")
                path = route.path if isinstance(route, APIRoute | WebSocketRoute) else "other"
                took = time.perf_counter() - begun
                method = scope["method"] if scope["method"] in METHODS else "other"
                server.metrics.took(method, path, status, took)
