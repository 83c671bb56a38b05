"""Broken logs of retries, waits, signals, cancels, pauses, re-runs and take-overs are found out."""

from collections.abc import Iterable

import pytest
from msgspec import structs

from aipartnerupflow.domain.events import AnyEvent
from aipartnerupflow.domain.specs import Concurrency, Policy, RetryPolicy, TaskSpec
from aipartnerupflow.testing.grammar import check_log
from aipartnerupflow.testing.trees import (
    attempt_failed,
    cancel_requested,
    cancelled,
    claimed,
    completed,
    failed,
    group_started,
    interrupted,
    log,
    paused,
    progressed,
    refused,
    released,
    reopened,
    running,
    saved,
    settled,
    signal,
    started,
    taken_over,
    task,
    tree_cancel_requested,
    tree_reopened,
    unpaused,
    waiting,
)

EARLY, NOON, LATE = (f"2026-01-01T{hour:02}:00:00.000000Z" for hour in (6, 12, 18))
Logs = dict[str, Iterable[AnyEvent]]
Broken = dict[str, tuple[Iterable[AnyEvent], str]]


def at(moment: str, fact: AnyEvent) -> AnyEvent:
    return structs.replace(fact, at=moment)


def by_engine(fact: AnyEvent) -> AnyEvent:
    return structs.replace(fact, by="engine")


def told(policy: Policy) -> TaskSpec:
    return task("r/a", policy=policy)


def begun(policy: Policy) -> list[AnyEvent]:
    """The task ``a`` runs under a policy."""
    return [*running("r(x)", told(policy)), started("a", slot=policy.concurrency)]


ONE = running("r(x)", "a")
BEGUN = [*ONE, started("a")]
TWO = running("r", "a", "b <- a")

# -- retries, interruptions, limits of time

