"""Health, figures, executors and documentation: what they tell, and to whom."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from aipartnerupflow.domain.errors import StoreUnavailable
from tests.support.servers import Api, application, tree

EXTERNAL = re.compile(r"""(?:src|href|url|action)\s*[=(:]\s*["']?(?:https?:)?//""", re.IGNORECASE)


async def test_a_process_that_answers_lives(api: Api) -> None:
    answer = await api.nobody.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_server_that_is_well_is_ready(each_api: Api) -> None:
    answer = await each_api.admin.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "reasons": []})
    assert answer.headers["cache-control"] == "no-store"


async def test_reasons_are_told_only_to_who_may_read(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_server: object) -> list[str]:
        raise StoreUnavailable("the disk is away")

    monkeypatch.setattr("aipartnerupflow.api.http.system._of_store", broken)
    stranger = await api.nobody.get("/readyz")
    assert (stranger.status_code, stranger.json()) == (503, {"status": "degraded"})
    wrong = await api.client("not a token").get("/readyz")
    assert (wrong.status_code, wrong.json()) == (503, {"status": "degraded"})
    reader = await api.user("ann", "read").get("/readyz")
    assert (reader.status_code, reader.json()) == (
        503, {"status": "degraded", "reasons": ["the disk is away"]},
    )  # fmt: skip


async def test_a_store_that_cannot_tell_who_asks_is_no_reason_to_say_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = api.user("ann", "read")

    def broken(_hash: str) -> None:
        raise StoreUnavailable("the disk is away")

    monkeypatch.setattr(api.server.access, "_find", broken)
    answer = await reader.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    closed = await reader.get("/v1/trees")
    assert (closed.status_code, closed.json()["type"]) == (503, "/docs/problems/store-unavailable")
    assert closed.headers["retry-after"] == "1"


async def test_a_server_that_ends_is_not_ready_and_still_lives(api: Api) -> None:
    api.server.stop()
    answer = await api.admin.get("/readyz")
    assert answer.status_code == 503
    assert "shutting down" in " ".join(answer.json()["reasons"])
    assert (await api.nobody.get("/livez")).status_code == 200


async def test_metrics_are_prometheus_text_and_count_what_was_done(each_api: Api) -> None:
    headers = {"Prefer": "wait=10"}
    await each_api.admin.post("/v1/trees", json=tree("a"), headers=headers)
    await each_api.admin.get("/v1/trees/nowhere")
    answer = await each_api.admin.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    figures: dict[str, float] = {}
    for line in answer.text.splitlines():
        assert re.fullmatch(
            r'# TYPE \w+ (counter|gauge)|\w+(\{(\w+="[^"\n]*",?)+\})? [0-9.e+-]+', line
        ), line
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in figures
            figures[name] = float(value)
    assert figures["apflow_position"] == each_api.store.journal.position()
    assert figures["apflow_open_trees"] == 0
    counted = 'apflow_requests_total{method="%s",route="%s",status="%s"}'
    assert figures[counted % ("POST", "/v1/trees", 200)] == 1
    assert figures[counted % ("GET", "/v1/trees/{tree}", 404)] == 1


@pytest.mark.parametrize("scope", ["read", "submit", "operate"])
async def test_who_sees_only_their_own_sees_no_figures_of_what_others_do(
    api: Api, scope: str
) -> None:
    reader = api.user("ann", scope)
    before = (await reader.get("/metrics")).text
    assert "apflow_up 1\n" in before
    assert "apflow_engine_degraded 0\n" in before
    await api.admin.post("/v1/trees", json=tree("a"), headers={"Prefer": "wait=10"})
    assert (await reader.get("/metrics")).text == before
    whole = (await api.admin.get("/metrics")).text
    assert set(before.splitlines()) < set(whole.splitlines())


