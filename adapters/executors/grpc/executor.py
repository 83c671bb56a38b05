"""Calls of gRPC services, which describe themselves or are described by the task."""

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import grpc

from ....domain.errors import InvalidInput
from ...net.guard import Guard
from ...net.transport import written
from ...net.trust import CA_FILE
from ..base import BaseTask, Inputs
from ..configured import with_attributes
from ..errors import TransientError
from ..secrets import holds_secret
from .channels import Channels, Line
from .reflection import aside, reflected
from .schemas import INPUTS, MAX_MESSAGES, OUTPUTS
from .types import Method, Types, given
from .weight import TooMuch
from .wish import Wish

MAX_KEPT: Final = 4 << 20
"""Bytes of all messages of a stream together."""
MAX_DETAILS: Final = 1_000
"""Characters that are kept of what a server says of a failure."""
MAX_SHOWN: Final = 32 << 20
"""Bytes that all messages of an answer take together when they are made into JSON."""
SMALL: Final = 2 << 10
"""Bytes of a message that is looked at in the loop; a larger one is made into JSON in a thread,"""
LIGHT: Final = 64 << 10
"""and so is what takes more than these, or whose descriptors do."""
PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED, grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)  # fmt: skip
_TOO_LARGE: Final = "larger than max"
"""The library says so by the same status as a server that is busy."""


class Refused(TransientError):
    """The server is busy or away, as it says itself."""


class Unanswered(TransientError):
    """The deadline is over."""


