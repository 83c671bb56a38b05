"""How much room a message takes, told from its bytes before anything is made of them.

Two bytes of a message may stand for a part of it with hundreds of fields. Descriptors come from
the server as well, so that nothing but counting helps.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from msgspec import Struct

PART: Final = 64
"""Bytes for each message and each entry, beside what it holds."""
SLOT: Final = 16
"""Bytes for each field that a message may have."""
MAX_DEPTH: Final = 100
"""Messages in messages; the library reads no more."""
_ANY: Final = AnyMessage.DESCRIPTOR.full_name
_CONTINUED: Final = bytes(range(128, 256))
"""Bytes of a number of varying length after which it goes on."""
_MESSAGES: Final = frozenset({FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_GROUP})
_TEXTS: Final = frozenset({FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES})
_WIDTHS: Final = {
    **dict.fromkeys(
        (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64),
        8,
    ),
    **dict.fromkeys(
        (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_FIXED32, FieldDescriptor.TYPE_SFIXED32),
        4,
    ),
}
"""Bytes of one of many that are packed; other numbers vary."""


class TooMuch(Exception):
    """It takes more room than is kept. It would do so again."""


class Weight(Struct):
    """Bytes, about. ``filled`` is with the fields that are not set."""

    bare: int = 0
    filled: int = 0


class _Part(Struct):
    """A field: what each of it takes, and the message that it is, or else how it is packed."""

    takes: int
    message: Any = None
    text: bool = False
    width: int | None = None


class _Shape(Struct):
    """A type of message. ``defaults``: what its fields take that are shown though not set."""

    bare: int
    defaults: int
    parts: dict[int, _Part]
    any: bool = False


class _Frame(Struct):
    """A message within the bytes, up to ``end``, or up to the end of the group ``group``."""

    shape: _Shape
    end: int
    group: int = 0


_UNKNOWN: Final = _Part(PART)
_NOTHING: Final = _Shape(PART, 0, {})


class Scale:
    """Weighs messages of the types of one pool."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool
        self._shapes: dict[str, _Shape] = {}
        self._longest: dict[str, int] = {}

    def weigh(self, descriptor: Any, raw: bytes, most: int) -> Weight:
        """Raises `TooMuch` as soon as more than ``most`` is found, and DecodeError."""
        weight = Weight()
        waiting = [(descriptor, raw)]
        while waiting:
            kind, data = waiting.pop()
            shape = self._shape(kind)
            for start, end in _Pass(self._shape, weight, most).anys(data, shape):
                inside = data[start:end]
                _add(weight, len(inside), most)
                waiting += self._held(inside)
        return weight

    def _held(self, data: bytes) -> list[tuple[Any, bytes]]:
        """The message that an Any holds, where its type is known."""
        packed = AnyMessage.FromString(data)
        try:
            kind = self._pool.FindMessageTypeByName(packed.type_url.rpartition("/")[2])
        except KeyError:
            return []
        return [(kind, packed.value)]

    def _shape(self, descriptor: Any) -> _Shape:
        name = descriptor.full_name
        if name not in self._shapes:
            if descriptor.GetOptions().message_set_wire_format:
                raise DecodeError("a message set, which is no longer a part of the language")
            fields = list(descriptor.fields)
            known = [*fields, *self._pool.FindAllExtensions(descriptor)]
            self._shapes[name] = _Shape(
                PART + SLOT * len(fields),
                sum(self._takes(each) for each in fields if not each.has_presence),
                {each.number: self._part(each) for each in known},
                name == _ANY,
            )
        return self._shapes[name]

    def _part(self, field: Any) -> _Part:
        message = field.message_type if field.type in _MESSAGES else None
        return _Part(
            self._takes(field), message, field.type in _TEXTS, _WIDTHS.get(field.type)
        )  # fmt: skip

    def _takes(self, field: Any) -> int:
        value = 0
        if (kind := field.enum_type) is not None:
            if kind.full_name not in self._longest:
                self._longest[kind.full_name] = max(
                    (len(each.name) for each in kind.values), default=0
                )
            value = self._longest[kind.full_name]
        return PART + len(field.full_name if field.is_extension else field.name) + value


class _Pass:
    """One way through the bytes of a message."""

    def __init__(self, shaped: Callable[[Any], _Shape], weight: Weight, most: int) -> None:
        self._shaped = shaped
        self._weight = weight
        self._most = most

    def anys(self, data: bytes, shape: _Shape) -> Iterator[tuple[int, int]]:
        """Adds all of it; tells where messages begin and end that hold some of any type."""
        frames: list[_Frame] = []
        found = self._entered(frames, shape, 0, len(data))
        at = 0
        while frames:
            yield from found
            found = ()
            frame = frames[-1]
            if at >= frame.end:
                if at > frame.end or frame.group:
                    raise DecodeError("it breaks off")
                frames.pop()
                continue
            tag, at = _number(data, at)
            part = frame.shape.parts.get(tag >> 3, _UNKNOWN)
            match tag & 7:
                case 0:
                    _, at = _number(data, at)
                    self._add(part.takes)
                case 1 | 5:
                    at += 8 if tag & 7 == 1 else 4
                    self._add(part.takes)
                case 2:
                    length, at = _number(data, at)
                    end = at + length
                    if end > frame.end:
                        raise DecodeError("it breaks off")
                    if part.message is None:
                        self._add(_taken(part, data[at:end]))
                        at = end
                    else:
                        self._add(part.takes)
                        found = self._entered(frames, self._shaped(part.message), at, end)
                case 3:
                    self._add(part.takes)
                    inner = self._shaped(part.message) if part.message else _NOTHING
                    self._entered(frames, inner, at, frame.end, tag >> 3)
                case 4 if frame.group == tag >> 3:
                    frames.pop()
                case _:
                    raise DecodeError("no such kind of field")

    def _entered(
        self, frames: list[_Frame], shape: _Shape, at: int, end: int, group: int = 0
    ) -> Sequence[tuple[int, int]]:
        self._add(shape.bare)
        self._weight.filled += shape.defaults
        frames.append(_Frame(shape, end, group))
        if len(frames) > MAX_DEPTH + 1 or (shape.any and group):
            raise DecodeError("it is nested in ways that are not read")
        return [(at, end)] if shape.any else ()

    def _add(self, size: int) -> None:
        _add(self._weight, size, self._most)


def _add(weight: Weight, size: int, most: int) -> None:
    weight.bare += size
    weight.filled += size
    if weight.bare > most:
        raise TooMuch(f"the answer takes more room than is kept, which is {most >> 20} MiB")


def _taken(part: _Part, value: bytes) -> int:
    """Of a field that has a length: a text, or many numbers."""
    if part.text or part is _UNKNOWN:
        return part.takes + len(value)
    many = len(value) // part.width if part.width else len(value.translate(None, _CONTINUED))
    return part.takes * max(1, many)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends."""
    value = shift = 0
    for place in range(at, min(at + 10, len(data))):
        byte = data[place]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place + 1
        shift += 7
    raise DecodeError("a number that does not end")
