"""Plain functions as executors.

    @task
    async def add(a: int, b: int = 1):
        return {"sum": a + b}

Inputs come as keyword arguments; a parameter ``context`` gets the context of the attempt. The only
other parameter being ``inputs``, it gets them all. ``**kwargs`` takes what no parameter names.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, iscoroutinefunction, signature
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, overload

from msgspec import Struct

from ...domain.errors import InvalidInput
from .base import BaseTask, Inputs
from .registration import default_registry
from .registry import EXECUTOR, Registry

F = TypeVar("F", bound=Callable[..., Any])

CONTEXT: Final = "context"
INPUTS: Final = "inputs"

_BY_NAME: Final = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_TYPES: Final[dict[Any, str]] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    None: "null",
    type(None): "null",
    list: "array",
    dict: "object",
    Sequence: "array",
    Mapping: "object",
}


class Shape(Struct, frozen=True):
    """How a function takes its inputs: all as one dict, or each under its name."""

    names: tuple[str, ...]
    whole: bool
    rest: bool
    context: bool
    schema: dict[str, Any] | None

    def arguments(self, inputs: Inputs, context: Any) -> dict[str, Any]:
        """The keyword arguments of one call."""
        if self.whole:
            arguments = {INPUTS: inputs}
        elif self.rest:
            arguments = dict(inputs)
        else:
            arguments = {name: inputs[name] for name in self.names if name in inputs}
        if self.context:
            arguments[CONTEXT] = context
        return arguments


@overload
def task(function: F) -> F: ...


@overload
def task(
    function: None = None,
    *,
    id: str | None = None,
    name: str | None = None,
    limit: int | None = None,
    runs: str | None = None,
    tags: Sequence[str] = (),
    override: bool = False,
    registry: Registry = default_registry,
) -> Callable[[F], F]: ...


def task(
    function: Callable[..., Any] | None = None,
    *,
    id: str | None = None,
    name: str | None = None,
    limit: int | None = None,
    runs: str | None = None,
    tags: Sequence[str] = (),
    override: bool = False,
    registry: Registry = default_registry,
) -> Any:
    """Register a function as an executor; it can still be called as before.

    ``id`` is the function's name where none is given. ``limit`` and ``runs`` are as in `BaseTask`.
    """

    def register(target: F) -> F:
        known_as = id or target.__name__
        facts = {
            "id": known_as,
            "name": name or known_as,
            "limit": limit,
            "runs": runs,
            "tags": tuple(tags),
        }
        cls = _class_of(target, facts)
        registry.register(cls, override=override)
        setattr(target, EXECUTOR, cls)
        return target

    return register if function is None else register(function)


def _class_of(function: Callable[..., Any], facts: dict[str, Any]) -> type[BaseTask]:
    """An executor class; it stands under the function's own name, so that a reload is known."""
    shape = _shape(function)

    async def run(self: BaseTask, inputs: Inputs) -> Any:
        return await function(**shape.arguments(inputs, self.context))

    def run_blocking(self: BaseTask, inputs: Inputs) -> Any:
        return function(**shape.arguments(inputs, self.context))

    body = {
        **facts,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
        "description": (function.__doc__ or "").strip().partition("\n")[0],
        "inputs_schema": shape.schema,
        "execute": run if iscoroutinefunction(function) else run_blocking,
    }
    return type(function.__name__, (BaseTask,), body)


def _shape(function: Callable[..., Any]) -> Shape:
    parameters = _parameters(function)
    context = any(each.name == CONTEXT for each in parameters)
    rest = any(each.kind is Parameter.VAR_KEYWORD for each in parameters)
    named = [each for each in parameters if each.kind in _BY_NAME and each.name != CONTEXT]
    whole = not rest and [each.name for each in named] == [INPUTS]
    for each in parameters:
        if each.kind in (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL):
            raise InvalidInput(
                f"the task function {function.__qualname__} has a parameter {each.name!r} that "
                "cannot be given by its name; inputs come as keyword arguments"
            )
    schema = None if whole or (rest and not named) else _schema(named, rest)
    return Shape(tuple(each.name for each in named), whole, rest, context, schema)


def _parameters(function: Callable[..., Any]) -> list[Parameter]:
    try:
        return list(signature(function, eval_str=True).parameters.values())
    except (NameError, TypeError, AttributeError, SyntaxError):
        # An annotation that cannot be looked up: the names are what counts.
        return list(signature(function).parameters.values())


def _schema(named: Sequence[Parameter], rest: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {each.name: _schema_of(each.annotation) for each in named},
    }
    required = [each.name for each in named if each.default is Parameter.empty]
    if required:
        schema["required"] = required
    if not rest:
        schema["additionalProperties"] = False
    return schema


def _schema_of(annotation: Any) -> dict[str, Any]:
    """JSON Schema of the annotations whose meaning in JSON is plain; anything for the others."""
    origin = get_origin(annotation)
    if origin is Literal:
        return {"enum": list(get_args(annotation))}
    if origin in (Union, types.UnionType):
        parts = [_schema_of(each) for each in get_args(annotation)]
        return {"anyOf": parts} if all(parts) else {}
    try:
        found = _TYPES.get(origin or annotation)
    except TypeError:  # not hashable
        found = None
    return {} if found is None else {"type": found}