BACKOFF = [*BEGUN, attempt_failed("a", NOON)]
TIMEOUTS = Policy(timeout=1.0, heartbeat=1.0, deadline=1.0, retry=RetryPolicy())
SOUND_RETRIES: Logs = {
    "another attempt at its time": [*BACKOFF, at(NOON, started("a", 2)),
                                    at(LATE, completed("a", attempt=2))],
    "as often as there is no policy": [*BACKOFF, started("a", 2),
                                       attempt_failed("a", NOON, attempt=2), started("a", 3),
                                       failed("a", attempt=3)],
    "as often as the policy says": [
        *begun(Policy(retry=RetryPolicy(max_attempts=4))), attempt_failed("a", NOON, "Broken"),
        started("a", 2), attempt_failed("a", NOON, "Broken", attempt=2), started("a", 3),
        attempt_failed("a", NOON, "Broken", attempt=3), started("a", 4)],
    "an interruption between counts for nothing": [
        *BACKOFF, started("a", 2), interrupted("a", attempt=2), started("a", 3),
        attempt_failed("a", NOON, attempt=3), started("a", 4)],
    "an error that is named": [
        *begun(Policy(retry=RetryPolicy(retry_on=("Busy",)))), attempt_failed("a", NOON, "Busy")],
    "a deadline passes before the next attempt": [
        *begun(Policy(deadline=1.0)), at(EARLY, attempt_failed("a", NOON)),
        at(EARLY, started("a", 2, called=False)), failed("a", "deadline_exceeded", attempt=2)],
    "timed out and tried again": [*begun(TIMEOUTS), attempt_failed("a", NOON, "attempt_timeout"),
                                  started("a", 2), failed("a", "heartbeat_timeout", attempt=2)],
    "interrupted once too often": [
        *begun(Policy(max_interruptions=1)), interrupted("a"), started("a", 2),
        failed("a", "interrupted_too_often", attempt=2)],
    "not to be interrupted": [*begun(Policy(on_interrupt="fail")), failed("a", "interrupted")],
}  # fmt: skip
BROKEN_RETRIES: Broken = {
    "one attempt too many": (
        [*BACKOFF, started("a", 2), attempt_failed("a", NOON, attempt=2), started("a", 3),
         attempt_failed("a", NOON, attempt=3)], "a goes on after 3 failed attempts of 3"),
    "one attempt more than the policy has": (
        [*begun(Policy(retry=RetryPolicy(max_attempts=1))), attempt_failed("a", NOON)],
        "a goes on after 1 failed attempts of 1"),
    "an error that is not transient": (
        [*BEGUN, attempt_failed("a", NOON, "Broken")], "a goes on after Broken"),
    "an error that the policy does not name": (
        [*begun(Policy(retry=RetryPolicy(retry_on=("Busy",)))),
         attempt_failed("a", NOON, "Broken")], "a goes on after Broken"),
    "an error that the policy excludes": (
        [*begun(Policy(retry=RetryPolicy(non_retryable=("Broken",)))),
         attempt_failed("a", NOON, "Broken")], "a goes on after Broken"),
    "a deadline that ends nothing": (
        [*begun(TIMEOUTS), attempt_failed("a", NOON, "deadline_exceeded")],
        "a goes on after deadline_exceeded"),
    "a start before its time": (
        [*BACKOFF, at(EARLY, started("a", 2))], f"a starts before {NOON}"),
    "a fault before its time": (
        [*BACKOFF, at(EARLY, started("a", 2, called=False)), failed("a", "Broken", attempt=2)],
        f"a starts before {NOON}"),
    "a wait before its time": (
        [*BACKOFF, at(EARLY, started("a", 2, called=False)), waiting("a", LATE, attempt=2)],
        f"a begins to wait before {NOON}"),
    "a next attempt in the past": (
        [*BEGUN, at(NOON, attempt_failed("a", EARLY))], "before its attempt failed"),
    "a failed attempt twice": (
        [*BACKOFF, attempt_failed("a", NOON)], "a, whose attempt 1 is not running"),
    "a failed attempt without a call": (
        [*ONE, started("a", called=False), attempt_failed("a", NOON)],
        "attempt.failed of a, whose executor was not called"),
    "a result of a failed attempt": (
        [*BACKOFF, completed("a")], "a, whose attempt 1 is not running"),
    "a failed attempt skipped over": ([*BACKOFF, started("a", 3)], "starts attempt 3"),
    "interrupted too often": (
        [*begun(Policy(max_interruptions=1)), interrupted("a"), started("a", 2),
         interrupted("a", attempt=2)], "a is interrupted 2 times and goes on"),
    "interrupted where it should fail": (
        [*begun(Policy(on_interrupt="fail")), interrupted("a")], "its policy says that it fails"),
    **{f"{error} out of nothing": ([*BEGUN, failed("a", error)], f"a fails by {error}, for which")
       for error in ("attempt_timeout", "heartbeat_timeout", "deadline_exceeded", "interrupted",
                     "interrupted_too_often")},
    "a timeout of what was not called": (
        [*running("r(x)", told(TIMEOUTS)), started("a", called=False),
         failed("a", "attempt_timeout")], "a fails by attempt_timeout, for which"),
}  # fmt: skip

# -- slots

KEYED = Policy(concurrency=Concurrency("k", 2), retry=RetryPolicy())
SOUND_SLOTS: Logs = {
    "each attempt has its slot": [*begun(KEYED), attempt_failed("a", NOON, "Busy"),
                                  started("a", 2, slot=Concurrency("k", 2))],
    "a fault before the call needs none": [
        *running("r(x)", told(KEYED)), started("a", called=False), failed("a")],
}  # fmt: skip
BROKEN_SLOTS: Broken = {
    "a start without its slot": (
        [*running("r(x)", told(KEYED)), started("a")], "a starts with the slot None, where"),
    "a start with another slot": (
        [*running("r(x)", told(KEYED)), started("a", slot=Concurrency("k", 3))],
        "a starts with the slot"),
    "a slot that nobody asked for": (
        [*ONE, started("a", slot=Concurrency("k", 2))], "where None is due"),
    "a slot for what is not called": (
        [*running("r(x)", told(KEYED)), started("a", called=False, slot=Concurrency("k", 2))],
        "where None is due"),
}  # fmt: skip

# -- waits and signals

