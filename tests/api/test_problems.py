"""One table says what each error is outside: none of ours is missing, the codes are as promised."""

import inspect

import msgspec
import pytest

from aipartnerupflow.api.problems import (
    KINDS,
    AmbiguousId,
    Exit,
    Interrupted,
    TimedOut,
    kind_of,
    problem,
)
from aipartnerupflow.domain import errors
from aipartnerupflow.domain.errors import ApflowError, Fault, InvalidGraph, NotFound

OURS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ApflowError)
]


@pytest.mark.parametrize("kind", OURS)
def test_every_error_of_the_domain_stands_in_the_table(kind: type[ApflowError]) -> None:
    assert kind in KINDS


def test_each_line_has_a_name_of_its_own() -> None:
    slugs = [kind.slug for kind in KINDS.values()]
    assert len(set(slugs)) == len(slugs)
    assert all(400 <= kind.status < 600 for kind in KINDS.values())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.StoreFull("x"), Exit.ERROR),
        (errors.ExecutorMissing("t", {"a": "m"}), Exit.ERROR),
        (errors.InvalidInput("x"), Exit.USAGE),
        (AmbiguousId("a", ("ab", "ac"), False), Exit.USAGE),
        (InvalidGraph([]), Exit.USAGE),
        (NotFound("tree", "x"), Exit.NOT_FOUND),
        (errors.OwnedElsewhere("t", "e"), Exit.CONFLICT),
        (errors.StaleVersion("t", 3), Exit.CONFLICT),
        (errors.InvalidTransition("x"), Exit.CONFLICT),
        (TimedOut("x"), Exit.TIMEOUT),
        (Interrupted("x"), Exit.INTERRUPTED),
    ],
)
def test_exit_codes_are_as_promised(error: ApflowError, code: Exit) -> None:
    assert kind_of(error).exit == code


def test_a_kind_that_is_not_in_the_table_is_what_it_is_made_from() -> None:
    class Stranger(NotFound):
        pass

    assert kind_of(Stranger("tree", "x")).slug == "not-found"


def test_a_problem_lists_every_fault_by_task_or_place() -> None:
    faults = [Fault("cycle", "a", "a -> b -> a"), Fault("malformed", "/1/children/0", "no object")]
    document = msgspec.to_builtins(problem(InvalidGraph(faults)))
    assert list(document["errors"]) == [
        {"code": "cycle", "detail": "a -> b -> a", "key": "a"},
        {"code": "malformed", "detail": "no object", "pointer": "/1/children/0"},
    ]
    assert "status" not in document
    assert problem(InvalidGraph(faults), http=True).status == 422
