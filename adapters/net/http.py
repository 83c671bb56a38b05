"""HTTP through the guard.

No proxy of the environment is used, no cookie kept, no credential of `.netrc` sent; redirects are
followed by us, each a new connection that is judged again; time and size are bounded.
"""

import ssl
import zlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar, Final

import httpx
from msgspec import Struct

from ...domain.errors import TargetRefused
from .bounds import Bounds
from .guard import Guard, Unresolved
from .pool import PRIVATE_ONLY, REPEATABLE, Silent
from .transport import CONNECT, guarded_client
from .trust import causes, distrust
from .turns import Turns
from .unpacking import bounded

MAX_REDIRECTS: Final = 5
MAX_ANSWER: Final = 16 << 20
PATIENCE: Final = 60.0
"""Seconds for which a call waits for its turn, where it may not take longer itself."""
_FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})
_SENT_ANYWHERE: Final = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-type", "user-agent"}
)
"""Headers that another origin gets too: all others may be credentials."""
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
"""RFC 9110, section 9.2.2."""
_SIZES: Final = frozenset({"content-length", "host", "transfer-encoding"})


class Answer(Struct, frozen=True):
    """What came back. ``headers`` have names in lower case; ``cut``: the body was longer."""

    status: int
    headers: dict[str, str]
    body: bytes
    url: str
    cut: bool = False


class Unanswered(ConnectionError):
    """The target gave no usable answer: it is away, broke off, took too long. It may do later."""

    transient: ClassVar[bool] = True


class Unsent(Unanswered):
    """Nothing was sent: others had all turns for too long."""


class Untrusted(Unanswered):
    """The target's certificate is none that is trusted here, which does not pass by itself."""

    transient: ClassVar[bool] = False


