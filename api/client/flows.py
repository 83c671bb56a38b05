"""What a client does, step by step, without doing it: the same for both, whoever sends and waits.

A flow yields a `Call` to be sent, and is given the `Answer` or httpx's error; or it yields seconds
to wait. What it returns is the result.
"""

import secrets
import time
from collections.abc import Generator
from typing import Any, Final, TypeVar

import httpx
import msgspec

from ...domain.errors import ApflowError
from ..documents import Accepted, Submitted, TreeDocument
from ..problems import Problem, TimedOut, Unanswered, Unreachable, page
from . import calls
from .errors import error_of, problem_of
from .types import Answer, Call
from .written import Tree

T = TypeVar("T")
Flow = Generator[Call[Any] | float, Any, T]

FIRST: Final = 0.1
CAP: Final = 5.0
"""Seconds before the first repetition, and before any later one at most."""
AGAIN: Final = frozenset({429, 502, 503, 504})
LONGEST_WAIT: Final = 30.0
POLL: Final = 0.2
SETTLED: Final = "tree.settled"
REOPENED: Final = "tree.reopened"

NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Backoff:
    """How long to wait before the next attempt, and for how long at all (``patience``, seconds)."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._until: float | None = None
        self._pause = FIRST

    def well(self) -> None:
        """It worked: begin anew."""
        self._until = None
        self._pause = FIRST

    def reached(self) -> None:
        """The server answers, if not as hoped for: patience begins anew, pauses go on growing."""
        self._until = None

    def next(self, at_least: float = 0.0) -> float | None:
        """Seconds to wait; None where patience is at its end."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._patience
        pause = max(self._pause * (0.5 + secrets.randbelow(512) / 1024), at_least)
        self._pause = min(2 * self._pause, CAP)
        return pause if now + pause < self._until else None


def ask(patience: float, call: Call[T]) -> Flow[T]:
    """Send a call, again where that is safe, and see it through where another engine is to act."""
    found = yield from _once(patience, call)
    if isinstance(found, Accepted) and found.command is not None:
        return (yield from _carried_out(patience, found))  # type: ignore[return-value]
    return found


def _once(patience: float, call: Call[T]) -> Flow[T]:
    backoff = Backoff(patience)
    while True:
        try:
            answer: Answer = yield call
        except httpx.RequestError as error:
            pause = backoff.next() if call.repeatable or isinstance(error, NOT_SENT) else None
            if pause is None:
                raise lost(call, error) from error
        else:
            if answer.status < 300 or answer.status in call.fine:
                return _read(call, answer)
            problem = problem_of(answer.status, answer.media, answer.body)
            pause = backoff.next(answer.retry_after or 0.0) if _passes(call, answer) else None
            if pause is None:
                raise error_of(problem)
        yield pause


def _passes(call: Call[T], answer: Answer) -> bool:
    """Whether the same call may soon be answered otherwise."""
    in_flight = answer.status == 409 and answer.retry_after is not None
    return call.repeatable and (answer.status in AGAIN or in_flight)


def _read(call: Call[T], answer: Answer) -> T:
    try:
        return call.read(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreachable(
            f"what answers to {call.method} {call.path} is no server of ours, or of another "
            "version. Is it the right address?"
        ) from error


def lost(call: Call[Any], error: httpx.RequestError) -> ApflowError:
    """What to raise where no answer came."""
    why = reason(error)
    if call.repeatable or isinstance(error, NOT_SENT):
        return Unreachable(
            f"the server cannot be reached{why}. Does it run, and is its address right? "
            "`apflow serve` starts one."
        )
    return Unreachable(
        f"no answer came{why}. It may have been carried out; read the tree before you ask again."
    )


def reason(error: httpx.RequestError) -> str:
    """Which address it was, and what happened."""
    text = str(error) or type(error).__name__
    try:
        url = error.request.url
    except RuntimeError:
        return f": {text}"
    return f" at {url.scheme}://{url.netloc.decode()}: {text}"


def _carried_out(patience: float, accepted: Accepted) -> Flow[Accepted]:
    id = (accepted.command or "").rpartition("/")[2]
    until = time.monotonic() + patience
    while True:
        state = yield from _once(patience, calls.command(id))
        if state.state == "done":
            return msgspec.structs.replace(accepted, version=state.version, command=None)
        if state.state == "refused":
            detail = state.detail or "it was refused"
            raise error_of(Problem(page("conflict"), "The state does not allow it", detail, 409))
        if time.monotonic() > until:
            raise Unanswered(
                f"the engine that runs tree {accepted.id} has not answered yet. The command {id} "
                "lies in its inbox and will be carried out."
            )
        yield POLL


def submit(
    patience: float,
    tree: Tree,
    *,
    name: str | None = None,
    limit: int | None = None,
    start: bool = True,
    idempotency_key: str | None = None,
    wait: float = 0.0,
) -> Flow[Submitted]:
    """Make a tree and start it; returns once it is durable, or with ``wait`` once it has settled,
    or after so many seconds. ``start`` false: it stays a draft.

    ``tree`` is an array of tasks, a task with ``children``, or an object with ``tasks``; or JSON of
    these. It is made once however often it is sent: under a key of its own unless one is given.
    """
    call = calls.submit(tree, name=name, limit=limit, start=start, idempotency_key=idempotency_key)
    done = yield from ask(patience, call)
    if wait and not done.draft:
        try:
            yield from settled(patience, done.id, timeout=wait)
        except TimedOut:
            return done
    return done


def settled(patience: float, id: str, timeout: float | None = None) -> Flow[TreeDocument]:
    """The tree, once it has settled. Raises `TimedOut` after ``timeout`` seconds."""
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = LONGEST_WAIT if until is None else until - time.monotonic()
        found = yield from ask(patience, calls.tree(id, wait=min(left, LONGEST_WAIT)))
        if found.completed_at is not None:
            return found
        left = POLL if until is None else until - time.monotonic()
        if left <= 0:
            raise TimedOut(f"tree {id} has not settled in the time allowed; it goes on")
        yield min(POLL, left)


def at_its_end(patience: float, id: str, version: int) -> Flow[bool]:
    """Whether a tree is settled, and has been since ``version`` or before."""
    newest = calls.events(id, types=(SETTLED, REOPENED), order="desc", page=1)
    found = (yield from ask(patience, newest)).items
    return bool(found) and found[0].type == SETTLED and found[0].version <= version
