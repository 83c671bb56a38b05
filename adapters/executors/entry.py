"""What is known of one executor class, worked out once."""

from collections.abc import Callable, Mapping, Sequence
from inspect import getattr_static, iscoroutinefunction
from logging import getLogger
from typing import Any, Final

from msgspec import Raw, json

from ...domain.errors import InvalidInput
from ...domain.specs import EMPTY_OBJECT, is_id
from ...engine.ports import SIGNAL, WAIT, Call, Kind
from .base import BaseTask, ExecutableTask
from .context import Context
from .hooks import Around
from .schemas import Check, as_json_schema, check_of, properties_of
from .view import TaskView

Factory = Callable[..., Any]
"""Makes an executor from the task's ``params``, given as keywords."""

ENGINE: Final = "engine"
"""Where `WAIT` and `SIGNAL` run: nowhere, the engine waits for them."""
_NO_PARAMS: Final = bytes(EMPTY_OBJECT)
_INHERITED: Final = (
    None,
    BaseTask.get_input_schema,
    ExecutableTask.get_input_schema,
)
_log = getLogger(__name__)
_params = json.Decoder(dict[str, Any])


class Entry:
    """One registered executor.

    ``coroutine``: `execute` is one. ``cancels`` and ``reattaches``: the class has a `cancel` or
    `reattach` of its own; one that runs in a worker process dies with it, so it never reattaches.
    """

    __slots__ = (
        "_check", "_declared", "_kind", "around", "based", "cancels", "cls", "coroutine",
        "factory", "id", "reattaches", "runs", "takes_params",
    )  # fmt: skip

    def __init__(self, cls: type, factory: Factory | None, around: Around) -> None:
        execute = getattr(cls, "execute", None)
        if not callable(execute):
            raise InvalidInput(f"{cls.__qualname__} has no method `execute(self, inputs)`")
        self.cls = cls
        self.factory: Factory = factory or cls
        self.id = _id_of(cls, self.factory)
        self.around = around
        self.coroutine = iscoroutinefunction(execute)
        self.based = issubclass(cls, BaseTask)
        self.takes_params = (
            factory is not None or getattr(cls, "__init__", None) is not object.__init__
        )
        self.cancels = getattr(cls, "cancel", None) not in (None, ExecutableTask.cancel)
        self._kind: Kind | None = None
        self._check: Check | None = None
        self._declared: Any = None
        _limit_of(cls)
        _require_schema(cls)
        self.runs = _runs_of(cls, self.id, self.coroutine)
        self.reattaches = _reattaches(cls) and self.runs != "process"

    def make(self, call: Call, context: Context) -> Any:
        """An executor for one attempt, knowing its context and its task."""
        executor = self.factory(**self._kwargs(call.params)) if self.takes_params else self.cls()
        if self.based:
            executor.context = context
            executor.task = TaskView(call)
            executor.task_id = call.task
            if call.owner is not None:
                executor.user_id = call.owner
            executor.set_inputs(call.inputs)
        else:
            _offer(executor, context, TaskView(call))
        return executor

    @staticmethod
    def _kwargs(params: Raw) -> dict[str, Any]:
        written = bytes(params)
        if written == _NO_PARAMS:
            return {}
        kwargs = _params.decode(written)
        kwargs.pop("executor_id", None)
        return kwargs

    @property
    def kind(self) -> Kind:
        """What the engine must know."""
        if self._kind is None:
            self._kind = Kind(
                id=self.id,
                module=self.cls.__module__,
                properties=self._filled_in(),
                by_key=bool(getattr(self.cls, "by_key", False)),
                limit=_limit_of(self.cls),
                runs=self.runs,
                checked=self.declared is not None,
                reattaches=self.reattaches,
            )
        return self._kind

    def _filled_in(self) -> tuple[str, ...] | None:
        """What a task waits for is what it says, not what a result happens to be called."""
        if self.runs == ENGINE or not getattr(self.cls, "by_name", True):
            return ()
        try:
            return properties_of(as_json_schema(self.declared))
        except Exception:  # noqa: BLE001 - what is in a model is the user's own code
            _log.warning(
                "executor %s: its model has no JSON Schema, so nothing is taken from dependencies "
                "by name", self.id, exc_info=True,
            )  # fmt: skip
            return None

    @property
    def check(self) -> Check:
        """The check of inputs against the executor's own schema."""
        if self._check is None:
            check = check_of(self.declared)
            more = getattr(self.cls, "check_inputs", None) if self.runs == ENGINE else None
            self._check = check if more is None else _further(check, more)
        return self._check

    def safe(self, call: Call) -> bool | None:
        """What the class's `safe_to_repeat` says of the inputs; None where it does not tell.

        One that is no class method is asked on an instance that is made for it.
        """
        if getattr(self.cls, "safe_to_repeat", None) is None:
            return None
        bound = isinstance(getattr_static(self.cls, "safe_to_repeat"), classmethod | staticmethod)
        owner: Any = self.cls if bound else self.make(call, Context.detached())
        says = owner.safe_to_repeat(call.inputs)
        if says is not None and not isinstance(says, bool):
            raise TypeError(f"it returns True, False or None, not a {type(says).__name__}")
        return says

    @property
    def declared(self) -> Any:
        """The executor's input schema in the form in which it was declared; None: there is none."""
        if self._declared is None:
            self._declared = self._find_schema() or {}
        return self._declared or None

    def _find_schema(self) -> Any:
        if getattr(self.cls, "get_input_schema", None) in _INHERITED:
            return getattr(self.cls, "inputs_schema", None)
        try:
            schema = self.factory().get_input_schema()
            if not _is_schema(schema):
                raise TypeError(f"it returns a JSON Schema, not a {type(schema).__name__}")
            return schema
        except Exception:  # noqa: BLE001 - foreign code
            _log.warning(
                "executor %s: its get_input_schema failed, no input is checked",
                self.id, exc_info=True,
            )  # fmt: skip
            return None