class GrpcExecutor(BaseTask):
    """Makes one call. A status other than OK fails, unless the task's ``accept`` names it."""

    id = "grpc_executor"
    name = "gRPC"
    description = "Calls a method of a gRPC service and returns the answer"
    tags = ("grpc",)
    cancelable = True
    examples = (
        {
            "server": "api.example.com:443", "service": "helloworld.Greeter",
            "method": "SayHello", "request": {"name": "Ann"},
        },
        {
            "server": "api.example.com:443", "service": "example.Prices", "method": "Watch",
            "request": {"article": "lamp"}, "max_messages": 3,
            "metadata": {"authorization": {"$secret": "EXAMPLE_TOKEN"}},
        },
    )  # fmt: skip
    inputs_schema = INPUTS
    outputs_schema = OUTPUTS
    by_name: ClassVar[bool] = False

    guard: ClassVar[Guard] = Guard()
    roots: ClassVar[bytes | None] = None
    """Certificates that are trusted, as PEM; None: those that the library comes with, or
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH names."""

    def __init__(self, metadata: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._usual = dict(metadata or {})
        self.judge, self.trusts = self.guard, self.roots

    @classmethod
    def configured(cls, settings: Mapping[str, Any]) -> Callable[..., "GrpcExecutor"]:
        """A factory whose executors reach what the operator allows."""
        guard = Guard(settings.get("APFLOW_PRIVATE_TARGETS", ()))
        roots = written(settings.get(CA_FILE))
        return with_attributes(cls, judge=guard, trusts=roots)

    def get_demo_result(self, task: Any, inputs: Inputs) -> dict[str, Any]:
        """An answer as a friendly service might give it."""
        return {
            "success": True, "server": "api.example.com:443",
            "service": str(inputs.get("service", "helloworld.Greeter")),
            "method": str(inputs.get("method", "SayHello")),
            "response": {"demo": True}, "metadata": {},
        }  # fmt: skip

    async def execute(self, inputs: Inputs) -> dict[str, Any]:
        """``{success, server, service, method, request, response, metadata}``; see `OUTPUTS`."""
        wish = Wish(inputs, self._usual, self.context)
        said: dict[str, Any] = {
            "server": wish.server, "service": wish.service, "method": wish.method,
        }  # fmt: skip
        if not holds_secret(inputs.get("request")):
            said["request"] = wish.request
        ends = asyncio.get_running_loop().time() + wish.seconds
        channels = self.context.shared.get("grpc", lambda: Channels(self.judge, self.trusts))
        try:
            async with asyncio.timeout_at(ends):
                if not wish.target.tls:
                    host, port = wish.target.host, wish.target.port
                    await self.judge.pin(host, port, private_only=holds_secret([inputs]))
                async with channels.line(wish.target) as line:
                    return {"success": True, **said} | await self._called(line, wish, ends, said)
        except TimeoutError as error:
            raise Unanswered(f"no answer within {wish.seconds:g} s") from error

    async def _called(
        self, line: Line, wish: Wish, ends: float, said: Mapping[str, Any]
    ) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        answer = _Answer()
        channel = await line.channel()
        try:
            types = await _types(line, channel, wish, ends)
            method = types.method(wish.service, wish.method)
            if method.client_streaming:
                raise InvalidInput("the method wants a stream of requests, which is not offered")
            request = types.packed(method, wish.request)
            kind = channel.unary_stream if method.server_streaming else channel.unary_unary
            call = kind(method.path)(
                request, timeout=max(ends - loop.time(), 0.001), metadata=wish.metadata
            )
            try:
                await self._heard(call, types, method, wish, answer)
            finally:
                call.cancel()
        except grpc.aio.AioRpcError as error:
            # One that has no connection now would wait before it tries again.
            line.spent |= channel.get_state() is not grpc.ChannelConnectivity.READY
            return answer.parts | self._failed(error, wish)
        return answer.parts

    async def _heard(
        self, call: Any, types: Types, method: Method, wish: Wish, answer: "_Answer"
    ) -> None:
        if not method.server_streaming:
            answer.parts["response"], _ = await _shown(types, method, await call, MAX_SHOWN)
        else:
            messages: list[Any] = []
            answer.parts["response"] = messages
            most, size, room = wish.most or MAX_MESSAGES, 0, MAX_SHOWN
            async for raw in call:
                size += len(raw)
                if size > MAX_KEPT or len(messages) == most:
                    answer.parts["truncated"] = True
                    break
                try:
                    message, takes = await _shown(types, method, raw, room)
                except TooMuch:
                    answer.parts["truncated"] = True
                    break
                room -= takes
                messages.append(message)
                await self.context.progress(_part(wish, messages), f"{len(messages)} came")
                if len(messages) == wish.most:
                    break
        answer.add(await call.initial_metadata())
        if call.done():
            answer.add(await call.trailing_metadata())

    def _failed(self, error: grpc.aio.AioRpcError, wish: Wish) -> dict[str, Any]:
        """The result for a status other than OK. Raises where it may pass by itself."""
        code, details = error.code(), self.context.scrub(error.details() or "")[:MAX_DETAILS]
        number = int(code.value[0])
        accepted = number in self.context.accept
        why = f"{code.name}: {details}" if details else code.name
        if code in PASSING and not accepted and _TOO_LARGE not in details:
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise Unanswered(f"no answer within {wish.seconds:g} s ({why})") from error
            raise Refused(why, _pushback(error.trailing_metadata()))
        answer = _Answer()
        answer.add(error.initial_metadata())
        answer.add(error.trailing_metadata())
        found = {"success": accepted, "code": code.name, "status_code": number}
        return found | answer.parts | ({} if accepted else {"error": why})


class _Answer:
    """Parts of a result, as they come."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {"metadata": {}}

    def add(self, metadata: Any) -> None:
        """Values of the same name are joined, as HTTP joins them."""
        kept = self.parts["metadata"]
        for name, value in metadata or ():
            text = base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
            kept[name] = f"{kept[name]}, {text}" if name in kept else text


async def _types(line: Line, channel: Any, wish: Wish, ends: float) -> Types:
    """What explains the call: the task's own descriptors, or those of the server."""
    if wish.descriptor_set is not None:
        raw = wish.descriptor_set
        name, files = await aside(len(raw), given, raw)
        known = line.known(name)
        return known or line.keep(name, await aside(len(raw), Types, files))
    types = line.known(wish.service)
    if types is None:
        found = await reflected(channel, wish.service, wish.metadata, ends)
        types = line.keep(wish.service, found)
    return types


async def _shown(types: Types, method: Method, raw: bytes, room: int) -> tuple[Any, int]:
    """The message in JSON, and what of ``room`` it takes. Raises `TooMuch`."""
    small = len(raw) <= SMALL and types.size <= LIGHT
    if small and types.weight(method, raw, room).filled <= LIGHT:
        return types.shown(method, raw, room)
    return await asyncio.to_thread(types.shown, method, raw, room)


def _part(wish: Wish, messages: list[Any]) -> float:
    """How much of a stream has come; nobody knows its length."""
    return len(messages) / wish.most if wish.most else 0.0


def _pushback(metadata: Any) -> float | None:
    """Seconds for which the server wants to be left alone (gRFC A6)."""
    for name, value in metadata or ():
        if name == "grpc-retry-pushback-ms" and isinstance(value, str) and value.isdigit():
            return int(value[:12]) / 1_000
    return None