WAITS = [*ONE, started("a", called=False), waiting("a", NOON)]
LISTENS = [*ONE, started("a", called=False), waiting("a", NOON, signal="go")]
PATIENT = [*ONE, started("a", called=False), waiting("a", signal="go")]
DEFAULT = running("r(x)", task("r/a", inputs={"default": 7}))
BOTH = running("r(x)", "a", "b")
SOUND_WAITS: Logs = {
    "until its time": [*WAITS, at(NOON, completed("a", {"waited_until": NOON}))],
    "over a claim": [*WAITS, claimed("engine-2", 2), at(LATE, completed("a"))],
    "over a release": [*WAITS, released(), claimed("engine-2", 2), at(LATE, completed("a"))],
    "for a signal": [*PATIENT, signal("s", "go", 5), completed("a", 5)],
    "for a signal that came before": [*ONE, signal("s", "go"), started("a", called=False),
                                      waiting("a", signal="go"), completed("a")],
    "for a large signal": [*PATIENT, signal("s", "go", 5),
                           structs.replace(completed("a"), result=b"", blob="0" * 64, size=70_000)],
    "until nobody came": [*LISTENS, at(NOON, failed("a", "signal_timeout"))],
    "until the default": [*DEFAULT, started("a", called=False), waiting("a", NOON, signal="go"),
                          at(NOON, completed("a", 7))],
    "each for its own signal": [
        *BOTH, started("a", called=False), waiting("a", signal="go"), signal("1", "go", 1),
        completed("a", 1), signal("2", "go", 2), signal("3", "stop"), started("b", called=False),
        waiting("b", signal="go"), completed("b", 2)],
    "until a deadline": [*running("r(x)", told(Policy(deadline=1.0))), started("a", called=False),
                         waiting("a", signal="go"), failed("a", "deadline_exceeded")],
}  # fmt: skip
BROKEN_WAITS: Broken = {
    "over too early": ([*WAITS, at(EARLY, completed("a"))], f"a completes before {NOON}"),
    "a timeout too early": (
        [*LISTENS, at(EARLY, failed("a", "signal_timeout"))],
        f"a fails by signal_timeout before {NOON}"),
    "a default too early": (
        [*DEFAULT, started("a", called=False), waiting("a", NOON, signal="go"),
         at(EARLY, completed("a", 7))], "a completes without the signal 'go' and before"),
    "a default that nobody gave": (
        [*LISTENS, at(NOON, completed("a", 7))],
        "a completes without the signal 'go' and without a default"),
    "no signal": ([*PATIENT, completed("a")], "a completes without the signal 'go'"),
    "a signal of another name": (
        [*PATIENT, signal("s", "stop"), completed("a")], "a completes without the signal 'go'"),
    "a signal that comes later": (
        [*PATIENT, completed("a"), signal("s", "go")], "a completes without the signal 'go'"),
    "a result that is not the signal's": (
        [*PATIENT, signal("s", "go", 5), completed("a", 6)], "a completes without the signal"),
    "one signal for two": (
        [*BOTH, started("a", called=False), waiting("a", signal="go"),
         started("b", called=False), waiting("b", signal="go"), signal("s", "go"),
         completed("a"), completed("b")], "b completes without the signal 'go'"),
    "a signal twice": (
        [*PATIENT, signal("s", "go"), signal("s", "go")], "the signal s is received again"),
    "a signal after the end": (
        [*running("r(x)"), started("r"), completed("r"), settled("completed"), signal("s", "go")],
        "signal.received after the end"),
    "a timeout of what waits for none": (
        [*WAITS, at(NOON, failed("a", "signal_timeout"))], "waits for no signal"),
    "a wait for nothing": (
        [*ONE, started("a", called=False), waiting("a")], "a waits for nothing"),
    "a wait of what is called": ([*BEGUN, waiting("a", NOON)], "which has begun something else"),
    "a wait before its start": ([*ONE, waiting("a", NOON)], "task.waiting of a, whose attempt 1"),
    "a wait of another attempt": (
        [*ONE, started("a", called=False), waiting("a", NOON, attempt=2)],
        "task.waiting of a, whose attempt 2 is not running"),
    "a wait twice": ([*WAITS, waiting("a", LATE)], "which has begun something else"),
    "an interruption of what waits": (
        [*WAITS, claimed("engine-2", 2), interrupted("a")],
        "task.interrupted of a, whose executor was not called"),
    "progress of what waits": ([*WAITS, progressed("a", 0.5)], "whose executor was not called"),
}  # fmt: skip

# -- claims

