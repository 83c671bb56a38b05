"""Who may do what: every route of every transport, without a token and with each scope."""

import asyncio
import base64
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from fastapi import APIRouter
from starlette.routing import BaseRoute, Route, WebSocketRoute

from aipartnerupflow.api.http.access import Scope
from aipartnerupflow.api.http.app import create_app, needs_of
from aipartnerupflow.api.http.opening import local_token, require_safe
from aipartnerupflow.api.rpc.errors import Code
from aipartnerupflow.api.rpc.methods import METHODS
from aipartnerupflow.api.steering import command_of
from aipartnerupflow.api.wiring import open_store
from aipartnerupflow.api.wiring.serving import tokens_of
from aipartnerupflow.domain.errors import InvalidInput
from aipartnerupflow.domain.intake import read
from tests.support.knock import knock
from tests.support.places import until
from tests.support.servers import Api, application, bearer, make_token, settings_of, tree

PUBLIC = {"livez", "readyz", "docs", "docs_asset", "docs_problem", "openapi"}
MATRIX = {
    "submit_tree": "submit", "list_trees": "read", "get_tree": "read", "list_tasks": "read",
    "get_task": "read", "why_task": "read", "why_tree": "read", "list_events": "read",
    "stream_tree": "read", "stream_all": "read", "ticket": "read", "tree_by_socket": "read",
    "all_by_socket": "read", "start_tree": "submit", "cancel_tree": "operate",
    "pause_tree": "operate", "unpause_tree": "operate", "rerun_tree": "operate",
    "signal_tree": "operate", "cancel_task": "operate", "rerun_task": "operate",
    "get_command": "read", "list_webhooks": "read", "metrics": "read",
    "list_executors": "read", "get_executor": "read",
    "rpc_tasks": "read", "rpc_system": "read", "rpc_root": "read", "rpc_methods": "read",
}  # fmt: skip
RPC_MATRIX = {
    "tasks.create": "submit", "tasks.get": "read", "tasks.detail": "read",
    "tasks.update": "submit", "tasks.delete": "submit", "tasks.list": "read",
    "tasks.count": "read", "tasks.tree": "read", "tasks.children": "read",
    "tasks.execute": "submit", "tasks.cancel": "operate", "tasks.copy": "submit",
    "tasks.clone": "submit", "tasks.running.list": "read", "tasks.running.status": "read",
    "tasks.running.count": "read", "tasks.running.cancel": "operate", "system.health": "read",
    "system.executors": "read",
}  # fmt: skip
SCOPES = ("read", "submit", "operate", "admin")
SECRET = "s" * 40

APP = create_app(None, hosts=["127.0.0.1"])  # type: ignore[arg-type]
"""Only looked at."""
ROUTES: dict[str, BaseRoute] = {getattr(route, "name", ""): route for route in APP.routes}
GUARDED = sorted(set(ROUTES) - PUBLIC)


def place_of(name: str, object: str) -> tuple[str, str]:
    """A method and an address of the route, that names ``object`` and asks for no stream."""
    route = ROUTES[name]
    assert isinstance(route, Route | WebSocketRoute)
    path = route.path
    for parameter in ("tree", "task", "command", "executor"):
        path = path.replace("{" + parameter + "}", object)
    if name in ("stream_all", "all_by_socket"):
        path += "?types=nothing"  # streams do not end, and this one is refused in time
    method = "WS" if isinstance(route, WebSocketRoute) else max(route.methods or ())
    return method, path


async def status_of(api: Api, name: str, token: str | None, object: str = "nowhere") -> int:
    """What a call of the route by the holder of a token comes to."""
    method, path = place_of(name, object)
    if method == "WS":
        return await knock(api.app, path, bearer(token))
    answer = await api.client(token).request(method, path)
    return answer.status_code


def test_the_matrix_names_every_route() -> None:
    assert len(ROUTES) == len(APP.routes)
    assert set(ROUTES) == PUBLIC | set(MATRIX)
    assert APP.state.public == PUBLIC


def test_every_route_states_the_scope_of_the_matrix() -> None:
    stated = {}
    for name in GUARDED:
        needs = needs_of(ROUTES[name])
        assert needs is not None, name
        stated[name] = needs.scope.name.lower()
    assert stated == MATRIX


