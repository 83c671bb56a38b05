"""Trees written in Python: a builder whose tasks can be named as dependencies and as inputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

from ..domain.errors import InvalidInput
from ..domain.inputs import REFERENCE
from .encoding import as_json
from .policies import PolicyFields


class TaskHandle:
    """A task in the making. Pass it in ``after=[…]``, or its `result` inside ``inputs``."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    @property
    def key(self) -> str:
        """What the task is called in its tree."""
        return str(self._document["id"])

    def result(self, pointer: str = "") -> dict[str, str]:
        """The value at a JSON Pointer of this task's result, for use in another task's inputs."""
        reference = {REFERENCE: self.key}
        return {**reference, "pointer": pointer} if pointer else reference


class TreeBuilder:
    """Collects tasks under one root, which is a group where it has no executor of its own.

    ``limit`` caps how many of its tasks run at once.
    """

    def __init__(self, name: str, *, user_id: str | None = None, limit: int | None = None) -> None:
        self.name = name
        self.limit = limit
        self._tasks: list[dict[str, Any]] = [{"id": name, "name": name}]
        self._taken = {name}
        self._counts: dict[str, int] = {}
        if user_id is not None:
            self._tasks[0]["user_id"] = user_id

    def task(
        self,
        executor: str | Callable[..., Any],
        key: str | None = None,
        *,
        inputs: Mapping[str, Any] | None = None,
        after: Sequence[TaskHandle | str] = (),
        after_end_of: Sequence[TaskHandle | str] = (),
        priority: int | None = None,
        params: Mapping[str, Any] | None = None,
        schemas: Mapping[str, Any] | None = None,
        under: TaskHandle | str | None = None,
        **policy: Unpack[PolicyFields],
    ) -> TaskHandle:
        """Add a task that ``executor`` (an id, or a function made with ``@task``) runs.

        It starts once all of ``after`` have completed and all of ``after_end_of`` have ended.
        A `TaskHandle.result` in ``inputs`` adds its task to ``after``. ``policy``: retry, timeout
        and their like, as in a tree that is written as JSON.
        """
        id = executor if isinstance(executor, str) else executor_id(executor)
        name = key or self._fresh(id)
        named = [*_keys(after), *_named_in(inputs)]
        document: dict[str, Any] = {
            "id": name,
            "name": name,
            "parent_id": self.name if under is None else _key(under),
            "params": {**(params or {}), "executor_id": id},
            "inputs": dict(inputs or {}),
            "dependencies": [
                *({"id": k, "required": True} for k in dict.fromkeys(named)),
                *({"id": k, "required": False} for k in _keys(after_end_of) if k not in named),
            ],
        }
        document |= policy
        if priority is not None:
            document["priority"] = priority
        if schemas is not None:
            document["schemas"] = dict(schemas)
        return self._add(document)

    def group(self, key: str, *, under: TaskHandle | str | None = None) -> TaskHandle:
        """Add a group: tasks put ``under`` it stand or fall together."""
        document = {
            "id": key,
            "name": key,
            "parent_id": self.name if under is None else _key(under),
        }
        return self._add(document)

    def documents(self) -> list[bytes]:
        """The tasks as JSON objects. Raises `InvalidInput` for inputs that are not JSON."""
        return [as_json(document, f"task {document['id']!r}") for document in self._tasks]

    def _add(self, document: dict[str, Any]) -> TaskHandle:
        self._tasks.append(document)
        self._taken.add(document["id"])
        return TaskHandle(document)

    def _fresh(self, stem: str) -> str:
        name = stem
        while name in self._taken:
            self._counts[stem] = self._counts.get(stem, 1) + 1
            name = f"{stem}-{self._counts[stem]}"
        return name


def executor_id(function: Callable[..., Any]) -> str:
    """The id under which ``@task`` registered a function. Raises `InvalidInput`."""
    made = getattr(function, "__executor__", None)
    if made is None:
        raise InvalidInput(
            f"{getattr(function, '__name__', function)!r} is no task: decorate it with @task"
        )
    return str(made.id)


def _key(task: TaskHandle | str) -> str:
    return task if isinstance(task, str) else task.key


def _keys(tasks: Sequence[TaskHandle | str]) -> list[str]:
    return [_key(task) for task in tasks]


def _named_in(value: Any) -> list[str]:
    """The tasks that references in ``value`` name."""
    found: list[str] = []
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, Mapping):
            if isinstance(item.get(REFERENCE), str):
                found.append(item[REFERENCE])
            todo.extend(item.values())
        elif isinstance(item, list | tuple):
            todo.extend(item)
    return found