OVER = [*BEGUN, claimed("engine-2", 2)]
FOUND = [*OVER, taken_over("a", engine="engine-2", epoch=2)]
SOUND_CLAIMS: Logs = {
    "found again": [*FOUND, progressed("a", 0.5), completed("a")],
    "found again and tried again": [*FOUND, attempt_failed("a", NOON), started("a", 2)],
    "found again twice": [*FOUND, claimed("engine-3", 3),
                          taken_over("a", engine="engine-3", epoch=3), completed("a")],
    "not found again": [*OVER, interrupted("a"), started("a", 2), completed("a", attempt=2)],
    "given up": [*begun(Policy(on_interrupt="fail")), claimed("engine-2", 2),
                 failed("a", "interrupted")],
    "cancelled at the claim": [*BEGUN, cancel_requested("a"), claimed("engine-2", 2),
                               cancelled("a", 1, stopped=False)],
    "not looked for by who claims it in passing": [
        *OVER, released("engine-2"), claimed("engine-3", 3),
        taken_over("a", engine="engine-3", epoch=3), completed("a")],
    "others start meanwhile": [*running("r(x)", "a", "b"), started("a"), claimed("engine-2", 2),
                               started("b"), taken_over("a", engine="engine-2", epoch=2)],
}  # fmt: skip
BROKEN_CLAIMS: Broken = {
    **{f"{fact.topic} of what nobody has found": (
        [*OVER, fact], f"{fact.topic} of a, which nobody has taken over since the claim")
       for fact in (completed("a"), progressed("a", 0.5), saved("a", 1),
                    attempt_failed("a", NOON))},
    "a take-over lasts until the next claim": (
        [*FOUND, claimed("engine-3", 3), completed("a")], "which nobody has taken over"),
    "a release of what was found": ([*FOUND, released("engine-2")], "released while a runs"),
    "taken over from nobody": (
        [*BEGUN, taken_over("a")], "attempt.taken_over of a, whose engine has not changed"),
    "taken over twice": (
        [*FOUND, taken_over("a", engine="engine-2", epoch=2)], "whose engine has not changed"),
    "taken over after its end": (
        [*BEGUN, completed("a"), claimed("engine-2", 2), taken_over("a")],
        "attempt.taken_over of a after its end"),
    "taken over by another": ([*OVER, taken_over("a")], "by engine-1, epoch 1, not by the owner"),
    "taken over in another epoch": (
        [*OVER, taken_over("a", engine="engine-2", epoch=3)], "epoch 3, not by the owner"),
    "taken over as another attempt": (
        [*OVER, taken_over("a", 2, engine="engine-2", epoch=2)], "whose attempt 2 is not running"),
    "a wait that is taken over": (
        [*WAITS, claimed("engine-2", 2), taken_over("a", engine="engine-2", epoch=2)],
        "whose executor was not called"),
}  # fmt: skip

# -- cancels and pauses