def test_every_method_of_json_rpc_states_the_scope_of_the_matrix() -> None:
    assert {name: each.scope.name.lower() for name, each in METHODS.items()} == RPC_MATRIX


def test_a_route_that_states_nothing_keeps_the_application_from_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    router = APIRouter()

    @router.get("/open")
    async def forgotten() -> None:
        """It states no scope."""

    monkeypatch.setattr("aipartnerupflow.api.http.system.router", router)
    with pytest.raises(RuntimeError, match="forgotten"):
        create_app(None, hosts=[])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(PUBLIC))
async def test_a_public_route_answers_anybody(api: Api, name: str) -> None:
    route = ROUTES[name]
    assert isinstance(route, Route)
    path = route.path.replace("{name}", "start.js").replace("{slug}", "not-found")
    assert (await api.nobody.get(path)).status_code == 200


@pytest.mark.parametrize("name", GUARDED)
async def test_without_a_token_every_other_route_is_closed(api: Api, name: str) -> None:
    assert await status_of(api, name, None) == 401
    assert await status_of(api, name, "wrong") == 401
    assert await status_of(api, name, "a.b.c") == 401


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", GUARDED)
async def test_with_each_scope_a_route_is_open_as_the_matrix_says(
    api: Api, name: str, scope: str
) -> None:
    status = await status_of(api, name, make_token(api.store, "ann", scope))
    if SCOPES.index(scope) < SCOPES.index(MATRIX[name]):
        assert status == 403
    else:
        assert status not in (401, 403)
        assert status < 500


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("name", sorted(RPC_MATRIX))
async def test_with_each_scope_a_method_is_open_as_the_matrix_says(
    api: Api, name: str, scope: str
) -> None:
    client = api.user("ann", scope)
    body = {"jsonrpc": "2.0", "method": name, "id": 1, "params": {"task_id": "nowhere"}}
    answer = await client.post("/", json=body)
    assert answer.status_code == 200
    told = answer.json()
    refused = "error" in told and told["error"]["code"] == Code.UNAUTHORIZED
    assert refused == (SCOPES.index(scope) < SCOPES.index(RPC_MATRIX[name])), told


# -- whose it is


def with_object(part: str) -> list[str]:
    return [name for name in GUARDED if f"{{{part}}}" in str(getattr(ROUTES[name], "path", ""))]


@pytest.fixture
async def others(api: Api) -> dict[str, str]:
    """A tree of bob's, and one of nobody's, with a task each."""
    bob = await api.user("bob").post("/v1/trees", json={"tasks": tree("a"), "start": False})
    intake = read([json.dumps({"name": "give"}).encode()], api.store.new_id)
    draft = await asyncio.to_thread(api.store.create_draft, intake)
    return {
        "bobs tree": bob.json()["id"], "bobs task": bob.json()["tasks"]["a"],
        "nobodys tree": draft.id, "nobodys task": intake.specs[0].id,
    }  # fmt: skip


@pytest.mark.parametrize("whose", ["bobs", "nobodys"])
@pytest.mark.parametrize("name", [*with_object("tree"), *with_object("task")])
async def test_what_is_somebody_elses_is_not_there(
    api: Api, others: dict[str, str], name: str, whose: str
) -> None:
    kind = "tree" if name in with_object("tree") else "task"
    ann = make_token(api.store, "ann", "operate")
    before = api.store.journal.position()
    if name == "signal_tree":
        answer = await api.client(ann).post(
            f"/v1/trees/{others[f'{whose} tree']}/signals", json={"name": "go"}
        )
        assert answer.status_code == 404
    else:
        assert await status_of(api, name, ann, others[f"{whose} {kind}"]) == 404
    assert api.store.journal.position() == before


async def test_others_trees_are_in_no_list_and_no_page(api: Api, others: dict[str, str]) -> None:
    ann = api.user("ann")
    for query in ("", "?user=bob", "?name=root", "?draft=true", "?executor=give"):
        assert (await ann.get(f"/v1/trees{query}")).json()["items"] == []
    assert len((await api.admin.get("/v1/trees")).json()["items"]) == 2


async def test_what_is_nobodys_is_an_admins_only(api: Api, others: dict[str, str]) -> None:
    path = f"/v1/trees/{others['nobodys tree']}"
    assert (await api.admin.get(path)).status_code == 200
    assert (await api.user("root", "admin").get(path)).status_code == 200
    assert (await api.user("local", "operate").get(path)).status_code == 404


