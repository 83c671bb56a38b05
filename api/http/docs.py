"""The pages of /docs: the API to be tried out, and what each kind of problem means. No outside
address is asked for anything.
"""

from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, HTTPException
from starlette.responses import HTMLResponse, Response

from ..problems import KINDS
from .answers import TITLES

router = APIRouter(include_in_schema=False)

ASSETS: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
SCRIPT: Final = """window.addEventListener("load", () => SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#docs", deepLinking: true, persistAuthorization: false,
  layout: "BaseLayout", validatorUrl: null
}));
"""
PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>aipartnerupflow: the API</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" href="/docs/assets/favicon.png">
<script src="/docs/assets/swagger-ui-bundle.js"></script><script src="/docs/assets/start.js">
</script></head><body><div id="docs"></div></body></html>
"""
POLICY: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
}


@router.get("/docs", name="docs")
async def docs() -> Response:
    """The API, to be read and tried out."""
    return HTMLResponse(PAGE, headers=POLICY)


@router.get("/docs/assets/{name}", name="docs_asset")
async def asset(name: str) -> Response:
    """A file of the page."""
    if name == "start.js":
        return Response(SCRIPT, media_type="text/javascript")
    if name not in ASSETS:
        raise HTTPException(404)
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(_asset(name), media_type=ASSETS[name], headers=headers)


@cache
def _asset(name: str) -> bytes:
    return files("fastapi_offline").joinpath("static", name).read_bytes()


@router.get("/docs/problems/{slug}", name="docs_problem")
async def a_problem(slug: str) -> Response:
    """What a kind of problem means."""
    for error, kind in KINDS.items():
        if kind.slug == slug:
            about = escape((error.__doc__ or "").strip().split("\n\n")[0])
            return _problem_page(kind.slug, kind.title, about, kind.status)
    for status, (name, title) in TITLES.items():
        if name == slug:
            return _problem_page(name, title, "", status)
    raise HTTPException(404)


def _problem_page(slug: str, title: str, about: str, status: int) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"</head><body><h1>{escape(title)}</h1><p>{about}</p><p>HTTP status {status}; problem type "
        f"<code>{escape(slug)}</code>. The <code>detail</code> of each answer says what happened, "
        "why, and what to do.</p></body></html>",
        headers=POLICY,
    )
