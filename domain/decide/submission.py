"""From draft to run: the graph is checked, executors are chosen."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from .. import events as e
from ..errors import Fault, InvalidGraph, NotADraft
from ..graph import check
from ..inputs import references
from ..specs import EMPTY_OBJECT, NO_POLICY, ExecutorRef, TaskSpec
from ..tree import Tree
from ..wording import quoted
from .stamp import Stamp

Registered = Callable[[str], str | None]
"""Says by which module an executor id is registered (maybe ""), None where it is not.

It may be a `Lacking`.
"""


class Lacking(str):
    """The module of an executor that is known and cannot be used here; ``why`` says what to do."""

    __slots__ = ("why",)
    why: str

    def __new__(cls, module: str, why: str) -> "Lacking":
        """``why`` is a sentence that names the executor."""
        self = super().__new__(cls, module)
        self.why = why
        return self


class _Params(Struct, gc=False):
    executor_id: str | None = None


class _Schemas(Struct, gc=False):
    method: str | None = None


_ADVICE = (
    "register it, or load the module that does with --import (or APFLOW_IMPORT); "
    "`apflow executors` lists what there is"
)

_params = msgspec.json.Decoder(_Params)
_schemas = msgspec.json.Decoder(_Schemas)


def submit(
    tree: Tree,
    registered: Registered,
    stamp: Stamp,
    *,
    strict: bool = False,
    demo: bool = False,
    reattaches: Callable[[str], bool] = lambda _: False,
) -> list[e.AnyEvent]:
    """The draft is to be run: the graph is checked, executors are chosen. Twice changes nothing.

    ``reattaches`` says of a registered executor whether it can find work again.
    With ``strict`` a task that no registered executor can run is a fault, too; else it fails when
    its turn comes. With ``demo`` it is run for show.
    """
    if tree.submitted:
        return []
    if not tree.is_draft:
        raise NotADraft(tree.id)
    specs = [task.spec for task in tree.live()]
    executors, of = choose(specs, registered)
    faults = _faults(specs, of)
    if strict:
        faults.extend(_unregistered(specs, executors, of, registered))
    if faults:
        raise InvalidGraph(faults)
    chosen = tuple(
        ExecutorRef(ref.id, ref.module, registered(ref.id) is not None and reattaches(ref.id))
        for ref in executors
    )
    return [
        e.TreeSubmitted(
            at=stamp.at, by=stamp.by, cause=stamp.cause, executors=chosen, of=tuple(of),
            demo=demo and not tree.options.demo,
        )
    ]  # fmt: skip


def graph_faults(specs: Sequence[TaskSpec], registered: Registered) -> list[Fault]:
    """All for which `submit` would refuse these tasks."""
    return _faults(specs, choose(specs, registered)[1])


def _faults(specs: Sequence[TaskSpec], of: Sequence[int | str | None]) -> list[Fault]:
    groups = {n for n, kind in enumerate(of) if kind == e.GROUP}
    return [*check(specs, groups), *reference_faults(specs), *_group_policies(specs, groups)]


def _group_policies(specs: Sequence[TaskSpec], groups: Iterable[int]) -> Iterator[Fault]:
    for n in groups:
        if specs[n].policy is not NO_POLICY and specs[n].policy != NO_POLICY:
            message = (
                "a group calls no executor: retries, times and concurrency belong to its tasks"
            )
            yield Fault("group_policy", specs[n].label, message)


class _Known(dict[str, str | None]):
    """What ``registered`` said, asked once per name."""

    def __init__(self, registered: Registered) -> None:
        super().__init__()
        self._registered = registered

    def __missing__(self, id: str) -> str | None:
        self[id] = module = self._registered(id)
        return module


def choose(
    specs: Sequence[TaskSpec], registered: Registered
) -> tuple[list[ExecutorRef], list[int | str | None]]:
    """Which executor runs each task: ``params.executor_id``, ``schemas.method``, or the name.

    The first found is taken; the first two count even where nothing by that id is registered. A
    task with none of them is a group where it has children.
    """
    parents = {spec.parent for spec in specs}
    known = _Known(registered)
    numbers: dict[str, int] = {}
    executors: list[ExecutorRef] = []
    of: list[int | str | None] = []
    for spec in specs:
        id = named_executor(spec)
        if id is None and known[spec.name] is not None:
            id = spec.name
        if id is None:
            of.append(e.GROUP if spec.id in parents else None)
            continue
        if id not in numbers:
            numbers[id] = len(executors)
            executors.append(ExecutorRef(id, known[id] or ""))
        of.append(numbers[id])
    return executors, of


def named_executor(spec: TaskSpec) -> str | None:
    """The executor that the task asks for by id, if it does."""
    if spec.params is not EMPTY_OBJECT:
        with suppress(msgspec.ValidationError):
            if found := _params.decode(spec.params).executor_id:
                return found
    if spec.schemas is not EMPTY_OBJECT:
        with suppress(msgspec.ValidationError):
            return _schemas.decode(spec.schemas).method or None
    return None


def unregistered(specs: Sequence[TaskSpec], registered: Registered) -> list[Fault]:
    """A fault for every task that no executor registered here can run."""
    return _unregistered(specs, *choose(specs, registered), registered)


def _unregistered(
    specs: Sequence[TaskSpec],
    executors: Sequence[ExecutorRef],
    of: Sequence[int | str | None],
    registered: Registered,
) -> list[Fault]:
    absent = {
        n: why
        for n, executor in enumerate(executors)
        if (why := _absence(executor.id, registered(executor.id)))
    }
    faults = []
    for spec, kind in zip(specs, of, strict=True) if absent or None in of else ():
        if kind is None:
            message = (
                f"no executor: name one in params.executor_id; {quoted(spec.name)} is not one, "
                f"and the task has no children. If it should be one: {_ADVICE}"
            )
            faults.append(Fault("executor_not_found", spec.label, message))
        elif isinstance(kind, int) and kind in absent:
            faults.append(Fault("executor_not_found", spec.label, absent[kind]))
    return faults


def _absence(id: str, module: str | None) -> str:
    """Why nothing can be run by the executor; empty where it can."""
    if module is None:
        return f"the executor {quoted(id)} is not registered: {_ADVICE}"
    return module.why if isinstance(module, Lacking) else ""


def reference_faults(specs: Sequence[TaskSpec]) -> list[Fault]:
    """``$from`` may only name a declared dependency, by its key."""
    referring = [
        (spec, named)
        for spec in specs
        if spec.inputs is not EMPTY_OBJECT and (named := set(references(spec.inputs)))
    ]
    labels = {spec.id: spec.label for spec in specs} if referring else {}
    faults = []
    for spec, named in referring:
        for key in sorted(named - {labels.get(d.on, d.on) for d in spec.dependencies}):
            message = (
                f"inputs refer to {quoted(key)}, which is not among its dependencies; add it there"
            )
            faults.append(Fault("undeclared_reference", spec.label, message))
    return faults
