"""What a client may write of retries, times, interruptions and concurrency, and what it means."""

from collections.abc import Iterator
from math import isfinite
from operator import attrgetter
from typing import Literal

from msgspec import Struct

from .specs import MAX_INTERRUPTIONS, MAX_NAME, MAX_SECONDS, Concurrency, Policy, RetryPolicy

MAX_ATTEMPTS = 1_000
MAX_LIMIT = 1_000_000
MAX_ERRORS = 100
"""So many names of errors in one list."""


class WrittenRetry(Struct, forbid_unknown_fields=True, gc=False):
    """``retry`` of a task; see `specs.RetryPolicy`."""

    max_attempts: int = 3
    backoff: Literal["exponential", "fixed", "none"] = "exponential"
    initial_delay: float = 1.0
    multiplier: float = 2.0
    max_delay: float = 60.0
    jitter: Literal["none", "full"] = "none"
    retry_on: tuple[str, ...] | None = None
    non_retryable: tuple[str, ...] = ()


class WrittenConcurrency(Struct, forbid_unknown_fields=True, gc=False):
    """``concurrency`` of a task; see `specs.Concurrency`."""

    key: str
    limit: int = 1


class WrittenPolicy(Struct, kw_only=True, gc=False):
    """The fields of a task that make its `Policy`; None what it does not say."""

    retry: WrittenRetry | None = None
    timeout: float | None = None
    deadline: float | None = None
    heartbeat: float | None = None
    on_interrupt: Literal["rerun", "fail"] | None = None
    max_interruptions: int | None = None
    concurrency: WrittenConcurrency | None = None
    idempotent: bool | None = None
    accept: tuple[int, ...] | None = None


POLICY_FIELDS = WrittenPolicy.__struct_fields__
_values = attrgetter(*POLICY_FIELDS)
_NOTHING = (None,) * len(POLICY_FIELDS)


def policy_of(written: WrittenPolicy) -> Policy | None:
    """The policy that these fields make; None where they say nothing."""
    values = _values(written)
    if values == _NOTHING:
        return None
    said = {n: v for n, v in zip(POLICY_FIELDS, values, strict=True) if v is not None}
    if isinstance(retry := said.get("retry"), WrittenRetry):
        said["retry"] = RetryPolicy(*(getattr(retry, n) for n in RetryPolicy.__struct_fields__))
    if isinstance(concurrency := said.get("concurrency"), WrittenConcurrency):
        said["concurrency"] = Concurrency(concurrency.key, concurrency.limit)
    return Policy(**said)


def policy_faults(policy: Policy) -> Iterator[str]:
    """What is out of bounds, in sentences."""
    for name in ("timeout", "deadline", "heartbeat"):
        seconds = getattr(policy, name)
        if seconds is not None and not (0 < seconds <= MAX_SECONDS):
            yield f"{name} is a number of seconds above 0, at most {MAX_SECONDS:.0f}"
    if not 0 <= policy.max_interruptions <= MAX_ATTEMPTS:
        yield f"max_interruptions is 0 to {MAX_ATTEMPTS} (default {MAX_INTERRUPTIONS})"
    if policy.retry is not None:
        yield from _retry_faults(policy.retry)
    if policy.concurrency is not None:
        yield from _concurrency_faults(policy.concurrency)
    if len(policy.accept) > MAX_ERRORS:
        yield f"accept names at most {MAX_ERRORS} codes"


def _retry_faults(retry: RetryPolicy) -> Iterator[str]:
    if not 1 <= retry.max_attempts <= MAX_ATTEMPTS:
        yield f"retry.max_attempts is 1 to {MAX_ATTEMPTS}"
    for name in ("initial_delay", "max_delay"):
        if not 0 <= getattr(retry, name) <= MAX_SECONDS:
            yield f"retry.{name} is a number of seconds from 0 to {MAX_SECONDS:.0f}"
    if not (isfinite(retry.multiplier) and retry.multiplier >= 1):
        yield "retry.multiplier is 1 or more"
    for name in ("retry_on", "non_retryable"):
        names = getattr(retry, name) or ()
        if len(names) > MAX_ERRORS or not all(1 <= len(each) <= MAX_NAME for each in names):
            yield f"retry.{name} is a list of at most {MAX_ERRORS} names of error classes"


def _concurrency_faults(concurrency: Concurrency) -> Iterator[str]:
    if not 1 <= len(concurrency.key) <= MAX_NAME or "\0" in concurrency.key:
        yield f"concurrency.key has 1 to {MAX_NAME} characters, none of them NUL"
    if not 1 <= concurrency.limit <= MAX_LIMIT:
        yield f"concurrency.limit is 1 to {MAX_LIMIT}"
