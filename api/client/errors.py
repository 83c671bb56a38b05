"""What goes wrong with a server: problem documents become the errors that they stand for."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from ...domain import errors as e
from ...domain.errors import ApflowError, Fault, InvalidGraph
from ..problems import KINDS, Forbidden, Problem, Unauthenticated, page

MEDIA: Final = "application/problem+json"


class ProblemError(ApflowError):
    """What a server has refused or failed at.

    Where the kind is known it is also an instance of that error: ``except NotFound`` catches what
    a server does not find. It has the problem's fields, not those of the error's own class.
    """

    problem: Problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status or 500

    @property
    def slug(self) -> str:
        """The kind of problem, by its stable name."""
        return slug_of(self.problem)


def slug_of(problem: Problem) -> str:
    """The last part of a problem's type."""
    return problem.type.rpartition("/")[2]


def error_of(problem: Problem) -> ProblemError:
    """The error to raise for a problem."""
    kind = _kind(slug_of(problem), problem.status or 500)
    error = kind.__new__(kind, problem.detail)
    error.problem = problem
    if isinstance(error, InvalidGraph):
        faults = [Fault(d.code, d.key or d.pointer, d.detail) for d in problem.errors]
        InvalidGraph.__init__(error, faults)
    return error


def problem_of(status: int, media: str, body: bytes) -> Problem:
    """What an answer that is no success says; where it is none of ours: `Unreachable`."""
    if media == MEDIA:
        try:
            found = msgspec.json.decode(body, type=Problem)
        except msgspec.MsgspecError:
            pass
        else:
            return msgspec.structs.replace(found, status=status)
    return Problem(
        page("unreachable"), "Not an answer of ours",
        f"the server answered with HTTP status {status}, in another form "
        "than aipartnerupflow does. Is it the right address?",
        status,
    )  # fmt: skip


BY_STATUS: Final[Mapping[int, type[ApflowError]]] = {
    400: e.InvalidInput, 401: Unauthenticated, 403: Forbidden, 404: e.NotFound,
    409: e.InvalidTransition, 412: e.VersionMismatch, 413: e.InvalidInput, 415: e.InvalidInput,
    422: e.InvalidInput,
}  # fmt: skip
"""What a problem is of a kind that this version does not know."""


@cache
def _kind(slug: str, status: int) -> type[ProblemError]:
    """The error of a known kind that is a `ProblemError` too."""
    named = next((kind for kind, about in KINDS.items() if about.slug == slug), None)
    known = named or BY_STATUS.get(status, ApflowError)
    if known is ApflowError:
        return ProblemError
    made: Any = type(known.__name__, (ProblemError, known), {"__doc__": known.__doc__})
    kind: type[ProblemError] = made
    return kind