async def test_a_command_of_anothers_tree_is_not_there(place: Path) -> None:
    async with application(f"sqlite:///{place}/c.db", place, engine=False) as api:
        bob = await api.user("bob").post("/v1/trees", json={"tasks": tree("a"), "start": False})
        command = command_of(api.store, bob.json()["id"], "cancel", {})
        assert api.store.inbox is not None
        api.store.inbox.send(command)
        path = f"/v1/commands/{command.id}"
        assert (await api.user("bob").get(path)).json()["state"] == "open"
        answer = await api.user("ann").get(path)
        assert answer.status_code == 404
        assert command.tree not in answer.text
        other = await api.user("ann").get("/v1/commands/nowhere")
        assert answer.json()["detail"].replace(command.id, "nowhere") == other.json()["detail"]


@pytest.mark.parametrize(("secret", "loaded"), [(None, False), (SECRET, True)])
def test_what_reads_json_web_tokens_is_loaded_only_where_they_are_taken(
    secret: str | None, loaded: bool
) -> None:
    program = (
        "import sys, aipartnerupflow.api.http.serving, aipartnerupflow.api.http.access as access; "
        f"access.Access(lambda hash: None, jwt_secret={secret!r}); "
        "print('jwt' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(loaded)


async def test_the_owner_is_never_taken_from_a_body(api: Api) -> None:
    ann = api.user("ann")
    nested = {
        "name": "root", "children": [{"name": "give", "user_id": "bob"}, {"name": "give"}]
    }  # fmt: skip
    for body in ([{"name": "give", "user_id": "bob"}], nested, {"tasks": [nested]}):
        answer = await ann.post("/v1/trees", json=body)
        assert answer.status_code == 422
        assert "other_owner" in [fault["code"] for fault in answer.json()["errors"]]
    mixed = tree({"key": "a", "name": "give", "user_id": "bob"})
    mixed[0]["user_id"] = "ann"
    assert (await api.admin.post("/v1/trees", json=mixed)).status_code == 422


# -- tokens


@pytest.mark.parametrize(
    "header",
    ["Basic YTpi", "Bearer", "Bearer ", "bearer", "Token x", "Bearer  ", "Bearer a b", ","],
)
async def test_what_is_no_bearer_token_is_refused(api: Api, header: str) -> None:
    answer = await api.nobody.get("/v1/trees", headers={"Authorization": header})
    assert answer.status_code == 401


async def test_the_word_bearer_may_be_written_in_any_case(api: Api) -> None:
    answer = await api.nobody.get("/v1/trees", headers={"Authorization": f"bEARER {api.token}"})
    assert answer.status_code == 200


async def test_only_hashes_of_tokens_are_kept(place: Path) -> None:
    async with application(f"sqlite:///{place}/t.db", place) as api:
        text = make_token(api.store, "ann", "read")
        assert (await api.client(text).get("/v1/trees")).status_code == 200
    for name, content in all_files(place).items():
        if name != "token":
            assert text.encode() not in content, name
            assert api.token.encode() not in content, name


def all_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_revoked_token_does_not_hold(
    each_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aipartnerupflow.api.http.access.CACHED_SECONDS", 0.05)
    id = uuid4().hex
    client = each_api.client(make_token(each_api.store, "ann", "read", id=id))
    assert (await client.get("/v1/trees")).status_code == 200
    assert tokens_of(each_api.store).revoke(id, each_api.store.now())
    assert not tokens_of(each_api.store).revoke(id, each_api.store.now())
    await asyncio.sleep(0.06)
    assert (await client.get("/v1/trees")).status_code == 401


async def test_a_token_that_was_revoked_here_does_not_hold_at_once(api: Api) -> None:
    id = uuid4().hex
    client = api.client(make_token(api.store, "ann", "read", id=id))
    assert (await client.get("/v1/trees")).status_code == 200
    tokens_of(api.store).revoke(id, api.store.now())
    api.server.access.forget()
    assert (await client.get("/v1/trees")).status_code == 401


async def test_an_expired_token_does_not_hold(each_api: Api) -> None:
    old = make_token(each_api.store, "ann", "read", expires="2020-01-01T00:00:00.000000Z")
    new = make_token(each_api.store, "ann", "read", expires="2999-01-01T00:00:00.000000Z")
    assert (await each_api.client(old).get("/v1/trees")).status_code == 401
    assert (await each_api.client(new).get("/v1/trees")).status_code == 200


async def test_a_token_without_a_scope_that_we_know_opens_nothing(api: Api) -> None:
    for scopes in ((), ("owner",), ("",)):
        client = api.client(make_token(api.store, "ann", *scopes))
        assert (await client.get("/v1/trees")).status_code == 401


async def test_a_ticket_opens_streams_and_nothing_else(api: Api) -> None:
    for path in ("/v1/trees", "/metrics", "/v1/trees/nowhere", "/v1/executors"):
        ticket = (await api.admin.post("/v1/stream-tickets")).json()["ticket"]
        assert (await api.nobody.get(f"{path}?ticket={ticket}")).status_code == 401
    ticket = (await api.admin.post("/v1/stream-tickets")).json()["ticket"]
    told = await api.nobody.get(f"/readyz?ticket={ticket}")
    assert "reasons" not in told.json()
    assert await knock(api.app, f"/v1/ws?ticket={ticket}", {}) == 101
    assert await knock(api.app, f"/v1/ws?ticket={ticket}", {}) == 401
    assert await knock(api.app, "/v1/ws?ticket=", {}) == 401


async def test_a_ticket_shows_what_its_maker_may_see(api: Api, others: dict[str, str]) -> None:
    ticket = (await api.user("ann", "read").post("/v1/stream-tickets")).json()["ticket"]
    path = f"/v1/trees/{others['bobs tree']}/stream?ticket={ticket}"
    assert (await api.nobody.get(path)).status_code == 404


async def test_a_ticket_holds_for_a_short_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aipartnerupflow.api.http.access.TICKET_SECONDS", 0.01)
    ticket = (await api.admin.post("/v1/stream-tickets")).json()["ticket"]
    await asyncio.sleep(0.02)
    assert await knock(api.app, f"/v1/ws?ticket={ticket}", {}) == 401


async def test_a_token_in_an_address_is_none(api: Api) -> None:
    for name in ("token", "access_token", "ticket"):
        answer = await api.nobody.get(f"/v1/trees?{name}={api.token}")
        assert answer.status_code == 401


# -- JSON Web Tokens


@pytest.fixture
async def jwt_api(place: Path) -> AsyncIterator[Api]:
    async with application("memory://jwt", place, jwt_secret=SECRET) as made:
        yield made


def claims(**more: Any) -> dict[str, Any]:
    made = {"sub": "ann", "aud": "apflow", "exp": time.time() + 60, "roles": ["operate"], **more}
    return {name: value for name, value in made.items() if value is not None}


def signed(said: dict[str, Any], *, alg: str = "HS256", key: Any = SECRET) -> str:
    return jwt.encode(said, key, algorithm=alg)


async def jwt_status(api: Api, token: str, method: str = "GET") -> int:
    return (await api.client(token).request(method, "/v1/trees")).status_code


async def test_a_json_web_token_says_who_and_what(jwt_api: Api) -> None:
    ann = jwt_api.client(signed(claims()))
    told = (await ann.post("/v1/trees", json=tree("a"))).json()
    assert told["user_id"] == "ann"
    reader = signed(claims(roles=["read", "accounting"]))
    assert await jwt_status(jwt_api, reader) == 200
    assert await jwt_status(jwt_api, reader, "POST") == 403
    assert (await jwt_api.client(signed(claims(sub="bob"))).get(f"/v1/trees/{told['id']}")
            ).status_code == 404  # fmt: skip
    admin = jwt_api.client(signed(claims(sub="root", roles=["admin"])))
    assert (await admin.get(f"/v1/trees/{told['id']}")).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": None}, {"exp": 1}, {"exp": "soon"}, {"aud": None}, {"aud": "other"}, {"sub": None},
        {"sub": ""}, {"sub": 7}, {"roles": None}, {"roles": []}, {"roles": "admin"},
        {"roles": ["owner"]}, {"roles": {"admin": True}}, {"roles": [["admin"]]}, {"nbf": 2**40},
    ],
    ids=str,
)  # fmt: skip
async def test_a_json_web_token_that_does_not_say_enough_is_refused(
    jwt_api: Api, changed: dict[str, Any]
) -> None:
    assert await jwt_status(jwt_api, by_hand(claims(**changed))) == 401


