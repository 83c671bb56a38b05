"""Both clients on the same server: what they are told, and what they raise."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aipartnerupflow import AsyncClient, Client
from aipartnerupflow.adapters.executors.inventory import ExecutorInfo
from aipartnerupflow.api.client import (
    ExecutorDocument,
    Forbidden,
    ProblemError,
    TimedOut,
    Unauthenticated,
    Unreachable,
    calls,
    flows,
)
from aipartnerupflow.domain.errors import (
    InvalidGraph,
    InvalidInput,
    InvalidTransition,
    NotFound,
    VersionMismatch,
)
from tests.api.client.conftest import Ask
from tests.support.places import environment
from tests.support.servers import Threaded, Work, make_token, tree
from tests.support.tcp import saying

SERVER = ("fastapi", "uvicorn", "starlette", "eventsourcing", "pydantic", "sqlite3")
INNER = ("adapters", "engine", "api.http", "api.wiring", "api.settings")
WAITS = [{"key": "root", "name": "root"}, {"key": "go", "name": "signal", "parent_id": "root"}]

LOADED = f"""
import sys
import aipartnerupflow.api.client
names = [*{SERVER}, *("aipartnerupflow." + name for name in {INNER})]
print([name for name in names if name in sys.modules])
"""


def test_importing_it_loads_nothing_of_the_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env=environment(tmp_path), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_both_clients_can_do_the_same_in_the_same_way() -> None:
    def methods(client: type) -> dict[str, Any]:
        found = inspect.getmembers(client, inspect.isfunction)
        return {
            name: (inspect.signature(f).parameters.keys(), f.__doc__)
            for name, f in found
            if not name.startswith("_")
        }

    assert methods(Client) == methods(AsyncClient)
    offered = {
        name
        for module in (calls, flows)
        for name, made in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and made.__module__ == module.__name__
    }
    inner = {"alive", "stream", "ask", "lost", "reason", "at_its_end"}
    assert set(methods(Client)) == offered - inner | {"close", "run", "send", "watch"}


def test_a_tree_is_submitted_and_read_page_by_page(ask: Ask) -> None:
    done = ask("submit", tree("a", "b", "c"), name="three", limit=2, wait=10)
    assert (done.name, list(done.tasks), done.user_id) == (
        "three",
        ["root", "a", "b", "c"],
        "local",
    )
    found = ask("tree", done.id)
    assert (found.id, found.status, found.name) == (done.id, "completed", "three")
    tasks = ask("tasks", done.id, page=2)
    assert [task.key for task in tasks] == ["root", "a", "b", "c"]
    assert ask("task", done.tasks["a"]).attempts[0].outcome == "completed"
    events = ask("events", done.id, page=3)
    assert [event.version for event in events] == list(range(1, found.version + 1))
    assert [event.version for event in ask("events", done.id, order="desc", page=3)] == [
        event.version for event in reversed(events)
    ]
    assert [t.id for t in ask("trees", name="three", page=1)] == [done.id]
    assert [t.id for t in ask("trees", status="failed")] == []


@pytest.mark.parametrize(
    "written",
    [
        b'[{"key": "a", "name": "give"}]',
        '{"tasks": [{"key": "a", "name": "give"}], "name": "other"}',
        {"key": "a", "name": "give"},
        {"tasks": [{"key": "a", "name": "give"}]},
    ],
)
def test_a_tree_is_json_or_values_in_any_of_its_shapes(written: Any, ask: Ask) -> None:
    done = ask("submit", written, name="mine", start=False)
    assert (done.name, done.draft, list(done.tasks)) == ("mine", True, ["a"])
    plain = ask("submit", written, wait=10)
    assert ask("task", plain.tasks["a"]).status == "completed"


def test_trees_are_found_by_the_beginning_of_their_ids_but_nobody_elses(server: Threaded) -> None:
    with Client(server.url, server.token) as admin:
        for id in ("pre-c", "pre-a", "other"):
            admin.submit([{"id": id, "key": "a", "name": "give"}], start=False)

        def found(client: Client, page: int = 10) -> list[str]:
            return [t.id for t in client.send(calls.trees(id_prefix="pre-", page=page)).items]

        assert (found(admin), found(admin, 1)) == (["pre-a", "pre-c"], ["pre-a"])
        with Client(server.url, make_token(server.store, "ann", "submit")) as ann:
            assert found(ann) == []
            ann.submit([{"id": "pre-b", "key": "a", "name": "give"}], start=False)
            assert found(ann) == ["pre-b"]


def test_results_and_events_come_as_values(ask: Ask) -> None:
    given = {"key": "a", "name": "give", "inputs": {"value": {"n": 1.50}}}
    done = ask("submit", tree(given), wait=10)
    assert ask("task", done.tasks["a"]).value() == {"n": 1.5}
    assert ask("task", done.id).value() is None
    completed = [e for e in ask("events", done.id) if e.task_id == done.tasks["a"]][-1]
    assert (completed.type, completed.attempt) == ("task.completed", 1)
    assert completed.data["result"] == {"n": 1.5}


def test_a_tree_can_be_read_as_it_stood(ask: Ask) -> None:
    done = ask("submit", tree("a"), wait=10)
    assert ask("tree", done.id, at_version=done.version).status == "pending"
    then = ask("events", done.id)[0].at
    assert ask("tree", done.id, at=then).status == "in_progress"
    states = [task.status for task in ask("tasks", done.id, at_version=done.version)]
    assert states == ["pending", "pending"]


def test_a_tree_is_steered(ask: Ask) -> None:
    done = ask("submit", WAITS)
    assert ask("pause", done.id, reason="lunch").version == ask("tree", done.id).version
    assert ask("tree", done.id).paused
    assert ask("unpause", done.id).id == done.id
    told = ask("signal", done.id, "go", {"by": "ann"}, signal_id="once")
    assert ask("signal", done.id, "go", {"by": "ann"}, signal_id="once").version == told.version
    assert ask("settled", done.id, timeout=10).status == "completed"
    assert ask("task", done.tasks["go"]).value() == {"by": "ann"}


def test_a_tree_is_cancelled_and_run_again(ask: Ask, work: Work) -> None:
    done = ask("submit", tree({"key": "a", "name": "gated"}, "b"))
    assert ask("cancel_task", done.tasks["a"], reason="no").version
    assert ask("settled", done.id, timeout=10).status in ("failed", "cancelled")
    plan = ask("plan", done.id)
    assert (plan.runs, plan.kept) == ([done.tasks["a"]], [done.tasks["b"]])
    work.open_gate()
    ask("rerun", done.id, reason="yes")
    assert ask("settled", done.id, timeout=10).status == "completed"
    ask("rerun_task", done.tasks["b"])
    assert ask("settled", done.id, timeout=10).status == "completed"
    with pytest.raises(InvalidTransition):
        ask("cancel", done.id)


def test_a_draft_is_started(ask: Ask) -> None:
    done = ask("submit", tree("a"), start=False)
    assert [t.id for t in ask("trees", draft=True)] == [done.id]
    with pytest.raises(VersionMismatch):
        ask("start", done.id, if_version=99)
    assert ask("start", done.id, if_version=done.version).version > done.version
    assert ask("settled", done.id, timeout=10).status == "completed"


def test_why_health_and_executors_are_told(ask: Ask) -> None:
    done = ask("submit", WAITS)
    reasons = {one["key"]: one["reason"] for one in ask("why", done.id)}
    assert reasons["go"] == "signal"
    assert ask("why_task", done.tasks["go"])["signal"] == "go"
    assert ask("health").status == "ok"
    assert "give" in [one.id for one in ask("executors")]
    assert ask("executor", "system_info_executor").examples
    assert "".join(ExecutorDocument.__struct_fields__) == "".join(ExecutorInfo.__struct_fields__)


def test_whoever_waits_too_long_is_told(ask: Ask) -> None:
    done = ask("submit", WAITS, wait=0.1)
    with pytest.raises(TimedOut, match="it goes on"):
        ask("settled", done.id, timeout=0.2)


@pytest.mark.parametrize("id", ["nobody", "..", ".", "a/b", "a?b#c", ""])
def test_what_there_is_not_is_not_found_whatever_its_name(id: str, ask: Ask) -> None:
    for method in ("tree", "task", "command", "cancel"):
        with pytest.raises(NotFound):
            ask(method, id)


def test_problems_are_errors_of_their_kind_and_carry_the_document(client: Client) -> None:
    with pytest.raises(NotFound) as missing:
        client.task("nobody")
    error = missing.value
    assert isinstance(error, ProblemError)
    assert (error.status, error.slug) == (404, "not-found")
    assert error.problem.trace_id
    assert str(error) == error.problem.detail
    with pytest.raises(InvalidGraph) as graph:
        client.submit([{"key": "a", "name": "nobody", "dependencies": ["b"]}])
    assert graph.value.faults
    assert {fault.where for fault in graph.value.faults} == {"a"}
    with pytest.raises(InvalidInput):
        client.submit(b"[")


def test_a_token_that_is_unknown_or_too_narrow_is_told(server: Threaded) -> None:
    with Client(server.url, "x" * 40) as stranger, pytest.raises(Unauthenticated):
        stranger.tree("x")
    reader = make_token(server.store, "ann", "read")
    with Client(server.url, reader) as client, pytest.raises(Forbidden, match="submit"):
        client.submit(tree("a"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://nobody.invalid"])
def test_a_server_that_is_not_there_is_unreachable(url: str) -> None:
    with Client(url, "x", patience=0.2) as client, pytest.raises(Unreachable, match="reached"):
        client.tree("x")
    with Client(url, "x", patience=0.2) as client, pytest.raises(Unreachable, match="version 3"):
        list(client.watch("x", after=3, until_settled=False))


@pytest.mark.parametrize(
    "url", ["ftp://x", "x", "http://", "http://a:b@c", "http://x/?q=1", "http://x:0", "http://[::1"]
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Client(url, "x")
    assert url not in str(refused.value).replace("http://", "", 1) or url == "http://"


@pytest.mark.parametrize("token", ["two words", "naïve", "line\nbreak"])
def test_a_token_that_can_be_none_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(InvalidInput, match="one word of ASCII") as refused:
        Client("http://127.0.0.1:9", token)
    assert token not in str(refused.value)


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\nb"])
def test_an_idempotency_key_that_can_be_none_is_refused(key: str, client: Client) -> None:
    with pytest.raises(InvalidInput, match="printable"):
        client.submit(tree("a"), idempotency_key=key)


def test_reads_and_submissions_wait_for_a_server_that_is_busy() -> None:
    busy = b"HTTP/1.1 503 x\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    body = b'{"id":"x","version":1}'
    good = b"HTTP/1.1 202 x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        len(body),
        body,
    )
    with saying([busy, busy, good]) as server, Client(server, "x", patience=10) as client:
        assert client.signal("x", "go").version == 1
    with saying([busy, good]) as server, Client(server, "x", patience=10) as client:
        with pytest.raises(ProblemError) as refused:  # it may have been carried out
            client.pause("x")
        assert refused.value.status == 503


def said(status: int, body: bytes, media: bytes = b"application/json") -> bytes:
    """An answer, whole."""
    head = b"HTTP/1.1 %d x\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, media, len(body)) + body


STATE = b'{"id":"c","tree_id":"x","name":"pause","at":"t","state":"%b","version":%b,"detail":%b}'
ASKED = said(202, b'{"id":"x","command":"/v1/commands/c"}')
OPEN = said(200, STATE % (b"open", b"null", b"null"))


def test_a_command_that_another_engine_carries_out_is_waited_for() -> None:
    done = said(200, STATE % (b"done", b"7", b"null"))
    with saying([ASKED, OPEN, done]) as server, Client(server, "x", patience=10) as client:
        accepted = client.pause("x")
        assert (accepted.version, accepted.command) == (7, None)
    refused = said(200, STATE % (b"refused", b"null", b'"it has settled"'))
    for answers, error, told in (
        ([ASKED, refused], InvalidTransition, "it has settled"),
        ([ASKED, *[OPEN] * 9], TimedOut, "will be carried out"),
    ):
        with (
            saying(answers) as server,
            Client(server, "x", patience=0.3) as client,
            pytest.raises(error, match=told),
        ):
            client.pause("x")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(413, InvalidInput), (409, InvalidTransition), (401, Unauthenticated), (500, ProblemError)],
)
def test_a_kind_of_problem_that_is_not_known_is_told_by_its_status(
    status: int, kind: type[Exception]
) -> None:
    body = b'{"type":"/docs/problems/new","title":"t","detail":"d"}'
    answer = said(status, body, b"application/problem+json")
    with saying([answer]) as server, Client(server, "x") as client:
        with pytest.raises(kind) as refused:
            client.tree("x")
        assert isinstance(refused.value, ProblemError)
        assert (refused.value.slug, str(refused.value)) == ("new", "d")


def test_what_is_no_server_of_ours_is_told(server: Threaded) -> None:
    with Client(f"{server.url}/docs/problems", server.token) as client:
        with pytest.raises(ProblemError):
            client.tree("x")
        with pytest.raises((ProblemError, Unreachable)):
            list(client.watch("x"))


@pytest.mark.parametrize("status", [401, 404, 501])
def test_an_answer_that_is_no_problem_of_ours_is_about_the_way(status: int) -> None:
    answer = said(status, b"<html>nginx</html>", b"text/html")
    with saying([answer]) as server, Client(server, "x") as client:
        with pytest.raises(Unreachable, match="right address") as refused:
            client.tree("x")
        assert isinstance(refused.value, ProblemError)
        assert refused.value.status == status


def test_an_event_decodes_also_where_it_has_further_fields() -> None:
    fields = {"position": 1, "version": 2, "type": "new.kind", "at": "t", "by": "u", "tree_id": "x"}
    raw = msgspec.json.encode({**fields, "strange": [1]})
    from_page = calls.events("x").read(b'{"items":[' + raw + b'],"next":null}').items
    assert from_page[0].data["strange"] == [1]
