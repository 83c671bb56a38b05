"""A gRPC server to be called, in threads: with reflection, its messages made here."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import grpc
from google.protobuf import any_pb2, descriptor_pool, timestamp_pb2
from google.protobuf.descriptor_pb2 import (
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

PROBE: Final = "testing.probe.Probe"
_TYPES: Final = {
    "string": FieldDescriptorProto.TYPE_STRING, "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64, "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}  # fmt: skip


def _message(file: FileDescriptorProto, name: str, **fields: str) -> None:
    """Fields are ``kind`` or ``kind*`` for many of it; a kind with a dot is a message."""
    made = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields.items(), 1):
        many = kind.endswith("*")
        one = made.field.add(
            name=field, number=number,
            label=FieldDescriptorProto.LABEL_REPEATED if many
            else FieldDescriptorProto.LABEL_OPTIONAL,
        )  # fmt: skip
        kind = kind.removesuffix("*")
        if "." in kind:
            one.type = (
                FieldDescriptorProto.TYPE_ENUM if kind.endswith("Colour")
                else FieldDescriptorProto.TYPE_MESSAGE
            )  # fmt: skip
            one.type_name = kind
        else:
            one.type = _TYPES[kind]


def _files() -> list[FileDescriptorProto]:
    shared = FileDescriptorProto(name="testing/shared.proto", package="testing.probe")
    shared.syntax = "proto3"
    colour = shared.enum_type.add(name="Colour")
    colour.value.add(name="COLOUR_NONE", number=0)
    colour.value.add(name="COLOUR_RED", number=1)
    probe = FileDescriptorProto(name="testing/probe.proto", package="testing.probe")
    probe.syntax = "proto3"
    probe.dependency.extend(
        ["testing/shared.proto", "google/protobuf/any.proto", "google/protobuf/timestamp.proto"]
    )
    _message(
        probe, "Everything", some_text="string", big="int64", flag="bool", raw="bytes",
        list="string*", at=".google.protobuf.Timestamp", any=".google.protobuf.Any",
        colour=".testing.probe.Colour", inner=".testing.probe.Everything", names="string*",
    )  # fmt: skip
    _message(probe, "Wanted", code="int32", details="string", count="int32", size="int32")
    service = probe.service.add(name="Probe")
    for name, takes, gives, of_many, gives_many in (
        ("Echo", "Everything", "Everything", False, False),
        ("Fail", "Wanted", "Everything", False, False),
        ("Flaky", "Wanted", "Everything", False, False),
        ("Hang", "Wanted", "Everything", False, False),
        ("HangStream", "Wanted", "Everything", False, True),
        ("Count", "Wanted", "Everything", False, True),
        ("Upload", "Everything", "Wanted", True, False),
    ):
        service.method.add(
            name=name, input_type=f".testing.probe.{takes}", output_type=f".testing.probe.{gives}",
            client_streaming=of_many, server_streaming=gives_many,
        )  # fmt: skip
    return [shared, probe]


FILES: Final = _files()
_pool: Final = descriptor_pool.Default()
for _file in FILES:
    _pool.AddSerializedFile(_file.SerializeToString())
Everything: Final = GetMessageClass(_pool.FindMessageTypeByName("testing.probe.Everything"))
Wanted: Final = GetMessageClass(_pool.FindMessageTypeByName("testing.probe.Wanted"))


def descriptor_set(*, usual: bool) -> bytes:
    """As ``protoc`` writes it, with the files of the library or without."""
    found = FileDescriptorSet(file=FILES[::-1])
    if usual:
        for module in (any_pb2, timestamp_pb2):
            module.DESCRIPTOR.CopyToProto(found.file.add())
    return bytes(found.SerializeToString())


class GrpcTarget:
    """What it was asked, and how many of its calls hang."""

    def __init__(self) -> None:
        self.server = ""
        self.calls: list[str] = []
        self.metadata: list[dict[str, Any]] = []
        self.remaining: list[float] = []
        self.peers: set[str] = set()
        self.reflected: list[str] = []
        self.ended = 0
        self.cancelled = 0
        self.hanging = 0
        self.flaky = 0
        self.released = threading.Event()
        self._lock = threading.Lock()

    def _noted(self, name: str, context: Any) -> None:
        with self._lock:
            self.calls.append(name)
            self.metadata.append(dict(context.invocation_metadata()))
            self.remaining.append(context.time_remaining())
            self.peers.add(context.peer())
        context.add_callback(self._over)

    def _over(self) -> None:
        with self._lock:
            self.ended += 1

    def Echo(self, request: Any, context: Any) -> Any:
        self._noted("Echo", context)
        names = [f"{key}={value}" for key, value in self.metadata[-1].items()]
        context.send_initial_metadata((("x-before", "b"),))
        context.set_trailing_metadata((("x-after", "a"), ("x-raw-bin", b"\x00\xff")))
        return Everything(names=names, **{
            field.name: value for field, value in request.ListFields() if field.name != "names"
        })  # fmt: skip

    def Fail(self, request: Any, context: Any) -> Any:
        self._noted("Fail", context)
        context.set_trailing_metadata((("grpc-retry-pushback-ms", "7000"), ("x-why", "w")))
        code = next(each for each in grpc.StatusCode if each.value[0] == request.code)
        context.abort(code, request.details)

    def Flaky(self, request: Any, context: Any) -> Any:
        self._noted("Flaky", context)
        self.flaky -= 1
        if self.flaky >= 0:
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        return Everything(some_text="works")

    def Hang(self, request: Any, context: Any) -> Any:
        self._noted("Hang", context)
        return self._hang(context)

    def HangStream(self, request: Any, context: Any) -> Any:
        self._noted("HangStream", context)
        yield Everything(some_text="first")
        yield self._hang(context)

    def _hang(self, context: Any) -> Any:
        over = threading.Event()
        with self._lock:
            self.hanging += 1
        if not context.add_callback(over.set):
            over.set()
        while not self.released.wait(0.02) and not over.is_set():
            pass
        with self._lock:
            self.hanging -= 1
            self.cancelled += over.is_set()
        return Everything(some_text="let go")

    def Count(self, request: Any, context: Any) -> Any:
        self._noted("Count", context)
        for n in range(request.count):
            if not context.is_active():
                break
            yield Everything(big=n + 1, some_text="x" * request.size)
        if request.code:
            context.abort(grpc.StatusCode.NOT_FOUND, request.details)

    def Upload(self, requests: Any, context: Any) -> Any:
        self._noted("Upload", context)
        return Wanted(count=sum(1 for _ in requests))


def _handlers(target: GrpcTarget) -> grpc.GenericRpcHandler:
    one, many, of_many = (
        grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler,
        grpc.stream_unary_rpc_method_handler,
    )  # fmt: skip
    give = Everything.SerializeToString
    return grpc.method_handlers_generic_handler(PROBE, {
        "Echo": one(target.Echo, Everything.FromString, give),
        "Fail": one(target.Fail, Wanted.FromString, give),
        "Flaky": one(target.Flaky, Wanted.FromString, give),
        "Hang": one(target.Hang, Wanted.FromString, give),
        "HangStream": many(target.HangStream, Wanted.FromString, give),
        "Count": many(target.Count, Wanted.FromString, give),
        "Upload": of_many(target.Upload, Everything.FromString, Wanted.SerializeToString),
    })  # fmt: skip


def _explain(
    server: grpc.Server, target: GrpcTarget, version: str, services: list[str], one_by_one: bool
) -> None:
    """Reflection as another version of it is called: the messages are the same."""
    names = [*services, f"grpc.reflection.{version}.ServerReflection"]
    servicer = reflection.ReflectionServicer(names)

    def info(requests: Any, context: Any) -> Any:
        for request in requests:
            target.reflected.append(f"{version} {request.WhichOneof('message_request')}")
            for answer in servicer.ServerReflectionInfo(iter([request]), context):
                if one_by_one:
                    del answer.file_descriptor_response.file_descriptor_proto[1:]
                yield answer

    handler = grpc.stream_stream_rpc_method_handler(
        info, ServerReflectionRequest.FromString, ServerReflectionResponse.SerializeToString
    )
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(names[-1], {"ServerReflectionInfo": handler})]
    )


@contextmanager
def grpc_target(
    versions: Sequence[str] = ("v1",),
    tls: grpc.ServerCredentials | None = None,
    compression: grpc.Compression | None = None,
    one_by_one: bool = False,
    port: int = 0,
    also: Callable[[grpc.Server], str] | None = None,
) -> Iterator[GrpcTarget]:
    """One on 127.0.0.1, as long as the block lasts. ``also`` adds a service and gives its name."""
    target = GrpcTarget()
    server = grpc.server(ThreadPoolExecutor(16), compression=compression)
    server.add_generic_rpc_handlers([_handlers(target)])
    names = [PROBE] if also is None else [PROBE, also(server)]
    for version in versions:
        _explain(server, target, version, names, one_by_one)
    place = f"127.0.0.1:{port}"
    port = server.add_insecure_port(place) if tls is None else server.add_secure_port(place, tls)
    target.server = f"127.0.0.1:{port}"
    server.start()
    try:
        yield target
    finally:
        target.released.set()
        server.stop(0).wait()
