"""A client for the server, for programs: `Client`, and `AsyncClient` for event loops.

Loads nothing of the server. Needs httpx: ``pip install 'aipartnerupflow[http]'``.
"""

from ..documents import (
    Accepted,
    CommandState,
    ExecutorDocument,
    Health,
    PlanDocument,
    Submitted,
    TaskDocument,
    TaskInFull,
    TreeDocument,
    Why,
)
from ..problems import Forbidden, TimedOut, Unauthenticated, Unreachable
from ..told import Event
from .errors import ProblemError

try:
    from .awaiting import AsyncClient
    from .blocking import Client
except ModuleNotFoundError as error:
    if error.name != "httpx":
        raise
    raise ModuleNotFoundError(
        "the client needs httpx: pip install 'aipartnerupflow[http]'", name="httpx"
    ) from error

__all__ = [
    "Accepted",
    "AsyncClient",
    "Client",
    "CommandState",
    "Event",
    "ExecutorDocument",
    "Forbidden",
    "Health",
    "PlanDocument",
    "ProblemError",
    "Submitted",
    "TaskDocument",
    "TaskInFull",
    "TimedOut",
    "TreeDocument",
    "Unauthenticated",
    "Unreachable",
    "Why",
]
