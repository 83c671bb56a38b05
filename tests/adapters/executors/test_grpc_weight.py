"""What messages of strange types take, told before anything is made of them."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import descriptor_pb2 as pb
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor_pool import Default, DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from msgspec import json

from aipartnerupflow.adapters.executors.grpc import executor as grpc_call
from aipartnerupflow.adapters.executors.grpc import types as grpc_types
from aipartnerupflow.adapters.executors.grpc.reflection import _explained, aside
from aipartnerupflow.adapters.executors.grpc.types import Method, Types, Unexplained
from aipartnerupflow.adapters.executors.grpc.weight import PART, Scale, TooMuch

PARTS = b"\x0a\x00"
"""An empty message in field 1."""
MOST = 32 << 20
Field = pb.FieldDescriptorProto


def wide(fields: int) -> tuple[Types, Method]:
    """A message of many messages that have so many fields."""
    file = pb.FileDescriptorProto(name="x.proto", package="x", syntax="proto3")
    inner = file.message_type.add(name="Inner")
    for n in range(fields):
        inner.field.add(name=f"field_{n}", number=n + 1, type=Field.TYPE_STRING, label=1)
    outer = file.message_type.add(name="Outer")
    outer.field.add(name="items", number=1, type=Field.TYPE_MESSAGE, label=3, type_name=".x.Inner")
    service = file.service.add(name="S")
    service.method.add(name="M", input_type=".x.Outer", output_type=".x.Outer")
    types = Types([file.SerializeToString()])
    return types, types.method("x.S", "M")


def test_fields_that_are_not_set_are_shown_where_they_are_few() -> None:
    types, method = wide(2)
    shown, takes = types.shown(method, PARTS * 2, MOST)
    assert shown == {"items": [{"field_0": "", "field_1": ""}] * 2}
    assert takes > len(json.encode(shown))


def test_nothing_is_made_large_by_fields_that_are_not_set() -> None:
    types, method = wide(50)
    shown, takes = types.shown(method, PARTS * 8_000, MOST)
    assert shown == {"items": [{}] * 8_000}
    assert takes < MOST


@pytest.mark.parametrize(("fields", "kib"), [(50, 128), (300, 32), (1, 4_000)])
def test_what_takes_too_much_is_not_even_read(fields: int, kib: int) -> None:
    types, method = wide(fields)
    with pytest.raises(TooMuch, match="32 MiB"):
        types.shown(method, PARTS * (kib * 512), MOST)


class Watched(Types):
    """Knows in which threads messages were made into JSON."""

    def __init__(self, types: Types) -> None:
        self.__dict__ |= types.__dict__
        self.threads: list[int] = []

    def shown(self, method: Method, raw: bytes, most: int) -> tuple[Any, int]:
        self.threads.append(threading.get_ident())
        return super().shown(method, raw, most)


@pytest.mark.parametrize(
    ("fields", "parts", "here"), [(2, 1, True), (2, 2_000, False), (300, 50, False)]
)
async def test_only_light_messages_are_shown_in_the_loop(
    fields: int, parts: int, here: bool
) -> None:
    types, method = wide(fields)
    watched = Watched(types)
    await grpc_call._shown(watched, method, PARTS * parts, MOST)
    assert (watched.threads == [threading.get_ident()]) is here


def kinds() -> DescriptorPool:
    """One message with all that weighs in its own way."""
    file = pb.FileDescriptorProto(name="k.proto", package="k", syntax="proto2")
    file.dependency.append("google/protobuf/any.proto")
    colour = file.enum_type.add(name="Colour")
    colour.value.add(name="C" * 90, number=0)
    kind = file.message_type.add(name="Kind")
    kind.extension_range.add(start=100, end=200)
    group = kind.nested_type.add(name="Grp")
    group.field.add(name="a", number=1, type=Field.TYPE_INT32, label=1)
    for number, (name, sort, label, of) in enumerate(
        (
            ("numbers", Field.TYPE_INT64, 3, None), ("wide", Field.TYPE_FIXED64, 3, None),
            ("flags", Field.TYPE_BOOL, 3, None), ("colours", Field.TYPE_ENUM, 3, ".k.Colour"),
            ("grp", Field.TYPE_GROUP, 3, ".k.Kind.Grp"), ("texts", Field.TYPE_STRING, 3, None),
            ("kinds", Field.TYPE_MESSAGE, 3, ".k.Kind"), ("small", Field.TYPE_FLOAT, 3, None),
            ("any", Field.TYPE_MESSAGE, 1, ".google.protobuf.Any"),
        ), 1,
    ):  # fmt: skip
        kind.field.add(name=name, number=number, type=sort, label=label, type_name=of)
    for name in ("numbers", "wide", "flags", "colours", "small"):
        next(each for each in kind.field if each.name == name).options.packed = True
    file.extension.add(
        name="more", number=100, type=Field.TYPE_MESSAGE, label=3, type_name=".k.Kind",
        extendee=".k.Kind",
    )  # fmt: skip
    pool = DescriptorPool()
    pool.AddSerializedFile(AnyMessage.DESCRIPTOR.file.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def boxed(kind: Any, inner: bytes) -> bytes:
    made = kind()
    made.any.type_url, made.any.value = "x/k.Kind", inner
    return bytes(made.SerializeToString())


@pytest.mark.parametrize(
    ("entries", "make"),
    [
        (1_000, lambda kind: kind(numbers=range(1_000))),
        (1_000, lambda kind: kind(wide=range(1_000))),
        (1_000, lambda kind: kind(flags=[False] * 1_000)),
        (1_000, lambda kind: kind(small=[0.5] * 1_000)),
        (2_500, lambda kind: kind(colours=[0] * 1_000)),  # by the length of its name
        (3_000, lambda kind: kind(grp=[{"a": 1}] * 1_000)),
        (1_000, lambda kind: kind(texts=[""] * 1_000)),
        (10_000, lambda kind: kind(texts=["x" * 640_000])),
        (2_000, lambda kind: kind(kinds=[kind()] * 1_000)),
        (1_000, lambda kind: kind(kinds=[kind(numbers=range(1_000))])),
        (2_000, lambda kind: kind.FromString(b"\xa2\x06\x00" * 1_000)),  # the extension
        (2_000, lambda kind: kind.FromString(b"\xaa\x3e\x00" * 2_000)),  # nobody knows it
        (1_000, lambda kind: kind.FromString(boxed(kind, kind(flags=[True] * 1_000)
                                                   .SerializeToString()))),
    ],
)  # fmt: skip
def test_all_that_a_message_holds_is_counted(entries: int, make: Callable[[Any], Any]) -> None:
    pool = kinds()
    kind = GetMessageClass(pool.FindMessageTypeByName("k.Kind"))
    raw = make(kind).SerializeToString()
    found = Scale(pool).weigh(kind.DESCRIPTOR, raw, MOST)
    assert entries * PART <= found.bare <= found.filled
    with pytest.raises(TooMuch):
        Scale(pool).weigh(kind.DESCRIPTOR, raw, found.bare - 1)


def test_what_is_nested_in_any_messages_is_counted_each_time() -> None:
    pool = kinds()
    kind = GetMessageClass(pool.FindMessageTypeByName("k.Kind"))
    raw = bytes(kind(texts=["x" * 1_000_000]).SerializeToString())
    for _ in range(40):
        raw = boxed(kind, raw)
    with pytest.raises(TooMuch):
        Scale(pool).weigh(kind.DESCRIPTOR, raw, MOST)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x0a", b"\x0a\x05", b"\x0a\xff\xff", b"\x09\x00", b"\x80", b"\xff" * 11, b"\x0c", b"\x07",
        b"\x2b", b"\x2b\x3a\x02", b"\x3a\x01\x2c", b"\x3a\x01\x08\x01", b"\x2b\x34", b"\x2b" * 200,
        b"\x4b\x4c",
    ],
)  # fmt: skip
def test_what_breaks_off_or_is_nested_wrongly_is_no_message(raw: bytes) -> None:
    pool = kinds()
    with pytest.raises(DecodeError):
        Scale(pool).weigh(pool.FindMessageTypeByName("k.Kind"), raw, MOST)


def test_a_real_message_weighs_more_than_its_json() -> None:
    made = Struct()
    made.update({"a": [1, "b", {"c": None}] * 50, "d": {"e": True}})
    found = Scale(Default()).weigh(Struct.DESCRIPTOR, made.SerializeToString(), MOST)
    assert found.bare > len(json.encode(dict(made.items()), enc_hook=list))


def test_a_message_set_is_not_read() -> None:
    file = pb.FileDescriptorProto(name="s.proto", package="s", syntax="proto2")
    old = file.message_type.add(name="Old")
    old.options.message_set_wire_format = True
    old.extension_range.add(start=4, end=100)
    service = file.service.add(name="S")
    service.method.add(name="M", input_type=".s.Old", output_type=".s.Old")
    types = Types([file.SerializeToString()])
    with pytest.raises(Unexplained):
        types.shown(types.method("s.S", "M"), b"", MOST)


def test_descriptors_are_bounded_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unexplained, match="more than can be kept"):
        Types([b"\x22\x00" * 500_000])
    with pytest.raises(Unexplained, match="more than can be kept"):
        Types([b"\x0a\x00"] * 501)
    monkeypatch.setattr(grpc_types, "MAX_READ", 64 << 20)
    with pytest.raises(Unexplained, match="more than can be kept"):
        Types([pb.FileDescriptorProto(name="x" * (1 << 20)).SerializeToString()])


@pytest.mark.parametrize("files", [b"\x0a\x00" * 501, b"\x0a\x00" * 1_000_000])
def test_a_server_that_explains_without_end_is_not_heard_out(files: bytes) -> None:
    size = len(files)
    length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    with pytest.raises(Unexplained):
        _explained(b"\x22" + length + files)


async def test_large_descriptors_are_read_in_a_thread() -> None:
    here = threading.get_ident()
    ran = [await aside(size, threading.get_ident) for size in (100, 100_000)]
    assert (ran[0] == here, ran[1] == here) == (True, False)
