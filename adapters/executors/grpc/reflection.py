"""Asks a server for the descriptors of a service (server reflection, v1 and v1alpha)."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, ParamSpec, TypeVar

import grpc
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from .types import MAX_FILES, MAX_SET, Types, Unexplained, imports_of, read

SMALL: Final = 4 << 10
"""Bytes of descriptors up to which they are read at once; what is larger is read in a thread."""

_VERSIONS: Final = ("v1", "v1alpha")
"""They differ in nothing but the name of their package."""

P = ParamSpec("P")
T = TypeVar("T")
Metadata = Sequence[tuple[str, str | bytes]]


async def reflected(
    channel: grpc.aio.Channel, service: str, metadata: Metadata, ends: float
) -> Types:
    """What the server says of a service until ``ends``, in the loop's time.

    Raises `Unexplained`, and what calls raise.
    """
    for version in _VERSIONS:
        try:
            files = await _Asked(channel, version, metadata, ends).files(service)
            return await aside(sum(map(len, files)), Types, files)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
    raise Unexplained("the server has no reflection: give `descriptor_set`")


class _Asked:
    """Questions to one version, one a call: nearly always a single one is needed."""

    def __init__(
        self, channel: grpc.aio.Channel, version: str, metadata: Metadata, ends: float
    ) -> None:
        # The method takes a stream of questions, which may as well be of one.
        self._call = channel.unary_unary(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            ServerReflectionRequest.SerializeToString,
        )  # fmt: skip
        self._metadata = metadata
        self._ends = ends
        self._files: dict[str, bytes] = {}
        self._size = 0

    async def files(self, service: str) -> list[bytes]:
        """The file of the service, and all that it leads to."""
        missing = await self._ask(ServerReflectionRequest(file_containing_symbol=service))
        while missing:
            name = missing.pop()
            if name not in self._files:
                missing += await self._ask(ServerReflectionRequest(file_by_filename=name))
                if name not in self._files:
                    raise Unexplained("the server does not give a file that its descriptors import")
        return list(self._files.values())

    async def _ask(self, question: ServerReflectionRequest) -> list[str]:
        """Keeps the files of the answer; returns the names of those that they need."""
        raw = await self._answer(question)
        missing: list[str] = []
        for file, name, needed in await aside(len(raw), _explained, raw):
            if name not in self._files:
                self._files[name] = file
                self._size += len(file)
                missing += needed
        if len(self._files) > MAX_FILES or self._size > MAX_SET:
            raise Unexplained("the server explains more than can be kept: give `descriptor_set`")
        return missing

    async def _answer(self, question: ServerReflectionRequest) -> bytes:
        left = max(self._ends - asyncio.get_running_loop().time(), 0.001)
        answer: bytes = await self._call(question, timeout=left, metadata=self._metadata)
        return answer


async def aside(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it, in a thread where it is long: the loop has others to serve."""
    if size <= SMALL:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


def _explained(raw: bytes) -> list[tuple[bytes, str, list[str]]]:
    """The files of an answer, with their names and the names of those that they need."""
    try:
        answer = read(ServerReflectionResponse, raw)
    except DecodeError as error:
        raise Unexplained("the answer of the server's reflection cannot be read") from error
    if answer.WhichOneof("message_response") == "error_response":
        raise Unexplained("the server has no service of this name, or does not explain it")
    files = answer.file_descriptor_response.file_descriptor_proto
    if len(files) > MAX_FILES or sum(map(len, files)) > MAX_SET:
        raise Unexplained("the server explains more than can be kept: give `descriptor_set`")
    return [(file, *imports_of(file)) for file in files]
