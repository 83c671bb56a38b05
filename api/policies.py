"""The fields of a task that say how it is tried, as Python callers give them."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from ..domain.policies import POLICY_FIELDS

__all__ = ["POLICY_FIELDS", "PolicyFields"]


class PolicyFields(TypedDict, total=False):
    """See `domain.specs.Policy` and `domain.specs.RetryPolicy` for their meaning and defaults."""

    retry: Mapping[str, Any]
    timeout: float
    deadline: float
    heartbeat: float
    on_interrupt: str
    max_interruptions: int
    concurrency: Mapping[str, Any]
    idempotent: bool
    accept: Sequence[int]