def by_hand(said: dict[str, Any], **header: str) -> str:
    """Signed with our key, whatever it says; the library would not write all of it."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", **header}, said)
    ]
    mac = hmac.digest(SECRET.encode(), b".".join(parts), sha256)
    return b".".join([*parts, base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


async def test_what_is_written_by_hand_holds_if_it_is_right(jwt_api: Api) -> None:
    assert await jwt_status(jwt_api, by_hand(claims())) == 200


async def test_other_algorithms_and_keys_are_refused(jwt_api: Api) -> None:
    none = signed(claims(), alg="none", key=None)
    assert await jwt_status(jwt_api, none) == 401
    assert await jwt_status(jwt_api, none + "x") == 401
    for name in ("none", "None", "NONE", "RS256", "HS384", "ES256", ""):
        assert await jwt_status(jwt_api, by_hand(claims(), alg=name)) == 401
    for name in ("HS384", "HS512"):
        assert await jwt_status(jwt_api, signed(claims(), alg=name, key="s" * 64)) == 401
    assert await jwt_status(jwt_api, signed(claims(), key="t" * 40)) == 401
    head, body, mac = signed(claims()).split(".")
    for text in (f"{head}.{body}.", f".{body}.{mac}", f"{head}..{mac}", "..", "a.b.c"):
        assert await jwt_status(jwt_api, text) == 401


async def test_a_server_without_a_secret_takes_no_json_web_token(api: Api) -> None:
    assert await jwt_status(api, signed(claims())) == 401
    assert await jwt_status(api, signed(claims(), alg="none", key=None)) == 401


async def test_a_short_secret_keeps_the_server_from_starting(place: Path) -> None:
    for secret in ("", "x", "s" * 31):
        with pytest.raises(InvalidInput, match="32 bytes"):
            async with application("memory://short", place, jwt_secret=secret):
                pass


# -- at the start


def test_the_first_token_is_its_owners_only(place: Path) -> None:
    folder = place / "state"
    folder.mkdir(mode=0o700)
    token = local_token(folder)
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert local_token(folder) == token
    assert len(token) > 40


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_token_that_others_can_read_is_refused(place: Path, mode: int) -> None:
    local_token(place)
    (place / "token").chmod(mode)
    with pytest.raises(InvalidInput, match="chmod 600"):
        local_token(place)


@pytest.mark.parametrize("text", ["", "short", "\n"])
def test_a_file_that_holds_no_token_is_refused(place: Path, text: str) -> None:
    (place / "token").write_text(text)
    (place / "token").chmod(0o600)
    with pytest.raises(InvalidInput):
        local_token(place)


def test_the_token_is_made_private_whatever_the_mask_says(place: Path) -> None:
    old = os.umask(0)
    try:
        local_token(place)
    finally:
        os.umask(old)
    assert (place / "token").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_a_public_server_is_refused_until_somebody_has_a_token(place: Path, host: str) -> None:
    store = open_store(f"memory://{uuid4().hex}")
    with pytest.raises(InvalidInput, match="apflow token create"):
        require_safe(settings_of(store.url, place, host=host), store)
    with pytest.raises(InvalidInput, match="auth is none"):
        require_safe(settings_of(store.url, place, host=host, auth="none"), store)
    require_safe(settings_of(store.url, place, host=host, jwt_secret=SECRET), store)
    make_token(store, "ann", "read")
    require_safe(settings_of(store.url, place, host=host), store)
    with pytest.raises(InvalidInput, match="auth is none"):
        require_safe(settings_of(store.url, place, host=host, auth="none"), store)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_local_server_starts_with_what_it_has(place: Path, host: str) -> None:
    store = open_store(f"memory://{uuid4().hex}")
    require_safe(settings_of(store.url, place, host=host), store)
    require_safe(settings_of(store.url, place, host=host, auth="none"), store)


async def test_without_authentication_whoever_comes_is_an_admin(place: Path) -> None:
    async with application(f"memory://{uuid4().hex}", place, auth="none") as api:
        told = (await api.nobody.post("/v1/trees", json=tree("a"))).json()
        assert told["user_id"] == "local"
        assert (await api.nobody.get("/metrics")).status_code == 200
        await until(lambda: api.store.tree(told["id"]).phase == "settled")


def test_scopes_include_those_before_them() -> None:
    assert [scope.name.lower() for scope in sorted(Scope)] == list(SCOPES)