class Http:
    """Bounded calls through the guard, ``most`` at once, ``each`` of them to one origin, the last
    ``spare`` only to origins with none under way: slow ones do not hold up others. A call waits for
    its turn for ``patience`` seconds, or for as many as it may take. Belongs to one loop; `close`
    it.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        tls: ssl.SSLContext | None = None,
        most: int = 100,
        each: int = 0,
        spare: int = 0,
        patience: float = PATIENCE,
    ) -> None:
        self._client = guarded_client(guard, tls=tls, most=most)
        self._turns: Turns[tuple[str, str, int | None]] = Turns(most, each=each, spare=spare)
        self._patience = patience

    async def close(self) -> None:
        """End its connections."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        seconds: float = 30.0,
        limit: int = MAX_ANSWER,
        redirects: int = MAX_REDIRECTS,
        private: Collection[str] = (),
        private_only: bool = False,
        once: bool = False,
    ) -> Answer:
        """One request with its redirects, within so many ``seconds`` in all that it has a turn.

        Of the body ``limit`` bytes are read, unpacked ones, and no more. With no ``redirects`` a
        redirecting answer is the answer. Another origin never gets the headers that ``private``
        names in lower case. ``private_only`` as for `Guard.pin`. Where a kept connection turns out
        to be closed, what is idempotent or has an Idempotency-Key is sent again, unless ``once``.
        Raises `TargetRefused`, `InvalidInput`, and `Unanswered`.
        """
        bounds = Bounds(seconds, limit, redirects, private)
        request = self._request(method, url, headers or {}, content, private_only, once)
        try:
            return await self._follow(request, content, bounds, max(self._patience, seconds))
        except TimeoutError as error:
            raise Unanswered(f"no answer within {seconds:g} s") from error
        except httpx.HTTPError as error:
            raise _fault(error) from error
        except zlib.error as error:
            raise Unanswered("the target's answer cannot be unpacked") from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        silence: float = 30.0,
        private_only: bool = False,
    ) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """The head of an answer, and its body as it comes: as long as the block, and as no silence
        takes longer than so many seconds. No redirect is followed. Raises as `call` does.
        """
        named = {"accept-encoding": "identity", **headers}
        request = self._request(method, url, named, content, private_only)
        timeout = httpx.Timeout(silence, connect=CONNECT)
        request.extensions["timeout"] = timeout.as_dict()
        try:
            async with self._turn(request, self._patience):
                response = await self._client.send(request, stream=True)
                try:
                    yield _head(response), response.aiter_raw()
                finally:
                    await response.aclose()
        except httpx.HTTPError as error:
            raise _fault(error) from error

    async def _follow(
        self, request: httpx.Request, content: bytes | None, bounds: Bounds, patience: float
    ) -> Answer:
        left = bounds.redirects
        while True:
            async with self._turn(request, patience), bounds.running():
                answer = await self._answered(request, bounds.limit)
            if not bounds.redirects or answer.status not in _FOLLOWED:
                return answer
            following = self._redirected(request, answer, content, bounds.private)
            if following is None:
                return answer
            if not left:
                raise TargetRefused(f"it redirects more than {bounds.redirects} times")
            left -= 1
            request, content = following

    @asynccontextmanager
    async def _turn(self, request: httpx.Request, patience: float) -> AsyncIterator[None]:
        """Raises `Unsent`."""
        origin = _origin(request.url)
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._turns.of(origin, patience))
            except TimeoutError as error:
                here = self._turns.had(origin)
                raise Unsent(
                    f"it was not sent: {here} calls to this origin and {self._turns.total - here} "
                    f"to others were under way, and no turn came within {patience:g} s"
                ) from error
            yield

    def _request(
        self,
        method: str,
        url: str | httpx.URL,
        headers: Mapping[str, str],
        content: bytes | None,
        private_only: bool = False,
        once: bool = False,
    ) -> httpx.Request:
        try:
            request = self._client.build_request(
                method, url, content=content,
                headers={"accept-encoding": "gzip, deflate", **headers},
            )  # fmt: skip
        except (httpx.InvalidURL, UnicodeError) as error:
            raise TargetRefused("its URL is none") from error
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise TargetRefused("its URL is not http or https")
        if request.url.port == 0:  # the library would take the usual one
            raise TargetRefused("its port is none: a port is 1 to 65535")
        if request.url.userinfo:
            raise TargetRefused("its URL holds a user or password, which belongs into a header")
        safe = request.method in _IDEMPOTENT or "idempotency-key" in request.headers
        request.extensions |= {PRIVATE_ONLY: private_only, REPEATABLE: safe and not once}
        request.extensions["once"] = once
        return request

    async def _answered(self, request: httpx.Request, limit: int) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            packing = response.headers.get("content-encoding", "").strip().lower()
            body, cut = await bounded(response.aiter_raw(), packing, limit)
        finally:
            await response.aclose()
        return _head(response, body, cut)

    def _redirected(
        self,
        request: httpx.Request,
        answer: Answer,
        content: bytes | None,
        private: Collection[str],
    ) -> tuple[httpx.Request, bytes | None] | None:
        """The request that a redirect asks for; None where it names no place."""
        place = answer.headers.get("location")
        if place is None:
            return None
        try:
            url = request.url.join(place).copy_with(fragment=None)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise TargetRefused("it redirects to what is no URL") from error
        if request.url.scheme == "https" and url.scheme != "https":
            raise TargetRefused("it redirects from https to a place without TLS")
        url = url.copy_with(username=None, password=None) if url.userinfo else url
        method = request.method
        if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
            method, content = ("HEAD" if method == "HEAD" else "GET"), None
        anywhere = _SENT_ANYWHERE.difference(private)
        same = _origin(url) == _origin(request.url)
        kept = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _SIZES
            and (same or name.lower() in anywhere)
            and (content is not None or name.lower() != "content-type")
        }
        private_only = same and request.extensions[PRIVATE_ONLY]
        once = request.extensions["once"]
        return self._request(method, url, kept, content, private_only, once), content


def _head(response: httpx.Response, body: bytes = b"", cut: bool = False) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, body, str(response.request.url), cut)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _fault(error: httpx.HTTPError) -> Unanswered:
    """What happened, in words without anything of the request."""
    if (why := distrust(error)) is not None:
        return Untrusted(f"its certificate is not trusted: {why}")
    for cause in causes(error):
        if isinstance(cause, Unresolved):
            return Unanswered(str(cause))
        if isinstance(cause, Silent):
            return Unanswered("the connection was closed without an answer")
    match error:
        case httpx.ConnectTimeout() | httpx.ConnectError():
            return Unanswered("no connection to the target")
        case httpx.RemoteProtocolError() | httpx.DecodingError():
            return Unanswered("the target does not speak HTTP as it should")
        case _:
            return Unanswered("the connection to the target broke off")
