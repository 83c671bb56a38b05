"""Messages of services that this program was not built for: from descriptors to JSON and back."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from google.protobuf import (
    any_pb2,
    api_pb2,
    descriptor_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    source_context_pb2,
    struct_pb2,
    timestamp_pb2,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from msgspec import Struct

from ....domain.errors import InvalidInput
from ....domain.specs import MAX_JSON_DEPTH
from .weight import Scale, TooMuch, Weight

MAX_SET: Final = 1 << 20
"""Bytes of all descriptors of a service."""
MAX_FILES: Final = 500
MAX_READ: Final = 32 << 20
"""Bytes that descriptors take when they are read."""
MAX_FILLED: Final = 2 << 20
"""Bytes that a message may take for its fields that are not set to be shown."""
MAX_SHOWN: Final = 20
"""Names that an error lists."""
_USUAL: Final = {
    module.DESCRIPTOR.name: module.DESCRIPTOR.serialized_pb
    for module in (
        any_pb2, api_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2,
        source_context_pb2, struct_pb2, timestamp_pb2, type_pb2, wrappers_pb2,
    )
}  # fmt: skip
"""Files that descriptor sets and servers may leave out."""
_SCALE: Final = Scale(Default())


class Unexplained(Exception):
    """The server, or its descriptors, do not say what the call needs. It would be so again."""


class Method(Struct, frozen=True):
    """One method. ``takes`` and ``gives`` are classes of messages."""

    path: str
    takes: Any
    gives: Any
    client_streaming: bool
    server_streaming: bool


class Types:
    """What a set of descriptors explains, apart from everything else in this process.

    Raises `Unexplained` for descriptors that are none.
    """

    def __init__(self, files: Iterable[bytes]) -> None:
        files = list(files)
        self.size = sum(map(len, files))
        if len(files) > MAX_FILES or self.size > MAX_SET:
            raise Unexplained("the descriptors are more than can be kept")
        self._pool = DescriptorPool()
        self._scale = Scale(self._pool)
        protos = dict(map(_parsed, files))
        added: set[str] = set()
        for name in protos:
            self._add(name, protos, added)

    def _add(self, first: str, protos: Mapping[str, Any], added: set[str]) -> None:
        """Adds a file after those that it imports."""
        waiting, open_ = [first], set()
        while waiting:
            name = waiting[-1]
            proto = protos.get(name) or _usual(name)
            missing = [each for each in proto.dependency if each not in added]
            if name not in added and missing and name not in open_:
                open_.add(name)
                waiting.extend(missing)
                continue
            waiting.pop()
            if name not in added:
                added.add(name)
                try:
                    self._pool.AddSerializedFile(proto.SerializeToString())
                except (TypeError, ValueError) as error:
                    raise Unexplained("the descriptors do not fit each other") from error

    def method(self, service: str, method: str) -> Method:
        """Raises `Unexplained` where there is no such service or method."""
        try:
            found = self._pool.FindServiceByName(service)
        except KeyError as error:
            raise Unexplained("the descriptors have no service of this name") from error
        one = found.methods_by_name.get(method)
        if one is None:
            names = ", ".join(sorted(found.methods_by_name)[:MAX_SHOWN])
            raise Unexplained(f"the service has no method of this name; it has {names}")
        return Method(
            f"/{service}/{method}", GetMessageClass(one.input_type),
            GetMessageClass(one.output_type), one.client_streaming, one.server_streaming,
        )  # fmt: skip

    def packed(self, method: Method, request: Any) -> bytes:
        """The message that ``request`` is in JSON. Raises `InvalidInput` without repeating it."""
        try:
            message = json_format.ParseDict(
                request, method.takes(), descriptor_pool=self._pool,
                max_recursion_depth=MAX_JSON_DEPTH,
            )  # fmt: skip
            return bytes(message.SerializeToString())
        except (json_format.ParseError, ValueError, TypeError, RecursionError) as error:
            raise InvalidInput(_misfit(method.takes.DESCRIPTOR)) from error

    def weight(self, method: Method, raw: bytes, most: int) -> Weight:
        """What a message that came takes. Raises `TooMuch` and `Unexplained`."""
        try:
            return self._scale.weigh(method.gives.DESCRIPTOR, raw, most)
        except DecodeError as error:
            raise Unexplained("the answer is not what its descriptor says") from error

    def shown(self, method: Method, raw: bytes, most: int) -> tuple[Any, int]:
        """JSON of a message that came, and what it takes. Raises `TooMuch` and `Unexplained`."""
        weight = self.weight(method, raw, most)
        filled = weight.filled <= min(most, MAX_FILLED)
        try:
            found = json_format.MessageToDict(
                method.gives.FromString(raw), preserving_proto_field_name=True,
                always_print_fields_with_no_presence=filled, descriptor_pool=self._pool,
            )  # fmt: skip
        except (DecodeError, ValueError, TypeError, RecursionError) as error:
            raise Unexplained("the answer is not what its descriptor says") from error
        except json_format.Error as error:
            raise Unexplained("the answer holds what JSON cannot say") from error
        return found, weight.filled if filled else weight.bare


def given(descriptor_set: str) -> tuple[str, list[bytes]]:
    """A name for a set that a task gives as base64, and its files. Raises `InvalidInput`."""
    try:
        raw = base64.b64decode(descriptor_set, validate=True)
        if len(raw) > MAX_SET:
            raise InvalidInput(f"descriptor_set has at most {MAX_SET >> 20} MiB")
        files = read(descriptor_pb2.FileDescriptorSet, raw).file
    except (binascii.Error, UnicodeError, DecodeError) as error:
        raise InvalidInput("descriptor_set is base64 of a FileDescriptorSet") from error
    if not 0 < len(files) <= MAX_FILES:
        raise InvalidInput(f"descriptor_set has 1 to {MAX_FILES} files")
    return sha256(raw).hexdigest(), [file.SerializeToString() for file in files]


def imports_of(file: bytes) -> tuple[str, list[str]]:
    """The name of a file, and of those that it needs and that are not known anyway."""
    name, proto = _parsed(file)
    return name, [each for each in proto.dependency if each not in _USUAL]


def read(kind: Any, raw: bytes) -> Any:
    """A message of this program's own types. Raises DecodeError, and `Unexplained` if too large."""
    try:
        _SCALE.weigh(kind.DESCRIPTOR, raw, MAX_READ)
    except TooMuch as error:
        raise Unexplained("the descriptors are more than can be kept") from error
    return kind.FromString(raw)


def _parsed(file: bytes) -> tuple[str, Any]:
    try:
        proto = read(descriptor_pb2.FileDescriptorProto, file)
    except DecodeError as error:
        raise Unexplained("a descriptor cannot be read") from error
    return proto.name, proto


def _usual(name: str) -> Any:
    if name not in _USUAL:
        raise Unexplained("the descriptors lack a file that they import")
    return descriptor_pb2.FileDescriptorProto.FromString(_USUAL[name])


def _misfit(descriptor: Any) -> str:
    fields = [field.name for field in descriptor.fields][:MAX_SHOWN]
    known = f"whose fields are {', '.join(fields)}" if fields else "which has no fields"
    return f"the request does not fit the message {descriptor.full_name}, {known}"
