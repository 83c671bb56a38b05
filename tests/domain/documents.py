"""Documents as clients write them, and what becomes of them."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import json

from aipartnerupflow.domain.errors import Fault, InvalidGraph
from aipartnerupflow.domain.intake import Intake, read
from aipartnerupflow.domain.specs import TaskSpec

Written = dict[str, Any]


def counting() -> Callable[[], str]:
    made = iter(range(1, 1_000))
    return lambda: f"new-{next(made)}"


def taken_in(*documents: Written) -> Intake:
    return read([json.encode(document) for document in documents], counting())


def spec_of(*documents: Written) -> TaskSpec:
    """The specification of the last document."""
    return taken_in(*documents).specs[-1]


def faults_of(*documents: Written) -> list[tuple[str, str]]:
    """The code and place of each fault."""
    return [(fault.code, fault.where) for fault in refused(*documents)]


def refused(*documents: Written) -> tuple[Fault, ...]:
    with pytest.raises(InvalidGraph) as caught:
        taken_in(*documents)
    return caught.value.faults


R: Written = {"id": "r", "name": "root"}


def under_r(id: str, **fields: Any) -> Written:
    return {"id": id, "name": id, "parent_id": "r"} | fields
