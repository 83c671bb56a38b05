"""A client of server-sent events, as small as the protocol is."""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx


class Seen(NamedTuple):
    """One event of a stream."""

    id: int
    event: str
    data: Any


def parse(lines: Iterator[str]) -> Iterator[Seen]:
    """The events in a stream of lines; what was cut off in the middle of one is no event."""
    fields: dict[str, str] = {}
    for line in lines:
        if line == "":
            if "data" in fields:
                yield Seen(
                    int(fields.get("id", "-1")), fields.get("event", ""), json.loads(fields["data"])
                )
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")


def follow(
    url: str,
    headers: Mapping[str, str],
    begun: threading.Event | None = None,
    *,
    last: int | None = None,
    timeout: float = 20,
) -> Iterator[Seen]:
    """The events of a stream until it ends. ``begun`` is set once it answers."""
    more = {} if last is None else {"Last-Event-ID": str(last)}
    told = {**headers, **more}
    # Certificates, which plain HTTP does not need, would take a twentieth of a second to load.
    with httpx.stream("GET", url, headers=told, timeout=timeout, verify=False) as answer:
        assert answer.status_code == 200, answer.read()
        if begun is not None:
            begun.set()
        yield from parse(answer.iter_lines())