ASKED = [*BEGUN, cancel_requested("a")]
ALL_ASKED = [*TWO, started("a"), group_started("r"), tree_cancel_requested()]
GROUPS = running("r(x)", "x", "g", "g/a <- x", "g/b")
SOUND_CANCELS: Logs = {
    "a pending task at once": [*ONE, cancelled("a")],
    "a pending task after an attempt": [*BACKOFF, cancelled("a", 1)],
    "a waiting task at once": [*PATIENT, cancelled("a", 1)],
    "a running task when it has ended": [*ASKED, cancelled("a", 1)],
    "a running task that is given up": [*ASKED, cancelled("a", 1, stopped=False)],
    "a result before it ended": [*ASKED, completed("a")],
    "a tree": [*ALL_ASKED, cancelled("b"), cancelled("a", 1), cancelled("r", 1),
               settled("cancelled")],
    "a tree in any order": [
        *running("r", "a", "b <- a"), tree_cancel_requested(), cancelled("a"), cancelled("b"),
        group_started("r"), cancelled("r", 1), settled("cancelled")],
    "a tree in which one had failed": [
        *running("r", "a", "b"), started("a"), group_started("r"), failed("a"),
        tree_cancel_requested(), cancelled("b"), failed("r"), settled("failed")],
    "a tree that completes all the same": [
        *running("r(x)"), started("r"), tree_cancel_requested(), completed("r"),
        settled("completed")],
    "blocked by what was cancelled": [
        *TWO, cancelled("a"), group_started("r"), cancelled("r", 1), settled("cancelled")],
    "a group blocked by a failure and by a cancel": [
        *running("r(x)", "x", "y", "g", "g/a <- x", "g/b <- y"), cancelled("x"), started("y"),
        failed("y"), group_started("g"), failed("g")],
    "a group behind what is blocked by a failure": [
        *running("r(x)", "x", "y <- x", "g", "g/a <- y"), started("x"), failed("x"),
        group_started("g"), failed("g")],
    "in a tree that nobody drives": [
        *TWO, released(), cancelled("a"), group_started("r"), cancelled("r", 1),
        settled("cancelled")],
    "a group before it begins": [*running("r(x)", "x", "g <- x", "g/a"), cancelled("a"),
                                 cancelled("g"), started("x")],
    "an optional dependency on what was cancelled": [
        *running("r(x)", "a", "b <- a?"), cancelled("a"), started("b")],
}  # fmt: skip
BROKEN_CANCELS: Broken = {
    "a running task that nobody asked to end": (
        [*BEGUN, cancelled("a", 1)], "task.cancelled of a, though nobody requested it"),
    "a request for another": (
        [*running("r(x)", "a", "b"), started("a"), cancel_requested("b"), cancelled("a", 1)],
        "task.cancelled of a, though nobody requested it"),
    "a pending task by the engine itself": (
        [*ONE, by_engine(cancelled("a"))], "task.cancelled of a, though nobody requested it"),
    "a waiting task by the engine itself": (
        [*PATIENT, by_engine(cancelled("a", 1))], "though nobody requested it"),
    "another attempt": ([*ASKED, cancelled("a")], "names attempt 0, it is at 1"),
    "a pending task that might go on": (
        [*ONE, cancelled("a", stopped=False)], "of which nothing ran that could go on"),
    "what failed before its call": (
        [*ONE, started("a", called=False), cancelled("a", 1)], "whose executor was not called"),
    "twice": ([*ONE, cancelled("a"), cancelled("a")], "task.cancelled of a again after its end"),
    "after its end": (
        [*BEGUN, completed("a"), cancelled("a", 1)], "task.cancelled of a again after its end"),
    "a result after it": (
        [*ASKED, cancelled("a", 1), completed("a")], "task.completed of a again after its end"),
    "a request twice": ([*ASKED, cancel_requested("a")], "task.cancel_requested of a again"),
    "a request after the end": (
        [*BEGUN, completed("a"), cancel_requested("a")], "task.cancel_requested of a after its"),
    "a retry after a request": (
        [*ASKED, attempt_failed("a", NOON)], "a goes on after a cancel was requested"),
    "an interruption after a request": (
        [*ASKED, interrupted("a")], "a is interrupted after a cancel was requested"),
    "a failure after a request": (
        [*ASKED, failed("a")], "task.failed of a after a cancel was requested"),
    "a start after the tree's request": (
        [*running("r(x)", "a"), tree_cancel_requested(), started("a")],
        "a starts after a cancel was requested"),
    "a start after a group's request": (
        [*GROUPS, cancel_requested("g"), started("b")], "b starts after a cancel was requested"),
    "a tree twice": (
        [*ALL_ASKED, tree_cancel_requested()], "tree.cancel_requested again"),
    "a tree after its end": (
        [*running("r(x)"), started("r"), completed("r"), settled("completed"),
         tree_cancel_requested()], "tree.cancel_requested after the end"),
    "a start behind what was cancelled": (
        [*TWO, cancelled("a"), started("b")], "b starts before its dependency a allows it"),
    "a start in a group that was cancelled": (
        [*GROUPS, cancelled("g"), started("b")], "b starts in the group g, which has ended"),
    "a group that completes over a cancel": (
        [*TWO, cancelled("a"), group_started("r"), completed("r")], "children say otherwise"),
    "a group that fails over a cancel": (
        [*TWO, cancelled("a"), group_started("r"), failed("r")], "children say otherwise"),
    "a group that is cancelled over a failure": (
        [*TWO, started("a"), group_started("r"), failed("a"), cancelled("r", 1)],
        "children say otherwise"),
    "a group that is cancelled over what a failure blocks": (
        [*running("r(x)", "x", "g", "g/a <- x", "g/b"), started("x"), failed("x"), cancelled("b"),
         group_started("g"), cancelled("g", 1)], "children say otherwise"),
    "a group that fails over what a cancel blocks": (
        [*running("r(x)", "x", "g", "g/a <- x"), cancelled("x"), group_started("g"), failed("g")],
        "children say otherwise"),
    "a group that is cancelled early": (
        [*TWO, started("a"), group_started("r"), tree_cancel_requested(), cancelled("r", 1)],
        "the group r ends before its children"),
    "a group that ran": (
        [*TWO, cancelled("a"), group_started("r"), cancelled("r", 1, stopped=False)],
        "task.cancelled of the group r is about something that ran"),
    "a tree that completes over a cancel": (
        [*TWO, cancelled("a"), group_started("r"), cancelled("r", 1), settled("completed")],
        "settles as completed, its tasks say otherwise"),
    "a tree that is cancelled over a failure": (
        [*running("r", "a", "b"), started("a"), group_started("r"), failed("a"), cancelled("b"),
         failed("r"), settled("cancelled")], "settles as cancelled, its tasks say otherwise"),
}  # fmt: skip

