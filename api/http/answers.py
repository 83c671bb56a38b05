"""Answers: JSON as all faces give it, and problem documents (RFC 9457) for whatever goes wrong."""

import logging
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Match, Route

from ...domain.errors import ApflowError, StoreError
from ..problems import Detail, Problem, page, problem
from .access import Forbidden, Unauthenticated

log = logging.getLogger("aipartnerupflow.api")

PROBLEM: Final = "application/problem+json"
_TRACE: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_encode = msgspec.json.Encoder(decimal_format="number").encode

TITLES: Final = {
    400: ("bad-request", "The request cannot be read"),
    401: ("unauthenticated", "Nobody that this server knows"),
    403: ("forbidden", "Not allowed"),
    404: ("no-such-path", "There is nothing here"),
    405: ("method-not-allowed", "Not with this method"),
    406: ("not-acceptable", "Not in that form"),
    408: ("request-timeout", "The request came too slowly"),
    409: ("conflict", "The state does not allow it"),
    411: ("length-required", "How long is it?"),
    413: ("too-large", "The request is too large"),
    415: ("unsupported-media-type", "Not of this type"),
    421: ("misdirected", "This server has another name"),
    422: ("invalid-input", "A value is not usable"),
    431: ("too-large", "The request is too large"),
    429: ("too-many", "Too many at once"),
    500: ("internal", "It failed, and that is a defect"),
    503: ("unavailable", "Not now"),
}


class TooManyStreams(ApflowError):
    """The token has as many streams open as it may."""


class NotJson(ApflowError):
    """The Content-Type says something else than JSON."""


class InFlight(ApflowError):
    """The same request is still being carried out."""


_STATUS: Final[Mapping[type[ApflowError], int]] = {
    Forbidden: 403, TooManyStreams: 429, NotJson: 415, InFlight: 409,
}  # fmt: skip
"""Errors of the transport, which the other faces do not know."""


class Json(Response):
    """A document; ``etag`` is a version."""

    media_type = "application/json"

    def __init__(
        self,
        content: Any,
        status: int = 200,
        *,
        etag: str | int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        made = dict(headers or {})
        if etag is not None:
            made["ETag"] = f'"{etag}"'
        super().__init__(_encode(content), status, made)


class ProblemResponse(Response):
    """A problem document."""

    media_type = PROBLEM

    def __init__(self, told: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(_encode(told), told.status or 500, dict(headers or {}))


def told(
    status: int, detail: str, *, slug: str | None = None, errors: tuple[Detail, ...] = (),
    trace: str | None = None,
) -> Problem:  # fmt: skip
    """A problem that is told by its HTTP status."""
    known, title = TITLES.get(status, ("error", "It failed"))
    return Problem(
        type=page(slug or known), title=title, detail=detail, status=status, errors=errors,
        trace_id=trace,
    )  # fmt: skip


def trace_of(request: HTTPConnection) -> str:
    """Its trace, by W3C Trace Context (``traceparent``), else a new one."""
    found: str | None = request.scope.get("apflow.trace")
    if found is None:
        parts = request.headers.get("traceparent", "").split("-")
        usable = len(parts) == 4 and _TRACE.fullmatch(parts[1])
        found = request.scope["apflow.trace"] = parts[1] if usable else secrets.token_hex(16)
    return found


def answer_to(request: Request, error: ApflowError) -> ProblemResponse:
    """The problem document of one of our errors."""
    trace = trace_of(request)
    if isinstance(error, Unauthenticated):
        challenge = {"WWW-Authenticate": 'Bearer realm="apflow"'}
        return ProblemResponse(told(401, str(error), trace=trace), challenge)
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            headers = {"Retry-After": "1"} if status in (409, 429) else {}
            return ProblemResponse(told(status, str(error), trace=trace), headers)
    made = msgspec.structs.replace(problem(error, http=True), trace_id=trace)
    headers = {"Retry-After": "1"} if made.status == 503 else {}
    if made.status is not None and made.status >= 500:
        level = logging.WARNING if isinstance(error, StoreError) else logging.INFO
        log.log(level, "%s %s: %s (trace %s)", request.method, request.url.path, error, trace)
    return ProblemResponse(made, headers)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApflowError)
    return answer_to(request, error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    detail = {
        404: "no such path; /docs lists what there is",
        405: "this path has other methods; see the Allow header",
    }.get(error.status_code, str(error.detail))
    return ProblemResponse(told(error.status_code, detail, trace=trace_of(request)), headers)


def _methods(request: Request) -> set[str]:
    """What can be done with a path, by all of its routes."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


async def _invalid(request: Request, error: Exception) -> Response:
    """Parameters that do not fit. Their values are not repeated."""
    assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)
    errors = tuple(
        Detail("invalid", item["msg"], pointer="/" + "/".join(str(part) for part in item["loc"]))
        for item in error.errors()
    )
    detail = "a parameter is not usable; `errors` says which and why"
    return ProblemResponse(told(422, detail, errors=errors, trace=trace_of(request)))


async def _defect(request: Request, error: Exception) -> Response:
    trace = trace_of(request)
    log.error("%s %s failed (trace %s)", request.method, request.url.path, trace, exc_info=error)
    detail = "a defect of this server; its log has more under trace_id"
    return ProblemResponse(told(500, detail, trace=trace))


def install(app: FastAPI) -> None:
    """Problem documents for everything."""
    app.add_exception_handler(ApflowError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(WebSocketRequestValidationError, _invalid)
    app.add_exception_handler(Exception, _defect)