async def test_metrics_have_few_lines_whatever_is_asked_for(api: Api) -> None:
    before = len((await api.admin.get("/metrics")).text.splitlines())
    for n in range(50):
        await api.admin.get(f"/nothing/{n}")
        await api.admin.get(f"/v1/trees/{n}")
        await api.admin.request(f"METHOD{n}", f"/v1/trees/{n}")
        await api.admin.request(f'X"{n}', "/v1/trees")
    after = len((await api.admin.get("/metrics")).text.splitlines())
    assert after <= before + 12


async def test_executors_are_listed_with_what_they_take(api: Api) -> None:
    page = (await api.admin.get("/v1/executors")).json()
    ids = [item["id"] for item in page["items"]]
    assert ids == sorted(ids)
    assert {"give", "signal", "wait", "command_executor", "system_info_executor"} <= set(ids)
    (switched_off,) = (item for item in page["items"] if item["id"] == "command_executor")
    assert switched_off["usable"] is False
    assert switched_off["why"]
    one = (await api.admin.get("/v1/executors/wait")).json()
    assert one["input_schema"]["properties"].keys() == {"until", "seconds"}
    assert one in page["items"]
    assert (await api.admin.get("/v1/executors/nobody")).status_code == 404


# -- documentation


@pytest.fixture
async def pages(api: Api) -> dict[str, str]:
    """Each page below /docs, and all that it loads."""
    found: dict[str, str] = {}
    waiting = ["/docs"]
    while waiting:
        path = waiting.pop()
        answer = await api.nobody.get(path)
        assert answer.status_code == 200, path
        found[path] = answer.text
        if path.endswith((".js", ".css", ".png")):
            continue
        for link in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
            assert link.startswith("/"), link
            if link not in found:
                waiting.append(link)
    return found


async def test_the_documentation_loads_nothing_from_elsewhere(pages: dict[str, str]) -> None:
    assert {"/docs", "/docs/assets/swagger-ui-bundle.js", "/docs/assets/start.js"} <= set(pages)
    for path, text in pages.items():
        if not path.endswith(("bundle.js", ".css", ".png")):
            assert not EXTERNAL.search(text), path
    assert "/openapi.json" in pages["/docs/assets/start.js"]
    assert "validatorUrl: null" in pages["/docs/assets/start.js"]


async def test_the_pages_of_the_documentation_forbid_what_comes_from_elsewhere(api: Api) -> None:
    for path in ("/docs", "/docs/problems/not-found"):
        policy = (await api.nobody.get(path)).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "http" not in policy
        assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]


async def test_assets_are_those_of_the_list_and_no_other_file(api: Api) -> None:
    for name in ("nothing.js", "..%2f..%2fpyproject.toml", "%2e%2e%2f__init__.py"):
        answer = await api.nobody.get(f"/docs/assets/{name}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


async def test_the_description_is_served_to_everybody(api: Api) -> None:
    answer = await api.nobody.get("/openapi.json")
    assert answer.json()["openapi"].startswith("3.1")


async def test_every_answer_is_hardened(api: Api) -> None:
    for path in ("/livez", "/docs", "/nothing", "/v1/trees", "/openapi.json"):
        headers = (await api.nobody.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cross-origin-resource-policy"] == "same-origin", path
        assert "server" not in headers
        assert not [name for name in headers if name.startswith("access-control")]


# -- without an engine


@pytest.fixture
async def pure(place: Path) -> AsyncIterator[Api]:
    async with application(f"memory://{uuid4().hex}", place, engine=False) as made:
        yield made


async def test_a_server_without_an_engine_is_ready_and_says_so_in_its_figures(pure: Api) -> None:
    assert (await pure.admin.get("/readyz")).status_code == 200
    text = (await pure.admin.get("/metrics")).text
    assert "apflow_position" in text
    assert "apflow_engine" not in text


async def test_a_paused_server_takes_trees_and_starts_nothing(place: Path) -> None:
    async with application(f"memory://{uuid4().hex}", place, paused=True) as api:
        answer = await api.admin.post("/v1/trees", json=tree("a"), headers={"Prefer": "wait=1"})
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")
