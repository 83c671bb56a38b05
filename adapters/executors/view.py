"""How executors and hooks see the task that they work for."""

from typing import Any

from msgspec import Raw, json

from ...engine.ports import Call


def as_object(raw: Raw) -> dict[str, Any]:
    """The JSON object in ``raw``, decoded afresh."""
    value: dict[str, Any] = json.decode(raw)
    return value


class TaskView:
    """One task during one attempt. Only ``inputs`` can be set, and only pre-hooks are heard.

    Everything else is read from what was submitted; changing a returned dict changes nothing.
    """

    __slots__ = ("_call", "inputs")

    status = "in_progress"

    def __init__(self, call: Call, inputs: dict[str, Any] | None = None) -> None:
        self._call = call
        self.inputs: dict[str, Any] = call.inputs if inputs is None else inputs

    def __repr__(self) -> str:
        return f"<task {self._call.task} of tree {self._call.tree}>"

    @property
    def id(self) -> str:
        return self._call.task

    @property
    def key(self) -> str:
        """What the client called the task."""
        return self._call.key

    @property
    def name(self) -> str:
        return self._call.name

    @property
    def task_tree_id(self) -> str:
        return self._call.tree

    @property
    def parent_id(self) -> str | None:
        return self._call.parent

    @property
    def user_id(self) -> str | None:
        return self._call.owner

    @property
    def priority(self) -> int:
        return self._call.priority

    @property
    def params(self) -> dict[str, Any]:
        return as_object(self._call.params)

    @property
    def schemas(self) -> dict[str, Any]:
        return as_object(self._call.schemas)

    @property
    def attempt(self) -> int:
        return self._call.attempt

    @property
    def generation(self) -> int:
        return self._call.generation
