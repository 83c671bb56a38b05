"""A WebSocket's first words to an application in this loop, and what comes of them."""

import asyncio
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI

Message = MutableMapping[str, Any]


async def knock(app: FastAPI, address: str, headers: dict[str, str]) -> int:
    """The status with which a WebSocket is refused; 101 where it is accepted, and then left."""
    parts = urlsplit(address)
    named = {"host": "127.0.0.1"} | {name.lower(): text for name, text in headers.items()}
    scope = {
        "type": "websocket", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "ws",
        "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(),
        "headers": [(name.encode(), text.encode()) for name, text in named.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "subprotocols": [], "state": {},
        "extensions": {"websocket.http.response": {}}, "root_path": "",
    }  # fmt: skip
    coming: asyncio.Queue[Message] = asyncio.Queue()
    answers: list[int] = []
    coming.put_nowait({"type": "websocket.connect"})

    async def send(message: Message) -> None:
        status = {
            "websocket.accept": 101, "websocket.close": 403,
            "websocket.http.response.start": message.get("status"),
        }.get(message["type"])  # fmt: skip
        if status is not None and not answers:
            answers.append(status)
            coming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    await asyncio.wait_for(app(scope, coming.get, send), 10)
    return answers[0]