def _offer(executor: Any, context: Context, view: TaskView) -> None:
    """A class without our base gets the same two attributes, where it can hold them."""
    try:
        executor.context = context
        executor.task = view
    except (AttributeError, TypeError):
        pass


def _id_of(cls: type, factory: Factory) -> str:
    id = getattr(cls, "id", None)
    if isinstance(id, property):
        id = factory().id
    if not isinstance(id, str) or not is_id(id):
        raise InvalidInput(
            f'{cls.__qualname__} needs a class attribute like id = "my_executor": '
            "1 to 128 letters, digits and ._:-"
        )
    return id


def _limit_of(cls: type) -> int | None:
    limit = getattr(cls, "limit", None)
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InvalidInput(
            f"{cls.__qualname__}.limit is how many may run at once: a whole number from 1 on"
        )
    return limit


def _is_schema(declared: Any) -> bool:
    return (
        declared is None or isinstance(declared, Mapping) or hasattr(declared, "model_json_schema")
    )


def _require_schema(cls: type) -> None:
    inherited = getattr(cls, "get_input_schema", None) in _INHERITED
    declared = getattr(cls, "inputs_schema", None)
    if inherited and not _is_schema(declared):
        raise InvalidInput(
            f"{cls.__qualname__}.inputs_schema is a JSON Schema, a pydantic model class or None, "
            f"not a {type(declared).__name__}"
        )


def _runs_of(cls: type, id: str, coroutine: bool) -> str:
    runs = getattr(cls, "runs", None)
    if runs == ENGINE and id in (WAIT, SIGNAL):
        return ENGINE
    natural = "loop" if coroutine else "thread"
    if runs not in (None, natural, "process"):
        raise InvalidInput(
            f'{cls.__qualname__}.runs is "process" or left out; its execute runs in a {natural}'
        )
    return str(runs or natural)


def _reattaches(cls: type) -> bool:
    reattach = getattr(cls, "reattach", None)
    if reattach in (None, ExecutableTask.reattach):
        return False
    if not iscoroutinefunction(reattach):
        raise InvalidInput(
            f"{cls.__qualname__}.reattach is `async def reattach(self, inputs)`: it is asked in "
            "the event loop whether the work of a former attempt is still there"
        )
    return True


def _further(check: Check, more: Check) -> Check:
    """``more`` looks at values that fit the schema only."""

    def both(value: Any) -> Sequence[str]:
        return check(value) or more(value)

    return both