SOUND_PAUSES: Logs = {
    "what runs goes on": [*TWO, started("a"), group_started("r"), paused(), completed("a"),
                          unpaused(), started("b")],
    "groups end": [*running("r", "a"), started("a"), group_started("r"), paused(), completed("a"),
                   completed("r"), settled("completed")],
    "a deadline passes": [
        *running("r(x)", told(Policy(deadline=1.0))), paused(), started("a", called=False),
        failed("a", "deadline_exceeded")],
    "a wait ends": [*WAITS, paused(), at(NOON, completed("a"))],
    "it ends with the tree": [
        *running("r(x)"), started("r"), paused(), completed("r"), settled("completed"),
        reopened("r"), tree_reopened(), started("r", generation=2)],
    "over a claim": [*ONE, paused(), claimed("engine-2", 2), unpaused(), started("a")],
}  # fmt: skip
BROKEN_PAUSES: Broken = {
    "a start": ([*ONE, paused(), started("a")], "a starts while the tree is paused"),
    "a start after a claim": (
        [*ONE, paused(), claimed("engine-2", 2), started("a")], "while the tree is paused"),
    "a wait": (
        [*ONE, paused(), started("a", called=False), waiting("a", NOON)],
        "a begins to wait while the tree is paused"),
    "twice": ([*ONE, paused(), paused()], "tree.paused of a tree that is paused"),
    "no pause to end": ([*ONE, unpaused()], "tree.unpaused of a tree that is not paused"),
    "after the end": (
        [*running("r(x)"), started("r"), completed("r"), settled("completed"), paused()],
        "tree.paused after the end"),
}  # fmt: skip

# -- re-runs

