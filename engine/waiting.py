"""What tasks that wait say of it: looked at when their tree is submitted, as far as it can be."""

from collections.abc import Sequence

from msgspec import json

from ..domain.errors import Fault
from ..domain.inputs import references
from ..domain.specs import EMPTY_OBJECT, TaskSpec
from ..domain.tree import Tree
from .ports import SIGNAL, WAIT, Executors


def waiting_faults(executors: Executors, tree: Tree) -> list[Fault]:
    """What is wrong with the inputs of tasks that wait for a time or a signal.

    Those of a signal are not computed; those of a wait are looked at when they begin where a
    reference stands in them.
    """
    waits = {n: ref.id for n, ref in enumerate(tree.executors) if ref.id in (SIGNAL, WAIT)}
    if not waits:
        return []
    return [
        Fault("invalid_inputs", task.spec.label, text)
        for task in tree.live()
        if task.kind in waits
        for text in _wrong(executors, waits[task.kind], task.spec)
    ]


def _wrong(executors: Executors, executor: str, spec: TaskSpec) -> Sequence[str]:
    if any(references(spec.inputs)):
        text = "a signal's inputs hold no $from: write them out"
        return (text,) if executor == SIGNAL else ()
    return executors.violations(executor, EMPTY_OBJECT, json.decode(spec.inputs))
