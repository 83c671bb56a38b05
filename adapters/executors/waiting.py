"""`wait` and `signal`: tasks that wait, for a time or for word from outside. The engine plays them.

Here is what they take; nothing here runs.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...domain.errors import InvalidTransition
from ...domain.specs import MAX_NAME, MAX_SECONDS
from ...domain.time import to_seconds, to_text
from ...engine.ports import SIGNAL, WAIT
from .base import BaseTask, Inputs
from .schemas import payload_schema

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII
)  # fmt: skip

WAIT_INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "until": {
            "type": "string",
            "format": "date-time",
            "description": "when it is over: RFC 3339, with Z or an offset",
        },
        "seconds": {
            "type": "number",
            "minimum": 0,
            "maximum": MAX_SECONDS,
            "description": "how long it takes from its start on; give this or `until`",
        },
    },
    "additionalProperties": False,
}
WAIT_OUTPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"waited_until": {"type": "string", "format": "date-time"}},
    "required": ["waited_until"],
}
SIGNAL_INPUTS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_NAME,
            "description": "which signal it waits for; the task's key if left out",
        },
        "schema": {
            "type": ["object", "boolean"],
            "description": "JSON Schema of the payload; a signal that does not fit is refused",
        },
        "timeout": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": MAX_SECONDS,
            "description": "seconds after which it fails, or completes with `default`",
        },
        "default": {"description": "the result where the time is over; null is one too"},
    },
    "additionalProperties": False,
}


def wait_faults(inputs: Mapping[str, Any]) -> Sequence[str]:
    """What is wrong with inputs that fit `WAIT_INPUTS`."""
    if ("until" in inputs) == ("seconds" in inputs):
        return ("/: either until or seconds is needed, and not both",)
    if "until" in inputs and not _is_time(inputs["until"]):
        return ("/until: a time like 2026-01-31T09:00:00Z or 2026-01-31T10:00:00+01:00 is needed",)
    return ()


def signal_faults(inputs: Mapping[str, Any]) -> Sequence[str]:
    """What is wrong with inputs that fit `SIGNAL_INPUTS`."""
    faults = list(payload_schema(inputs["schema"]).faults) if "schema" in inputs else []
    if "\0" in inputs.get("name", ""):
        faults.append("/name: a name holds no NUL")
    return [fault if fault.startswith("/") else f"/{fault}" for fault in faults]


def _is_time(text: str) -> bool:
    """RFC 3339, section 5.6, in upper case, and a time that can be written again in UTC."""
    if _RFC_3339.fullmatch(text) is None:
        return False
    try:
        to_text(to_seconds(text))
    except (ValueError, OverflowError):
        return False
    return True


class _Waiting(BaseTask):
    tags = ("core",)
    cancelable = True
    runs = "engine"

    async def execute(self, inputs: Inputs) -> Any:
        """Raises `InvalidTransition`: no backend should get this far."""
        raise InvalidTransition(f"{self.id} is played by the engine, and never called")


class WaitExecutor(_Waiting):
    """Holds its dependents back until a time has come. Takes no slot, and survives a restart."""

    id = WAIT
    name = "Wait"
    description = "Waits until a time, or for some seconds, without holding a slot"
    examples = ({"seconds": 3600}, {"until": "2030-01-31T09:00:00+01:00"})
    inputs_schema = WAIT_INPUTS
    outputs_schema = WAIT_OUTPUTS
    check_inputs = staticmethod(wait_faults)


class SignalExecutor(_Waiting):
    """Holds its dependents back until a signal arrives; its payload is the result."""

    id = SIGNAL
    name = "Signal"
    description = "Waits for a signal from outside, whose payload becomes the result"
    examples = (
        {},
        {
            "name": "approved",
            "schema": {"type": "object", "required": ["by"]},
            "timeout": 86_400,
            "default": {"by": "nobody"},
        },
    )
    inputs_schema = SIGNAL_INPUTS
    check_inputs = staticmethod(signal_faults)
