"""Asks a server for the descriptors of a service (server reflection, v1 and v1alpha)."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import grpc
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from .grpc_types import MAX_FILES, MAX_SET, Types, Unexplained, imports_of

_VERSIONS: Final = ("v1", "v1alpha")
"""They differ in nothing but the name of their package."""

Metadata = Sequence[tuple[str, str | bytes]]


async def reflected(
    channel: grpc.aio.Channel, service: str, metadata: Metadata, ends: float
) -> Types:
    """What the server says of a service until ``ends``, in the loop's time.

    Raises `Unexplained`, and what calls raise.
    """
    for version in _VERSIONS:
        try:
            return Types(await _Asked(channel, version, metadata, ends).files(service))
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
            ServerReflectionRequest.SerializeToString, ServerReflectionResponse.FromString,
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
        answer = await self._answer(question)
        if answer.WhichOneof("message_response") == "error_response":
            raise Unexplained("the server has no service of this name, or does not explain it")
        missing: list[str] = []
        for file in answer.file_descriptor_response.file_descriptor_proto:
            name, needed = imports_of(file)
            if name not in self._files:
                self._files[name] = file
                self._size += len(file)
                missing += needed
        if len(self._files) > MAX_FILES or self._size > MAX_SET:
            raise Unexplained("the server explains more than can be kept: give `descriptor_set`")
        return missing

    async def _answer(self, question: ServerReflectionRequest) -> Any:
        left = max(self._ends - asyncio.get_running_loop().time(), 0.001)
        return await self._call(question, timeout=left, metadata=self._metadata)
