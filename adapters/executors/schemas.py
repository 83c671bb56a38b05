"""Input schemas: which properties they name, and whether inputs fit.

The libraries that validate are imported when the first schema is really checked: they take longer
to import than everything else together.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from logging import getLogger
from typing import Any, Final

from msgspec import MsgspecError, Raw, json

from .loading import load
from .secrets import Pending
from .task_schema import MAX_SCHEMA_BYTES, faults_of

Check = Callable[[Any], Sequence[str]]
"""What is wrong with a value: a JSON Pointer and the rule broken there, never the value."""

CACHED: Final = 256
"""How many schemas of tasks are kept ready."""
_MARK: Final = b'"input_schema"'
_log = getLogger(__name__)
_objects = json.Decoder(dict[str, Raw])


def as_json_schema(declared: Any) -> dict[str, Any]:
    """JSON Schema from one, from a pydantic model class, or from None (empty)."""
    if declared is None:
        return {}
    if hasattr(declared, "model_json_schema"):
        schema: dict[str, Any] = declared.model_json_schema()
        return schema
    return dict(declared)


def properties_of(schema: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names under ``properties``, None where the schema has no such keyword."""
    properties = schema.get("properties")
    return tuple(properties) if isinstance(properties, Mapping) else None


def check_of(declared: Any) -> Check:
    """The check for an executor's own schema, in any of its forms. Nothing declared: all fits."""
    if declared is None or declared == {}:
        return _fits
    if hasattr(declared, "model_validate"):
        return _model_check(declared)
    check: Check = load(".validation:check")(dict(declared))
    return check


def _fits(value: Any) -> Sequence[str]:
    return ()


def _model_check(model: Any) -> Check:
    """Validate as ``Model(**inputs)`` would. pydantic's own error is a ValueError."""

    def check(value: Any) -> Sequence[str]:
        try:
            model.model_validate(value)
        except Exception as error:  # noqa: BLE001 - validators are the user's own code
            if not hasattr(error, "errors"):
                _log.warning("a validator of %s raised %s", model.__name__, type(error).__name__)
                return (f"/: a validator of {model.__name__} raised {type(error).__name__}",)
            found = error.errors(include_url=False, include_context=False)
            return [
                f"{pointer(item['loc'])}: {item['type']}"
                for item in found
                if not isinstance(item["input"], Pending)
            ]
        return ()

    return check


def pointer(path: Sequence[str | int]) -> str:
    """A JSON Pointer (RFC 6901), cut where it is very long; ``/`` for the whole."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in path]
    return "/" + "/".join(parts)[:200]


class TaskSchema:
    """A schema that came with a task, as JSON. ``faults`` say why it is not used.

    ``label`` is what they call it.
    """

    __slots__ = ("_check", "faults", "properties", "schema")

    def __init__(self, raw: bytes, label: str) -> None:
        self._check: Check | None = None
        self.schema: Any = None
        self.properties: tuple[str, ...] | None = None
        self.faults: tuple[str, ...] = self._read(raw, label)

    def _read(self, raw: bytes, label: str) -> tuple[str, ...]:
        if len(raw) > MAX_SCHEMA_BYTES:
            return (f"{label}: {len(raw)} bytes, at most {MAX_SCHEMA_BYTES} are allowed",)
        try:
            self.schema = json.decode(raw)
        except (MsgspecError, RecursionError):
            return (f"{label}: not JSON, or nested too deeply",)
        if self.schema is None:
            return ()
        if isinstance(self.schema, dict):
            self.properties = properties_of(self.schema)
        return tuple(f"{label}{fault}" for fault in faults_of(self.schema))

    def violations(self, value: Any) -> Sequence[str]:
        """How ``value`` violates it; its own faults where it has any."""
        if self.faults or self.schema is None:
            return self.faults
        if self._check is None:
            self._check = load(".validation:bounded_check")(self.schema)
        return self._check(value)


def _input_schema(schemas: bytes) -> TaskSchema:
    """The one among a task's ``schemas`` that is for its inputs."""
    try:
        raw = bytes(_objects.decode(schemas).get("input_schema", b"null"))
    except (MsgspecError, RecursionError):
        raw = b""
    return TaskSchema(raw, "input_schema")


def _payload_schema(raw: bytes) -> TaskSchema:
    return TaskSchema(raw, "schema")


def payload_schema(schema: Any) -> TaskSchema:
    """The schema that a task gives for the payload of its signal."""
    return _payload_schema(json.encode(schema))


class TaskSchemas:
    """The schemas of tasks, read once each as long as they stay in use."""

    def __init__(self) -> None:
        self._inputs = lru_cache(CACHED)(_input_schema)
        self._payloads = lru_cache(CACHED)(_payload_schema)

    def of(self, schemas: Raw) -> TaskSchema | None:
        """None where the task declares no input schema."""
        written = bytes(schemas)
        if _MARK not in written:
            return None
        return self._inputs(written)

    def for_payload(self, schema: Any) -> TaskSchema:
        """As `payload_schema`."""
        return self._payloads(json.encode(schema))


def schema_faults(schemas: Raw) -> list[str]:
    """Why the input schema among a task's ``schemas`` may not be used; empty where it may."""
    written = bytes(schemas)
    return list(_input_schema(written).faults) if _MARK in written else []