DONE = [*running("r(x)"), started("r"), completed("r"), settled("completed")]
BROKE = [*TWO, started("a"), group_started("r"), failed("a"), failed("r"), settled("failed")]
AGAIN = [*BROKE, reopened("a"), reopened("r"), tree_reopened()]
ONCE_MORE = [started("a", generation=2), group_started("r", generation=2)]
SOUND_RERUNS: Logs = {
    "to the end": [*AGAIN, claimed("engine-2", 2), *ONCE_MORE, completed("a"), started("b"),
                   completed("b"), completed("r"), settled("completed")],
    "to the same end": [*AGAIN, *ONCE_MORE, failed("a"), failed("r"), settled("failed"),
                        reopened("r", 3), reopened("a", 3), tree_reopened(),
                        started("a", generation=3)],
    "of a tree that has not settled": [
        *running("r(x)", "a", "b"), started("b"), started("a"), failed("a"), reopened("a"),
        tree_reopened(), started("a", generation=2), completed("b")],
    "of what was cancelled": [
        *TWO, tree_cancel_requested(), cancelled("a"), cancelled("b"), group_started("r"),
        cancelled("r", 1), settled("cancelled"), reopened("a"), reopened("b"), reopened("r"),
        tree_reopened(), *ONCE_MORE, completed("a"), started("b", generation=2)],
    "attempts and interruptions are forgotten": [
        *running("r(x)", told(Policy(max_interruptions=1))), started("a"), interrupted("a"),
        started("a", 2), attempt_failed("a", NOON, attempt=2), started("a", 3),
        attempt_failed("a", NOON, attempt=3), started("a", 4), failed("a", attempt=4),
        reopened("a"), tree_reopened(), started("a", generation=2), attempt_failed("a", NOON),
        started("a", 2, generation=2), interrupted("a", attempt=2)],
    "reports count anew": [*DONE, *[refused("r", "ended")] * 10, reopened("r"), tree_reopened(),
                           started("r", generation=2), completed("r"),
                           *[refused("r", "ended")] * 10],
    "blocked again": [*AGAIN, *ONCE_MORE, failed("a"), failed("r"), settled("failed")],
}  # fmt: skip
BROKEN_RERUNS: Broken = {
    "of what has not ended": (
        [*BEGUN, reopened("a"), tree_reopened()], "task.reopened of a, which has not ended"),
    "of what is blocked": (
        [*BROKE, reopened("b"), tree_reopened()], "task.reopened of b, which has not ended"),
    "two generations on": ([*DONE, reopened("r", 3)], "generation 3 of r after 1"),
    "no generation on": ([*DONE, reopened("r", 1)], "generation 1 of r after 1"),
    "a start in the old generation": (
        [*DONE, reopened("r"), tree_reopened(), started("r", 2)],
        "attempt 2 of generation 1 after attempt 0 of generation 2"),
    "attempts that go on counting": (
        [*DONE, reopened("r"), tree_reopened(), started("r", 2, generation=2)],
        "attempt 2 of generation 2 after attempt 0"),
    "a start before the tree": (
        [*DONE, reopened("r"), started("r", generation=2), tree_reopened()],
        "task.started between task.reopened and tree.reopened"),
    "without any task": ([*DONE, tree_reopened()], "tree.reopened, but no task is"),
    "below a group that stays ended": (
        [*BROKE, reopened("a"), tree_reopened()], "reopened below the group r, which has ended"),
    "above what becomes open by it": (
        [*running("r(x)", "x", "g", "g/a <- x"), started("x"), failed("x"), group_started("g"),
         failed("g"), reopened("x"), tree_reopened()], "below the group g, which has ended"),
    "a second end in a generation": (
        [*DONE, reopened("r"), tree_reopened(), started("r", generation=2), completed("r"),
         completed("r")], "task.completed of r again after its end"),
    "a start behind what runs again": (
        [*AGAIN, *ONCE_MORE, started("b")], "b starts before its dependency a"),
    "an old request counts no more": (
        [*running("r(x)"), started("r"), cancel_requested("r"), cancelled("r", 1),
         settled("cancelled"), reopened("r"), tree_reopened(), started("r", generation=2),
         cancelled("r", 1)], "task.cancelled of r, though nobody requested it"),
    "in a draft": ([*running("r(x)")[:1], reopened("r")], "before the submission"),
}  # fmt: skip

SOUND = {
    f"{subject}: {name}": facts
    for subject, logs in {
        "retries": SOUND_RETRIES, "slots": SOUND_SLOTS, "waits": SOUND_WAITS,
        "claims": SOUND_CLAIMS, "cancels": SOUND_CANCELS, "pauses": SOUND_PAUSES,
        "re-runs": SOUND_RERUNS,
    }.items()
    for name, facts in logs.items()
}  # fmt: skip
BROKEN = {
    f"{subject}: {name}": case
    for subject, logs in {
        "retries": BROKEN_RETRIES, "slots": BROKEN_SLOTS, "waits": BROKEN_WAITS,
        "claims": BROKEN_CLAIMS, "cancels": BROKEN_CANCELS, "pauses": BROKEN_PAUSES,
        "re-runs": BROKEN_RERUNS,
    }.items()
    for name, case in logs.items()
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_log_has_no_faults(name: str) -> None:
    assert check_log(log(SOUND[name])) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_log_is_found_out(name: str) -> None:
    facts, words = BROKEN[name]
    faults = check_log(log(facts))
    assert any(words in fault for fault in faults), faults
