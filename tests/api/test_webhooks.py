"""Webhooks as clients write them, their signatures, and what they say."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from aipartnerupflow import Flow, verify_webhook
from aipartnerupflow.api.stores import Store
from aipartnerupflow.api.submitting import Written, parse, request_of, start, submit
from aipartnerupflow.api.webhooks import WrittenHook, hook_of_config, hooks_of, register
from aipartnerupflow.api.wiring import open_store
from aipartnerupflow.api.wiring.serving import outbox_of
from aipartnerupflow.domain import decide
from aipartnerupflow.domain.errors import InvalidGraph, InvalidInput, NotFound
from aipartnerupflow.domain.intake import read_one
from aipartnerupflow.domain.webhooks import Hook, sign

URL = "https://hooks.example/path?a=b"

# -- as written


def test_a_rest_hook_wants_all_events_unless_it_names_some() -> None:
    written = [
        WrittenHook(URL),
        WrittenHook(URL, ("task.completed", "tree.*"), {"Authorization": "Bearer x"}),
    ]
    all, some = hooks_of(written)
    assert (all.url, all.method, all.shape) == (URL, "POST", "event")
    assert all.wants("task.started")
    assert all.wants("tree.settled")
    assert some.headers == {"Authorization": "Bearer x"}
    wanted = ["task.completed", "task.failed", "tree.settled", "treex"]
    assert [some.wants(topic) for topic in wanted] == [True, False, True, False]


def test_a_star_alone_wants_all_events() -> None:
    (hook,) = hooks_of([WrittenHook(URL, ("*",))])
    assert hook.wants("attempt.failed")


def test_a_fragment_is_left_out() -> None:
    (hook,) = hooks_of([WrittenHook("http://h.example/a#b")])
    assert hook.url == "http://h.example/a"


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example", "ftp://hooks.example/", "file:///etc/passwd", "//hooks.example/",
     "http://", "http:///x", "https://hooks.example:99999/", "https://hooks.example:0/",
     "https://hooks.example:x/", "http://a:b@hooks.example/", "http://a@hooks.example/",
     "http://h.example/ x", "http://h.example/\n", "http://h.exämple/", "http://[::1/",
     "javascript:alert(1)", "http://h.example/" + "x" * 2_048],
)  # fmt: skip
def test_an_address_is_a_plain_http_url(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"webhooks\[0\]\.url"):
        hooks_of([WrittenHook(url)])
    with pytest.raises(InvalidInput, match=r"webhook_config\.url"):
        hook_of_config({"url": url})


@pytest.mark.parametrize(
    "headers",
    [{"Host": "x"}, {"host": "x"}, {"Content-Length": "1"}, {"Transfer-Encoding": "chunked"},
     {"CONTENT-TYPE": "text/plain"}, {"Connection": "close"}, {"X-Apflow-Signature": "x"},
     {"x-apflow-delivery": "x"}, {"a b": "c"}, {"": "c"}, {"a:": "c"}, {"a": "b\r\nc: d"},
     {"a": "b\nc"}, {"a": "b\x00"}, {"a": "ü"}, {"ü": "a"}, {"a": "x" * 4_097},
     {"x" * 101: "a"}, {f"h{n}": "x" for n in range(21)}, {"a": "1", "A": "2"}],
)  # fmt: skip
def test_headers_are_such_as_a_client_may_set(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match=r"webhooks\[0\]\.headers"):
        hooks_of([WrittenHook(URL, headers=headers)])
    with pytest.raises(InvalidInput, match=r"webhook_config\.headers"):
        hook_of_config({"url": URL, "headers": headers})


@pytest.mark.parametrize("events", [("",), ("task completed",), ("Task.x",), ("a.b.c",),
                                    ("**",), tuple(f"a.b{n:c}" for n in range(97, 123)) * 2,
                                    ("x" * 41,)])  # fmt: skip
def test_types_of_events_are_words(events: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"webhooks\[0\]\.events"):
        hooks_of([WrittenHook(URL, events)])


def test_a_request_registers_ten_hooks_at_most() -> None:
    assert len(hooks_of([WrittenHook(URL)] * 10)) == 10
    with pytest.raises(InvalidInput, match="10 webhooks"):
        hooks_of([WrittenHook(URL)] * 11)


def test_a_webhook_config_is_read_with_what_it_leaves_out() -> None:
    assert hook_of_config({"url": URL}) == Hook(URL, timeout=30.0, retries=3, shape="jsonrpc")
    config = {"url": URL, "headers": {"A": "b"}, "method": "PUT", "timeout": 5, "max_retries": 0}
    made = Hook(URL, (), {"A": "b"}, "PUT", 5.0, 0, "jsonrpc")
    assert hook_of_config(config) == made
    assert hook_of_config(Raw(msgspec.json.encode(config))) == made
    nulls = {"url": URL, "headers": None, "method": None, "timeout": None, "max_retries": None}
    assert hook_of_config(nulls) == hook_of_config({"url": URL})


@pytest.mark.parametrize(
    "config",
    [None, [], "x", {}, {"url": 1}, {"url": URL, "method": "GET"}, {"url": URL, "timeout": 61},
     {"url": URL, "timeout": 0}, {"url": URL, "timeout": -1}, {"url": URL, "timeout": "x"},
     {"url": URL, "timeout": float("nan")}, {"url": URL, "max_retries": 21},
     {"url": URL, "max_retries": -1}, {"url": URL, "max_retries": 1.5},
     {"url": URL, "headers": {"a": 1}}, {"url": URL, "headers": []}, Raw(b"{"), Raw(b"\xff")],
)  # fmt: skip
def test_a_webhook_config_that_does_not_fit_is_refused(config: Any) -> None:
    with pytest.raises(InvalidInput, match="webhook_config"):
        hook_of_config(config)


def test_what_is_refused_is_not_repeated() -> None:
    with pytest.raises(InvalidInput) as caught:
        hooks_of([WrittenHook("http://user:hunter2@h.example/")])
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InvalidInput) as caught:
        hooks_of([WrittenHook(URL, headers={"a": "hunter2\n"})])
    assert "hunter2" not in str(caught.value)


# -- signatures

SECRET = b"0123456789abcdef0123456789abcdef"


def signed(at: float, body: bytes = b"{}") -> tuple[str, bytes, str]:
    return str(int(at)), body, sign(SECRET, int(at), body)


def test_the_signature_is_that_which_is_documented() -> None:
    wanted = hmac.new(SECRET, b"1767225600.{}", hashlib.sha256).hexdigest()
    assert sign(SECRET, 1_767_225_600, b"{}") == f"sha256={wanted}"


def test_a_fresh_signature_holds_for_its_secret_body_and_time_only() -> None:
    timestamp, body, signature = signed(time.time())
    assert verify_webhook(SECRET, timestamp, body, signature)
    assert verify_webhook(SECRET.decode(), timestamp, body, signature)
    assert not verify_webhook(b"another", timestamp, body, signature)
    assert not verify_webhook(SECRET, timestamp, b"{} ", signature)
    assert not verify_webhook(SECRET, str(int(timestamp) - 1), body, signature)
    assert not verify_webhook(SECRET, timestamp, body, signature.removeprefix("sha256="))
    assert not verify_webhook(SECRET, timestamp, body, "")
    assert not verify_webhook(SECRET, timestamp, body, "sha256=ü")


@pytest.mark.parametrize("age", [-400, 400])
def test_a_signature_holds_for_five_minutes_unless_said_otherwise(age: int) -> None:
    timestamp, body, signature = signed(time.time() - age)
    assert not verify_webhook(SECRET, timestamp, body, signature)
    assert verify_webhook(SECRET, timestamp, body, signature, tolerance=500)


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1e3", "١٢٣", "9" * 13, " 1", "1.0"])
def test_a_time_that_is_none_holds_for_nothing(timestamp: str) -> None:
    assert not verify_webhook(SECRET, timestamp, b"{}", "sha256=" + "0" * 64, tolerance=1e12)


# -- registered before the tree

GROUP = [Raw(b'{"key":"g","name":"g"}'), Raw(b'{"name":"system_info_executor","parent_id":"g"}')]
HOOK = Hook(URL)


def hooks_in(store: Store, tree: str) -> list[tuple[int, str]]:
    """The cursor and the state of each; those whose tree is not named yet are none of a tree."""
    assert outbox_of(store).unbound() == []
    return [(one.seen, one.state) for one in outbox_of(store).of(tree)]


@pytest.fixture
def memory(place: Path) -> Iterator[Store]:
    store = open_store("memory://webhooks-of-tests")
    yield store
    store.close()


async def test_a_tree_is_submitted_with_its_hooks(memory: Store) -> None:
    done = await submit(memory, Written(GROUP), owner=None, drive=False, hooks=[HOOK])
    assert hooks_in(memory, done.id) == [(0, "open")]


async def test_hooks_that_stand_in_the_tree_are_registered_too(memory: Store) -> None:
    body = b'{"tasks":[{"name":"system_info_executor"}],"webhooks":[{"url":"http://h.example"}]}'
    done = await submit(memory, parse(body), owner=None, drive=False, hooks=[HOOK])
    assert hooks_in(memory, done.id) == [(0, "open")] * 2


async def test_a_tree_whose_id_is_taken_has_its_hooks_under_the_new_one(memory: Store) -> None:
    task = Raw(b'{"id":"7d2b4e40-5c6c-4c47-9f3a-111111111111","name":"system_info_executor"}')
    first = await submit(memory, Written([task]), owner="ann", drive=False)
    second = await submit(memory, Written([task]), owner="bob", drive=False, hooks=[HOOK])
    assert first.id != second.id
    assert hooks_in(memory, second.id) == [(0, "open")]
    assert hooks_in(memory, first.id) == []


async def test_a_refused_tree_leaves_no_hook(memory: Store) -> None:
    nobody = Raw(b'{"name":"nobody"}')
    with pytest.raises(InvalidGraph):
        await submit(memory, Written([nobody]), owner=None, drive=False, hooks=[HOOK])
    with pytest.raises(InvalidInput):
        await submit(memory, Written(GROUP, limit=0), owner=None, drive=False, hooks=[HOOK])
    assert outbox_of(memory).unbound() == []


async def test_a_repeated_request_registers_its_hooks_once(memory: Store) -> None:
    request = request_of("ann", "key", b"body")
    done = [
        await submit(
            memory, Written(GROUP), owner="ann", request=request, drive=False, hooks=[HOOK]
        )
        for _ in range(2)
    ]
    assert done[0] == done[1]
    assert hooks_in(memory, done[0].id) == [(0, "open")]


async def test_requests_that_race_register_their_hooks_once(memory: Store) -> None:
    request = request_of("ann", "key", b"body")

    async def one() -> str:
        done = await submit(
            memory, Written(GROUP), owner="ann", request=request, drive=False, hooks=[HOOK]
        )
        return done.id

    ids = await asyncio.gather(one(), one(), one())
    assert len(set(ids)) == 1
    assert hooks_in(memory, ids[0]) == [(0, "open")]


async def test_a_draft_is_started_with_hooks_that_hear_of_it_from_there_on(memory: Store) -> None:
    draft = await submit(memory, Written(GROUP, start=False), owner=None)
    for _ in range(2):
        await start(memory, draft.id, drive=False, hooks=[HOOK])
    assert hooks_in(memory, draft.id) == [(draft.version, "open")]


async def test_a_refused_start_takes_back_the_hooks_that_came_with_it_and_no_others(
    memory: Store,
) -> None:
    old, new = Hook("http://old.example/"), Hook("http://new.example/")
    draft = await submit(memory, Written(GROUP, start=False), owner=None)
    await register(memory, memory.tree(draft.id), [old])
    spec = read_one(b'{"name":"nobody","parent_id":"%b"}' % draft.id.encode(), memory.new_id)
    memory.drafts.change(draft.id, lambda tree, stamp: decide.add(tree, [spec], stamp))
    with pytest.raises(InvalidGraph):
        await start(memory, draft.id, drive=False, hooks=[old, new])
    assert [one.hook for one in outbox_of(memory).of(draft.id)] == [old]


async def test_a_tree_that_has_settled_gets_no_hooks_by_a_start(memory: Store) -> None:
    async with memory.engine():
        done = await submit(memory, Written(GROUP), owner=None)
        await memory.settled(done.id)
        assert await start(memory, done.id, hooks=[HOOK]) == memory.tree(done.id).version
    assert hooks_in(memory, done.id) == []


async def test_hooks_are_registered_for_trees_that_are_there_only(memory: Store) -> None:
    with pytest.raises(NotFound):
        await start(memory, "nowhere", hooks=[HOOK])
    assert outbox_of(memory).unbound() == []


async def test_where_no_server_is_webhooks_are_refused_and_not_forgotten(
    memory: Store, place: Path
) -> None:
    spec = {"tasks": [{"name": "system_info_executor"}], "webhooks": [{"url": URL}]}
    async with Flow(store="memory://webhooks-of-tests") as flow:
        with pytest.raises(InvalidInput, match="apflow serve"):
            await flow.submit(spec)
    assert memory.reads.trees() == []
