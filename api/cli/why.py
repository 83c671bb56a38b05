"""`apflow why`: why tasks run or do not."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .choosing import prepared_source_of
from .console import Console, clean
from .placing import place
from .text import clock


def main(
    console: Console,
    *,
    id: str,
    task: str | None,
    store: str | None,
    server: str | None,
    imports: Sequence[str] | None,
) -> int:
    """Say it of one task, or of each that has not ended."""
    with prepared_source_of(store, server, imports) as source:
        tree, one = place(source, id, task)
        found = source.why(tree, one)
    if console.json:
        console.document(found[0] if one is not None else {"items": found, "next": None})
        return 0
    for reason in found:
        key = clean(reason["key"], 80)
        console.print(f"{console.status(reason['status'])}  {key}: {sentence(reason)}")
    if not found:
        console.say(f"tree {tree} has ended: every task of it has")
    return 0


_SENTENCES: Final = {
    "draft": "its tree was not submitted",
    "dependency": "waits for {on}",
    "group": "waits with its group {on}: {detail}",
    "children": "starts with its first child",
    "blocked": "never starts, because {on} did not complete",
    "paused": "the tree is paused",
    "cancelling": "the tree is being cancelled",
    "unclaimed": "{detail}",
    "retry": "its next attempt starts at {until}",
    "slot": "waits for a free slot",
    "concurrency": "waits for {detail}",
    "running": "runs, {detail}",
    "stopping": "was asked to end, and has not yet",
    "timer": "waits until {until}",
    "signal": "waits for the signal {signal}",
    "completed": "has completed",
    "failed": "has failed: {detail}",
    "cancelled": "was cancelled: {detail}",
    "executor_missing": "its executor is missing: {detail}",
}


def sentence(reason: Mapping[str, Any]) -> str:
    """A reason in words."""
    text = _SENTENCES[reason["reason"]].format_map({k: clean(v, 200) for k, v in reason.items()})
    if reason["reason"] == "signal" and "until" in reason:
        text += f", until {clock(reason['until'])}"
    if reason["reason"] in ("timer", "signal") and "detail" in reason:
        text += f"; {reason['detail']}"
    if "deadline" in reason:
        text += f"; it has to be over by {clock(reason['deadline'])}"
    return text
