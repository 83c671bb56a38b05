"""The whole OpenAPI, driven by schemathesis: what is generated, how it is judged and counted."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import schemathesis
from schemathesis.engine import events, from_schema
from schemathesis.engine.run import PhaseName

from tests.support.chaos.tally import Tally
from tests.support.servers import Threaded, bearer, threaded

STREAMS: Final = ["stream_tree", "stream_all"]
"""Not asked for: they do not end."""
WAITS: Final = frozenset({"wait", "prefer"})
"""Left out of requests: they would take up to a minute each."""
INTERNAL_ERROR: Final = b'"code":-32603'
"""What JSON-RPC answers, with status 200, where the server has a defect."""
ACCEPTED: Final = ["2xx", "3xx", "401", "403", "404", "409", "412", "413", "415", "422"]
"""What a request may come to that fits its schema: a graph may have faults that no schema tells."""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Mapping[str, Any]) -> None:
    """No long polls."""
    for part in (case.query, case.headers):
        for name in [name for name in part or () if name.lower() in WAITS]:
            del part[name]


def fuzz(
    url: str,
    token: str | None,
    tally: Tally,
    *,
    examples: int,
    seed: int,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Examples, coverage, chance, and sequences that follow links; whatever fails is a violation.

    ``examples`` of chance for each operation; ends early when it is ``enough``.
    """
    config = schemathesis.Config.from_dict(
        {
            "seed": seed,
            "generation": {"max-examples": examples, "database": "none"},
            "checks": {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
            **({"auth": {"openapi": {"token": {"bearer": token}}}} if token else {}),
        }
    )
    whole = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)
    stream = from_schema(whole.exclude(operation_id=STREAMS)).execute()
    for event in stream:
        if isinstance(event, events.ScenarioFinished):
            _count(event, tally, by_whom="a caller" if token else "nobody")
        elif isinstance(event, events.NonFatalError):
            tally.violated([f"{event.label}: {event.value}"])
        elif isinstance(event, events.FatalError):
            tally.violated([f"broken off: {event.exception}"])
        if enough():
            stream.stop()


def _count(event: events.ScenarioFinished, tally: Tally, by_whom: str) -> None:
    recorder = event.recorder
    tally.add("cases", len(recorder.interactions))
    tally.add(f"cases by {by_whom}", len(recorder.interactions))
    if event.phase is PhaseName.STATEFUL_TESTING:
        tally.add(f"of them in sequences by {by_whom}", len(recorder.interactions))
    for interaction in recorder.interactions.values():
        response = interaction.response
        if response is not None and response.status_code < 300:
            tally.add(f"carried out for {by_whom}")
        if response is not None and INTERNAL_ERROR in response.content:
            tally.violated(
                [f"a defect behind {interaction.request.uri}: {response.content!r:.500}"]
            )
    tally.violated(_faults(recorder))


def _faults(recorder: Any) -> Iterator[str]:
    for case, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                label = recorder.cases[case].value.operation.label
                failure = check.failure_info.failure
                sample = check.failure_info.code_sample[:600]
                yield f"{label}: {failure.title}: {failure.message[:300]}\n    {sample}"


def fuzz_server(
    folder: Path,
    tally: Tally,
    *,
    examples: int,
    seed: int,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """With a token and without, on a server of its own."""
    with threaded(f"memory://{uuid4().hex}", folder) as server:
        fuzz(server.url, server.token, tally, examples=examples, seed=seed, enough=enough)
        before = server.store.journal.position()
        fuzz(server.url, None, tally, examples=max(examples // 3, 1), seed=seed, enough=enough)
        if server.store.journal.position() != before and not _still_runs(server):
            tally.violated(["something was stored for nobody"])


def _still_runs(server: Threaded) -> bool:
    with server.client() as client:
        page = client.get("/v1/trees?status=in_progress", headers=bearer(server.token)).json()
    return bool(page["items"])
