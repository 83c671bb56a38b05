"""Whether a failed attempt is followed by another, and when."""

from ..specs import ErrorInfo, RetryPolicy
from ..tree import Task

TRANSIENT = "TransientError"
"""Among the bases of an error's class: the same call may well succeed a little later."""

DEFAULT = RetryPolicy(jitter="full", retry_on=(TRANSIENT,))
"""What holds for a task without a policy, and only where the call is safe to repeat."""

LONGEST_ASKED = 3600.0
"""Seconds for which a target may ask to be left alone, where the policy bears no longer delay."""


def delay(
    task: Task, error: ErrorInfo, *, safe: bool | None, retry_after: float | None, chance: float
) -> float | None:
    """Seconds until the next attempt; None where there is none.

    ``safe``: whether its executor tells that the call may be repeated (None: it does not tell).
    ``retry_after`` is the least that the target asked for; what goes beyond `LONGEST_ASKED` and the
    policy's longest delay is cut. ``chance`` in [0, 1) draws the jitter.
    """
    policy, asked = DEFAULT, task.spec.policy
    if asked.retry is not None:
        policy = asked.retry
    if task.failures + 1 >= policy.max_attempts or not _retryable(error, policy):
        return None
    told = safe is not False if asked.retry is not None else safe is True
    if not (told or asked.idempotent):
        return None
    asked_for = min(retry_after or 0.0, max(policy.max_delay, LONGEST_ASKED))
    return max(_backoff(policy, task.failures, chance), asked_for)


def _retryable(error: ErrorInfo, policy: RetryPolicy) -> bool:
    names = {error.type, *error.bases}
    if not names.isdisjoint(policy.non_retryable):
        return False
    return policy.retry_on is None or not names.isdisjoint(policy.retry_on)


def _backoff(policy: RetryPolicy, failures: int, chance: float) -> float:
    """The delay after the failure number ``failures`` + 1."""
    match policy.backoff:
        case "none":
            return 0.0
        case "fixed":
            seconds = min(policy.initial_delay, policy.max_delay)
        case _:
            seconds = _exponential(policy, failures)
    return seconds * chance if policy.jitter == "full" else seconds


def _exponential(policy: RetryPolicy, failures: int) -> float:
    try:
        factor = float(policy.multiplier) ** failures
    except OverflowError:
        return policy.max_delay
    return min(policy.initial_delay * factor, policy.max_delay)
