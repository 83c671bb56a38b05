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
from .awaiting import AsyncClient
from .blocking import Client
from .errors import ProblemError

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
