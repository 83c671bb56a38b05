"""What the status rows of all stores have in common."""

import msgspec

from ...domain.specs import EMPTY_OBJECT, NO_POLICY, TaskSpec

TASK_BITS = 20
"""`task.num` = `tree.num` << TASK_BITS | the task's number: one integer key, in tree order."""

TaskRow = tuple[str, str, str, str | None, int, str, str, str, str, str]
"""id, key, name, parent, priority, dependencies, inputs, params, schemas, policy."""

_encode = msgspec.json.encode


def text(raw: msgspec.Raw) -> str:
    """JSON bytes as the text that is stored."""
    return "{}" if raw is EMPTY_OBJECT else bytes(raw).decode()


def policy(spec: TaskSpec) -> str:
    """What a task asks for otherwise than usual, as JSON."""
    return "{}" if spec.policy is NO_POLICY else _encode(spec.policy).decode()


def task_row(spec: TaskSpec) -> TaskRow:
    """A specification as stored."""
    return (
        spec.id, spec.label, spec.name, spec.parent, spec.priority,
        _encode(spec.dependencies).decode() if spec.dependencies else "[]",
        text(spec.inputs), text(spec.params), text(spec.schemas), policy(spec),
    )  # fmt: skip
